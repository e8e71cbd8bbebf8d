"""What an exception says stays here: only its type is told, and a refusal's code."""

from collections.abc import Iterator
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg
import pytest
from graphql import parse
from opentelemetry.metrics import NoOpMeterProvider
from opentelemetry.sdk.trace import ReadableSpan, TracerProvider
from opentelemetry.sdk.trace.export import SimpleSpanProcessor
from opentelemetry.sdk.trace.export.in_memory_span_exporter import InMemorySpanExporter
from opentelemetry.trace import StatusCode

from adapters.postgres.summary import summary_of, summary_of_sql
from adapters.postgres.writing import NEXT_VERSION
from adapters.telemetry import Call
from domain.commands.sync import CancelSync
from domain.errors import ErrorCode, RateLimited
from domain.identity import Actor, Role, UserId
from domain.sync import RunId
from gateway.telemetry.outside import template_of
from gateway.telemetry.watching import Watching

SECRET = "canary-4d1f"
CANCEL = CancelSync(
    actor=Actor(user_id=UserId(uuid4()), role=Role.USER),
    run_id=RunId(uuid4()),
    at=datetime(2026, 11, 22, tzinfo=UTC),
)


@pytest.fixture
def exporter() -> Iterator[InMemorySpanExporter]:
    kept = InMemorySpanExporter()
    yield kept
    for span in kept.get_finished_spans():
        assert SECRET not in span.to_json()


@pytest.fixture
def watching(exporter: InMemorySpanExporter) -> Watching:
    provider = TracerProvider(shutdown_on_exit=False)
    provider.add_span_processor(SimpleSpanProcessor(exporter))
    return Watching(provider.get_tracer("test"), NoOpMeterProvider().get_meter("test"))


def ended(exporter: InMemorySpanExporter, name: str) -> ReadableSpan:
    [span] = [span for span in exporter.get_finished_spans() if span.name == name]
    assert not span.events
    return span


def test_a_bug_is_told_by_its_type(watching: Watching, exporter: InMemorySpanExporter) -> None:
    with pytest.raises(ValueError, match=SECRET), watching.job("sync", None):
        raise ValueError(f"the password is {SECRET}")

    span = ended(exporter, "process sync")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "ValueError"
    assert span.status.status_code is StatusCode.ERROR
    assert span.status.description is None


def test_a_statement_that_fails_is_told_by_postgresqls_code(
    watching: Watching, exporter: InMemorySpanExporter
) -> None:
    failure = asyncpg.UniqueViolationError(f"Key (email)=({SECRET}) already exists.")

    with (
        pytest.raises(asyncpg.UniqueViolationError),
        watching.job("sync", None),
        watching.statement("INSERT users", rows=3),
    ):
        raise failure

    span = ended(exporter, "INSERT users")
    assert span.attributes is not None
    assert dict(span.attributes) == {
        "db.system.name": "postgresql",
        "db.operation.name": "INSERT",
        "db.query.summary": "INSERT users",
        "db.operation.batch.size": 3,
        "db.response.status_code": failure.sqlstate,
        "error.type": "asyncpg.exceptions.UniqueViolationError",
    }


@pytest.mark.parametrize(
    ("text", "has_id"),
    [
        ("query ($p: String!) { node(id: $p) { id } }", True),
        (f'{{ node(id: "{SECRET}") {{ id }} }}', False),
        (f'{{ node(id: """{SECRET}""") {{ id }} }}', False),
    ],
)
def test_a_document_with_a_string_in_it_has_no_hash_that_tells_which(
    watching: Watching, exporter: InMemorySpanExporter, text: str, *, has_id: bool
) -> None:
    with watching.operation(parse(text), None, "1" * 32):
        pass

    span = ended(exporter, "query")
    assert span.attributes is not None
    assert ("dashtam.document.id" in span.attributes) is has_id


def test_a_refusal_is_no_error_of_ours(watching: Watching, exporter: InMemorySpanExporter) -> None:
    refusal = RateLimited(SECRET, retry_after_s=1, code=ErrorCode.SYNC_TOO_SOON)

    with pytest.raises(RateLimited), watching.command("sync.request", CANCEL):
        raise refusal

    span = ended(exporter, "sync.request")
    assert span.attributes is not None
    assert span.attributes["error.type"] == "SYNC_TOO_SOON"
    assert span.status.status_code is StatusCode.UNSET


def test_a_call_is_told_by_the_words_of_its_path(
    watching: Watching, exporter: InMemorySpanExporter
) -> None:
    call = Call(
        provider="schwab",
        method="GET",
        host="api.example.com",
        port=443,
        path=f"/trader/v1/accounts/{SECRET}/transactions",
        attempt=2,
    )

    with watching.call(call) as answered:
        answered(503)

    span = ended(exporter, "GET /trader/v1/accounts/{id}/transactions")
    assert span.attributes is not None
    assert span.attributes["http.request.resend_count"] == 1
    assert span.attributes["http.response.status_code"] == 503
    assert span.attributes["error.type"] == "503"


@pytest.mark.parametrize(
    ("path", "template"),
    [
        ("/accounts", "/accounts"),
        ("/v2/account/activities", "/v2/account/activities"),
        ("/accounts/savings/holdings", "/accounts/{id}/holdings"),
        (f"/simplefin/claim/{SECRET}", "/simplefin/claim/{id}"),
        ("/a" * 30, "/{id}" * 8),
        ("", ""),
    ],
)
def test_a_segment_that_is_no_known_word_is_an_id(path: str, template: str) -> None:
    assert template_of(path) == template


@pytest.mark.parametrize(
    ("sql", "summary"),
    [
        ("SELECT a FROM accounts WHERE b = 'x'", "SELECT accounts"),
        ("SELECT enter($1)", "SELECT enter"),
        (
            "SELECT a FROM unnest($2::uuid[]) AS p CROSS JOIN LATERAL (SELECT b FROM links)",
            "SELECT links",
        ),
        ("SELECT a FROM user_by_email($1)", "SELECT user_by_email"),
        ("INSERT INTO tombstones (a) SELECT b FROM unnest($1)", "INSERT tombstones"),
        ("WITH gone AS (DELETE FROM holdings RETURNING id) SELECT 1", "DELETE holdings"),
        ("VACUUM", "OTHER"),
    ],
)
def test_a_statement_is_told_by_its_verb_and_tables(sql: str, summary: str) -> None:
    assert summary_of_sql(sql) == summary


def test_a_statement_of_sqlalchemy_is_told_by_the_same() -> None:
    assert summary_of(NEXT_VERSION) == "UPDATE users"
