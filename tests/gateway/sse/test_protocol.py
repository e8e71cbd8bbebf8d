"""Operations over an event stream, as graphql-sse's protocol and EventSource have them."""

import json
from typing import Any

import pytest

from gateway.http.negotiation import EVENTS, LEGACY, RESPONSE, negotiate, streams
from gateway.operations.clients import Client
from tests.gateway.sse.served import ACCEPT, COMPLETE, Said, Served, read
from tests.gateway.ws.served import NAMINGS, registering


def data(*values: Any) -> list[Said]:
    return [*(Said(event="next", data={"data": value}) for value in values), COMPLETE]


@pytest.mark.parametrize("by", ["POST", "GET"])
async def test_a_subscription_is_one_message_an_event_and_then_complete(
    server: Served, by: str
) -> None:
    said = await server.said("subscription ($n: Int!) { count(to: $n) }", by=by, variables={"n": 3})
    assert said == data({"count": 0}, {"count": 1}, {"count": 2})


async def test_a_query_and_a_mutation_are_one_message_and_complete(server: Served) -> None:
    assert await server.said("{ hello }") == data({"hello": "hello world"})
    assert await server.said("{ hello }", by="GET") == data({"hello": "hello world"})
    written = await server.said('mutation { write(what: "it") }')
    assert written == data({"write": "it"})
    assert server.journal.entries == ["it is written"]


async def test_the_head_keeps_proxies_and_caches_from_holding_it_back(server: Served) -> None:
    async with server.stream("subscription { silent }") as stream:
        headers = stream.response.headers
        first = await stream.any()
    assert headers["cache-control"] == "no-store"
    assert headers["x-accel-buffering"] == "no"
    assert headers["ratelimit-policy"]
    assert headers["vary"] == "Accept"
    assert headers["x-request-id"]
    assert "content-encoding" not in headers
    assert "content-length" not in headers
    assert first is not None
    assert first.retry_ms is not None
    assert 1_000 <= first.retry_ms <= 4_000


async def test_the_head_comes_before_the_first_event(server: Served) -> None:
    async with server.stream("subscription { silent }") as stream:
        assert stream.response.status_code == 200
        server.journal.go_on.set()
        assert await stream.rest() == data({"silent": 1})


async def test_each_event_has_a_context_of_its_own_which_is_closed_after_it(
    server: Served,
) -> None:
    said = await server.said("subscription { contexts(of: 3) }")
    assert said == data({"contexts": 1}, {"contexts": 2}, {"contexts": 3})
    await server.until_idle()


# ── what is wrong ───────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "code"),
    [
        ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "subscription ($a: Int!) { count(to: $a) }"}, "BAD_USER_INPUT"),
        ({"query": "query ($a: String!) { hello(name: $a) }"}, "BAD_USER_INPUT"),
        ({"query": "subscription { count(to: 1) ticks }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "query A { hello } query B { hello }"}, "OPERATION_RESOLUTION_FAILURE"),
        ({"query": None, "documentId": "sha256:" + "0" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
    ],
)
async def test_what_is_wrong_with_the_document_is_said_in_the_stream(
    server: Served, said: dict[str, Any], code: str
) -> None:
    [refused, end] = await server.said(**said)
    [error] = refused.data["errors"]
    assert error["extensions"]["code"] == code
    assert error["extensions"]["traceId"]
    assert "data" not in refused.data
    assert end == COMPLETE


@pytest.mark.parametrize(
    ("query", "code", "before"),
    [
        ("subscription { mine }", "UNAUTHENTICATED", 0),
        ("subscription { breaks }", "INTERNAL", 1),
        ('subscription { numbers(to: 1, after: "x") { number } }', "BAD_USER_INPUT", 0),
    ],
)
async def test_what_fails_as_events_are_made_ends_the_stream(
    server: Served, query: str, code: str, before: int
) -> None:
    *events, failed, end = await server.said(query)
    assert len(events) == before
    [error] = failed.data["errors"]
    assert error["extensions"]["code"] == code
    assert end == COMPLETE


async def test_a_field_that_fails_is_said_beside_the_data(server: Served) -> None:
    [said, end] = await server.said("{ broken hello }")
    assert said.data["data"] == {"broken": None, "hello": "hello world"}
    assert said.data["errors"][0]["extensions"]["code"] == "INTERNAL"
    assert end == COMPLETE


async def test_what_is_no_request_has_a_status_and_json(server: Served) -> None:
    server.journal.let_in("good")
    for status, query, more in (
        (401, "subscription { mine }", {"token": "stolen"}),
        (401, "{ me }", {"token": "stolen"}),
        (403, "subscription { silent }", {"headers": {"origin": "https://evil.example"}}),
        (405, 'mutation { write(what: "no") }', {"by": "GET"}),
        (405, "subscription { silent }", {"by": "QUERY"}),
        (400, "{ hello }", {"operationName": 1}),
        (413, "{ hello }", {"extensions": {"a": "x" * (1 << 20)}}),
        (414, "{ hello }", {"by": "GET", "operationName": "x" * 9_000}),
        (415, "{ hello }", {"headers": {"content-type": "text/plain"}}),
        (431, "{ hello }", {"headers": {f"x-{n}": "x" * 1_000 for n in range(40)}}),
        (503, "{ away }", {}),
    ):
        refused = await server.refused(query, **more)
        assert refused.status_code == status, (query, refused.text)
        assert status != 405 or "POST" in refused.headers["allow"]
        assert status != 503 or refused.headers["retry-after"] == "7"
    assert server.journal.entries == []


async def test_where_nobody_can_look_it_is_503(server: Served) -> None:
    server.journal.down = True
    refused = await server.refused("subscription { mine }", "good")
    assert refused.status_code == 503
    assert int(refused.headers["retry-after"]) > 0


async def test_a_head_request_opens_no_stream(server: Served) -> None:
    url = "/graphql?query=subscription%20%7B%20silent%20%7D"
    response = await server.http.head(url, headers=ACCEPT)
    assert response.status_code == 405
    assert response.content == b""
    assert server.journal.contexts == []


async def test_who_has_not_asked_for_a_stream_gets_none(server: Served) -> None:
    for accept in ("application/json", "*/*", "application/graphql-response+json, */*"):
        async with server.asked("subscription { silent }", headers={"accept": accept}) as response:
            await response.aread()
        assert response.status_code == 406
        assert "text/event-stream" in response.json()["errors"][0]["message"]


async def test_of_types_wanted_alike_an_answer_is_json_and_a_subscription_a_stream(
    server: Served,
) -> None:
    """As urql asks, and Apollo's clients that can take both."""
    both = {"accept": "application/graphql-response+json, application/json, text/event-stream"}
    async with server.asked("{ hello }", headers=both) as response:
        await response.aread()
    assert response.headers["content-type"].startswith("application/graphql-response+json")
    assert await server.said("subscription { count(to: 1) }", headers=both) == data({"count": 0})


@pytest.mark.parametrize(
    ("accept", "answer", "stream"),
    [
        (None, LEGACY, False),
        ("", LEGACY, False),
        ("*/*", LEGACY, False),
        ("text/event-stream", EVENTS, True),
        ("TEXT/Event-Stream;charset=utf-8", EVENTS, True),
        ("text/*", EVENTS, True),
        ("text/event-stream, */*", EVENTS, True),
        ("text/event-stream;q=0.5, */*", LEGACY, True),
        ("text/event-stream, application/json", LEGACY, True),
        ("text/event-stream, application/json;q=0.9", EVENTS, True),
        ("text/event-stream, application/*", EVENTS, True),
        ("text/*, application/*", LEGACY, True),
        ("text/event-stream;q=0, */*", LEGACY, False),
        ("text/event-stream;q=0", None, False),
        ("text/event-stream;q=0, text/*", None, False),
        ("text/event-stream;q=2", None, False),
        ("text/html, multipart/mixed", None, False),
        (f"text/event-stream;q=0.1, {RESPONSE};q=0.2", RESPONSE, True),
    ],
)
def test_a_stream_is_wanted_by_quality_and_by_how_exactly_it_is_named(
    accept: str | None, answer: str | None, stream: bool
) -> None:
    assert negotiate(accept) == answer
    assert streams(accept) is stream


# ── coming back ─────────────────────────────────────────────────────────────

NUMBERS = "subscription ($after: String) { numbers(to: 5, after: $after) { number } }"


async def test_each_event_that_has_a_cursor_says_it_as_its_id(server: Served) -> None:
    said = await server.said(NUMBERS)
    assert [(each.id, each.data) for each in said[:-1]] == [
        (str(n), {"data": {"numbers": {"number": n}}}) for n in range(5)
    ]
    assert said[-1] == COMPLETE
    assert [each.id for each in await server.said("subscription { count(to: 2) }")] == [None] * 3


@pytest.mark.parametrize("by", ["POST", "GET"])
async def test_who_comes_back_goes_on_after_the_last_event_whatever_the_url_says(
    server: Served, by: str
) -> None:
    async def ids(after: str | None, last: str | None) -> list[str | None]:
        headers = {} if last is None else {"last-event-id": last}
        variables = {"after": after}
        said = await server.said(NUMBERS, by=by, headers=headers, variables=variables)
        return [each.id for each in said[:-1]]

    assert await ids("1", None) == ["2", "3", "4"]
    assert await ids(None, "2") == ["3", "4"]
    assert await ids("0", "3") == ["4"]
    assert await ids("0", "") == ["1", "2", "3", "4"]


async def test_an_id_that_is_no_cursor_is_refused(server: Served) -> None:
    for last in ("x", "\xff", "1" * 5_000 + "x"):
        headers = {"last-event-id": last.encode("latin-1")}
        [refused, end] = await server.said(NUMBERS, headers=headers)
        assert refused.data["errors"][0]["extensions"]["code"] == "BAD_USER_INPUT"
        assert end == COMPLETE


async def test_text_stays_on_its_line(server: Served) -> None:
    """A line's end in a value would be another field of the message."""
    name = "a\nevent: complete\r\ndata: {}\n\n\u2028\u0085"
    query = "query ($n: String!) { hello(name: $n) }"
    async with server.asked(query, variables={"n": name}) as response:
        raw = (await response.aread()).decode()
    first, second, rest = raw.split("\n\n")
    assert read(first).data == {"data": {"hello": f"hello {name}"}}
    assert json.loads(first.partition("data: ")[2]) == read(first).data
    assert (read(second), rest) == (COMPLETE, "")


# ── documents by name, and who names them ───────────────────────────────────


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
@pytest.mark.parametrize("by", ["POST", "GET"])
async def test_a_document_that_is_known_is_run_by_its_name(
    server: Served, by: str, naming: dict[str, Any]
) -> None:
    [unknown, end] = await server.said(None, by=by, **naming)
    assert unknown.data["errors"][0]["extensions"]["code"] == "PERSISTED_QUERY_NOT_FOUND"
    assert end == COMPLETE
    await server.said(**registering())
    assert await server.said(None, by=by, **naming) == data({"count": 0}, {"count": 1})


async def test_clients_say_who_they_are_in_headers(server: Served) -> None:
    headers = {"apollographql-client-name": "app", "apollographql-client-version": "2"}
    await server.said("subscription { count(to: 1) }", headers=headers)
    assert server.journal.clients == [Client("app", "2")]
