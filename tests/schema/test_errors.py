"""Who may ask, and what they are told when something fails."""

import asyncio

import pytest
import structlog
from graphql import GraphQLError, execute, parse
from structlog.testing import capture_logs

from domain.errors import (
    BadQuery,
    Conflict,
    DomainError,
    ErrorCode,
    InvalidInput,
    NotFound,
    NotPermitted,
    ProviderUnavailable,
    RateLimited,
    Unavailable,
)
from domain.identity import new_id
from domain.links import SyncError
from schema.errors import TYPES, public, sync_error, user_error
from schema.schema import schema
from tests.roles.asking import Asked, every
from tests.schema.builders import SANDBOX, an_account
from tests.schema.world import World, gid


@pytest.mark.parametrize("asked", every(operations=("query",)), ids=lambda asked: asked.name)
async def test_signed_out_a_field_is_refused_but_for_what_is_offered(
    world: World, asked: Asked
) -> None:
    answer = await world.ask(asked.document, viewer=None)

    offered = asked.name in {"providers", "importFormats"}
    assert answer.codes == ([] if offered else ["UNAUTHENTICATED"])
    assert world.opened == []


async def test_providers_and_formats_are_shown_signed_out(world: World) -> None:
    answer = await world.ask(
        "{ providers { slug credentialFields { name secret required } capabilities enabled } "
        "banks: providers(category: BANK) { slug } "
        "importFormats { extension name maxBytes provider { slug } } }",
        viewer=None,
    )

    assert answer.errors == []
    assert [p["slug"] for p in answer.data["providers"]] == ["file", "manual", "sandbox"]
    assert answer.data["providers"][2]["credentialFields"] == [
        {"name": "scenario", "secret": False, "required": False}
    ]
    assert answer.data["banks"] == [{"slug": "file"}]
    assert answer.data["importFormats"] == [
        {
            "extension": "qfx",
            "name": "Quicken",
            "maxBytes": 10_485_760,
            "provider": {"slug": "file"},
        }
    ]


async def test_signed_out_what_is_public_is_answered_beside_what_is_refused(world: World) -> None:
    answer = await world.ask('{ providers { slug } account(id: "x") { id } }', viewer=None)

    assert answer.codes == ["UNAUTHENTICATED"]
    assert answer.data["account"] is None
    assert len(answer.data["providers"]) == 3


async def test_a_database_that_is_away_is_unavailable(world: World) -> None:
    world.down = Unavailable("the database is away", retry_after_s=7)
    answer = await world.ask("{ accounts { id } }")

    assert answer.data is None
    assert answer.errors[0]["extensions"] == {
        "code": "UNAVAILABLE",
        "retryAfterSeconds": 7,
        "traceId": "trace",
    }


async def test_a_bug_is_masked_and_its_incident_is_in_the_log_once(world: World) -> None:
    world.hers.accounts += [an_account(), an_account()]
    world.down = None
    bug = RuntimeError("password=hunter2")
    context = world.context(world.ann)
    await context.reads.accounts()
    reads = world.opened[-1]
    reads.down = bug
    node = parse("{ accounts { latestBalance { at } } }")
    with capture_logs() as logs:
        result = execute(schema, node, context_value=context)
        assert asyncio.isfuture(result) or asyncio.iscoroutine(result)
        done = await result
        shown = [public(error, "trace") for error in done.errors or []]
    await context.close()

    assert [e["message"] for e in shown] == ["internal error"] * 2
    assert {e["extensions"]["code"] for e in shown} == {"INTERNAL"}
    [incident] = {e["extensions"]["incident"] for e in shown}
    assert [e["path"] for e in shown] == [["accounts", n, "latestBalance"] for n in (0, 1)]
    [line] = logs
    assert line["incident"] == incident
    assert line["exc_info"] is bug
    assert line["trace_id"] == "trace"
    assert "hunter2" not in str(shown)


def test_the_log_renders_the_incident_with_its_traceback() -> None:
    written: list[str] = []
    structlog.configure(
        processors=[structlog.processors.format_exc_info, structlog.processors.JSONRenderer()],
        logger_factory=lambda *_: _Lines(written),
    )
    try:
        with pytest.raises(KeyError) as bug:
            _ = dict[str, str]()["what went wrong"]
        shown = public(GraphQLError("x", original_error=bug.value), "trace")
    finally:
        structlog.reset_defaults()

    assert shown["extensions"]["incident"] in written[0]
    assert "what went wrong" in written[0]


class _Lines:
    def __init__(self, written: list[str]) -> None:
        self._written = written

    def error(self, message: str) -> None:
        self._written.append(message)


@pytest.mark.parametrize(
    ("refusal", "code"),
    [
        (NotFound("x"), "NOT_FOUND"),
        (NotPermitted("x"), "NOT_PERMITTED"),
        (Conflict("x"), "CONFLICT"),
        (RateLimited("x", retry_after_s=3), "RATE_LIMITED"),
        (InvalidInput("x"), "BAD_USER_INPUT"),
        (ProviderUnavailable("x", provider="sandbox"), "UNAVAILABLE"),
        (BadQuery("x"), "BAD_USER_INPUT"),
    ],
)
def test_a_refusal_of_a_query_has_a_code_of_the_top_level(refusal: Exception, code: str) -> None:
    shown = public(GraphQLError("wrapped", original_error=refusal, path=["a", 0]), "trace")

    assert shown["message"] == "x"
    assert shown["path"] == ["a", 0]
    assert shown["extensions"]["code"] == code
    assert shown["extensions"]["traceId"] == "trace"


def test_every_code_has_one_type_of_error() -> None:
    kinds = list(TYPES)
    codes = [code for kind in kinds for code in kind.codes]

    assert sorted(c.value for c in codes) == sorted(c.value for c in ErrorCode)
    assert set(kinds) == set(DomainError.__subclasses__())


def test_every_code_can_be_the_error_of_a_run() -> None:
    for code in ErrorCode:
        shown = sync_error(SyncError(code=code, message="why"), SANDBOX)
        assert (shown.code, shown.message, shown.field) == (code, "why", None)
        assert not isinstance(shown, Exception)


def test_a_conflict_names_what_stands_in_the_way() -> None:
    id = new_id()
    shown = user_error(Conflict("linked", existing=("Link", id)), lambda _: SANDBOX)

    assert getattr(shown, "existing_id", None) == gid("Link", id)
