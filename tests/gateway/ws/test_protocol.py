"""graphql-transport-ws, message by message.

https://github.com/enisdenjo/graphql-ws/blob/master/PROTOCOL.md
"""

import asyncio
import json
from typing import Any

import pytest
import websockets

from gateway.operations.clients import Client
from tests.gateway.http.served import SECRET, until
from tests.gateway.ws.served import NAMINGS, PROTOCOL, Served, Talk, closed, registering, served


def codes(message: dict[str, Any]) -> list[str]:
    assert message["type"] == "error", message
    return [error["extensions"]["code"] for error in message["payload"]]


async def test_a_greeting_is_acknowledged_and_the_protocol_agreed_on(server: Served) -> None:
    async with server.greeted() as talk:
        assert talk.socket.subprotocol == PROTOCOL


async def test_a_query_is_answered_once_and_completed(server: Served) -> None:
    async with server.greeted() as talk:
        said = await talk.ask("query ($n: String!) { hello(name: $n) }", variables={"n": "Ann"})

    assert said == [
        {"id": "1", "type": "next", "payload": {"data": {"hello": "hello Ann"}}},
        {"id": "1", "type": "complete"},
    ]


async def test_a_mutation_is_done_once(server: Served) -> None:
    async with server.greeted() as talk:
        said = await talk.ask('mutation { write(what: "it") }')

    assert said[0]["payload"] == {"data": {"write": "it"}}
    assert server.journal.entries == ["it is written"]


async def test_a_subscription_says_every_event_in_order_and_completes(server: Served) -> None:
    async with server.greeted() as talk:
        said = await talk.ask("subscription { count(to: 50) }")

    assert [m["payload"]["data"]["count"] for m in said[:-1]] == list(range(50))
    assert said[-1] == {"id": "1", "type": "complete"}


async def test_operations_go_on_side_by_side(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.subscribe("subscription { silent }", "s")
        await talk.subscribe("{ held }", "h")
        await until(lambda: server.journal.entries == ["silence begins", "held begins"])
        assert (await talk.ask("{ hello }", "q"))[0]["payload"]["data"] == {"hello": "hello world"}
        server.journal.go_on.set()

        rest = [await talk.next() for _ in range(4)]

    assert {(m["id"], m["type"]) for m in rest} == {
        ("s", "next"),
        ("s", "complete"),
        ("h", "next"),
        ("h", "complete"),
    }


async def test_the_operation_that_is_named_is_run(server: Served) -> None:
    both = "query A { hello } query B { wide(characters: 2) }"
    async with server.greeted() as talk:
        assert (await talk.ask(both, operationName="B"))[0]["payload"] == {"data": {"wide": "xx"}}
        assert codes((await talk.ask(both))[0]) == ["OPERATION_RESOLUTION_FAILURE"]


async def test_each_event_has_a_context_of_its_own_which_is_closed_after_it(
    server: Served,
) -> None:
    async with server.greeted() as talk:
        said = await talk.ask("subscription { contexts(of: 4) }")

    # One that makes the events, and one more each time.
    assert [m["payload"]["data"]["contexts"] for m in said[:-1]] == [1, 2, 3, 4]
    assert len(server.journal.contexts) == 5
    assert server.journal.open_contexts == 0


# ── errors ──────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("payload", "code"),
    [
        ({"query": "{ nope }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{"}, "GRAPHQL_PARSE_FAILED"),
        ({"query": "query ($a: Int!) { wide(characters: $a) }"}, "BAD_USER_INPUT"),
        ({"query": "subscription ($a: Int!) { count(to: $a) }"}, "BAD_USER_INPUT"),
        ({"query": "subscription { count(to: 1) ticks }"}, "GRAPHQL_VALIDATION_FAILED"),
        ({"query": "{ a: hello }" + " # x" * 3_000 + "\n# y" * 3_000}, "TOO_COMPLEX"),
        ({"documentId": "sha256:" + "0" * 64}, "PERSISTED_QUERY_NOT_FOUND"),
        (
            {"query": "query ($a: String!) { hello(name: $a) }", "variables": {"a": "\0"}},
            "BAD_USER_INPUT",
        ),
        ({"query": '{ hello(name: "\\u0000") }'}, "BAD_USER_INPUT"),
        ({"query": "{ hello }", "variables": {"a": "\ud800"}}, "BAD_USER_INPUT"),
        ({"query": "{ away }"}, "UNAVAILABLE"),
    ],
)
async def test_what_never_ran_is_an_error_and_the_socket_goes_on(
    server: Served, payload: dict[str, Any], code: str
) -> None:
    async with server.greeted() as talk:
        await talk.say("subscribe", id="1", payload=payload)
        [said] = await talk.all_of()

        assert set(codes(said)) == {code}
        assert all(len(error["extensions"]["traceId"]) == 32 for error in said["payload"])
        assert (await talk.ask("{ hello }"))[1]["type"] == "complete"  # with the same id


async def test_the_error_of_a_field_is_beside_the_data(server: Served) -> None:
    async with server.greeted() as talk:
        said = await talk.ask("{ hello broken }")

    assert said[0]["payload"]["data"] == {"hello": "hello world", "broken": None}
    [error] = said[0]["payload"]["errors"]
    assert error["path"] == ["broken"]
    assert error["extensions"]["code"] == "INTERNAL"
    assert said[1]["type"] == "complete"
    assert SECRET not in json.dumps(said)


async def test_a_subscription_that_breaks_says_so_masked_and_ends(server: Served) -> None:
    async with server.greeted() as talk:
        said = await talk.ask("subscription { again: breaks }")

    assert said[0]["payload"] == {"data": {"again": 1}}
    assert codes(said[1]) == ["INTERNAL"]
    assert said[1]["payload"][0]["path"] == ["again"]
    assert said[1]["payload"][0]["locations"] == [{"line": 1, "column": 16}]
    assert SECRET not in json.dumps(said)


async def test_signed_out_what_needs_somebody_says_so(server: Served) -> None:
    async with server.greeted() as talk:
        asked = await talk.ask("{ me }")
        [refused] = await talk.ask("subscription { mine }", "2")

        assert asked[0]["payload"]["data"] is None
        assert asked[0]["payload"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
        assert codes(refused) == ["UNAUTHENTICATED"]
        assert (await talk.ask("{ hello }"))[0]["payload"]["data"] == {"hello": "hello world"}


# ── the order of things ─────────────────────────────────────────────────────


async def test_pings_are_answered_with_what_they_brought(server: Served) -> None:
    async with server.connected() as socket:
        talk = Talk(socket)
        await talk.say("ping")
        await talk.say("ping", payload={"at": 1})
        await talk.say("pong", payload={"at": 2})
        assert await talk.next() == {"type": "pong"}
        assert await talk.next() == {"type": "pong", "payload": {"at": 1}}
        await talk.say("connection_init")
        assert await talk.next() == {"type": "connection_ack"}


async def test_whoever_does_not_greet_in_time_is_let_go() -> None:
    async with served(init_s=0.1) as server, server.connected() as socket:
        assert (await closed(socket))[0] == 4408


async def test_whoever_greets_in_time_may_be_silent_afterwards() -> None:
    async with served(init_s=0.1) as server, server.greeted() as talk:
        await asyncio.sleep(0.3)
        assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def test_nothing_is_run_before_the_greeting(server: Served) -> None:
    async with server.connected() as socket:
        await Talk(socket).subscribe('mutation { write(what: "it") }')
        assert (await closed(socket))[0] == 4401
    assert server.journal.entries == []


async def test_a_second_greeting_ends_the_socket(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.say("connection_init")
        assert (await talk.closed())[0] == 4429


async def test_an_id_is_used_once_at_a_time(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.subscribe("subscription { silent }", "same")
        await talk.subscribe("{ hello }", "same")
        assert await talk.closed() == (4409, "there is a subscriber same already")
    await until(lambda: "silence ends" in server.journal.entries)


async def test_what_the_client_completes_is_cancelled_and_its_id_free_at_once(
    server: Served,
) -> None:
    async with server.greeted() as talk:
        for _ in range(5):
            await talk.subscribe("subscription { ticks }", "same")
            assert (await talk.next())["payload"]["data"] == {"ticks": 0}
            await talk.say("complete", id="same")
            await talk.subscribe("{ hello }", "same")
            while "ticks" in (message := await talk.next()).get("payload", {}).get("data", {}):
                assert message["id"] == "same"  # was said before ours arrived
            assert message["payload"]["data"] == {"hello": "hello world"}
            assert await talk.next() == {"id": "same", "type": "complete"}
        await until(lambda: server.journal.entries.count("ticks begin") == 5)
        await until(lambda: sum("ticks end" in e for e in server.journal.entries) == 5)


async def test_a_query_that_is_completed_early_is_cancelled(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.subscribe("{ held }")
        await until(lambda: server.journal.entries == ["held begins"])
        await talk.say("complete", id="1")
        await until(lambda: server.journal.entries[-1] == "held is cancelled")
        assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def test_completing_what_is_not_there_is_nothing(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.say("complete", id="never was")
        assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def test_whoever_leaves_has_everything_cancelled(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.subscribe("subscription { silent }", "s")
        await talk.subscribe("subscription { ticks }", "t")
        await talk.subscribe("{ held }", "h")
        await until(lambda: len(server.journal.entries) == 3)
        talk.socket.transport.abort()  # without a word
    await server.until_idle()

    assert {e.split(" after")[0] for e in server.journal.entries[3:]} == {
        "silence ends",
        "ticks end",
        "held is cancelled",
    }


# ── which protocol ──────────────────────────────────────────────────────────


@pytest.mark.parametrize("offered", [["graphql-ws"], [], ["mqtt", "graphql-ws"]])
async def test_other_protocols_are_refused_in_a_way_that_browsers_show(
    server: Served, offered: list[str]
) -> None:
    options = {"subprotocols": [websockets.Subprotocol(p) for p in offered] or None}
    async with server.connected(**options) as socket:
        assert await closed(socket) == (4406, f"speak {PROTOCOL}")


async def test_the_newer_protocol_is_taken_from_among_others(server: Served) -> None:
    async with server.greeted(subprotocols=["graphql-ws", PROTOCOL]) as talk:
        assert talk.socket.subprotocol == PROTOCOL


async def test_a_path_that_is_not_there_is_refused(server: Served) -> None:
    with pytest.raises(websockets.InvalidStatus):
        async with websockets.connect(server.url + "/nothing"):
            pass


# ── documents by name, and who names them ───────────────────────────────────


@pytest.mark.parametrize("naming", NAMINGS.values(), ids=NAMINGS)
async def test_a_document_that_is_known_is_run_by_its_name(
    server: Served, naming: dict[str, Any]
) -> None:
    async with server.greeted() as talk:
        await talk.say("subscribe", id="1", payload=naming)
        [unknown] = await talk.all_of()
        assert codes(unknown) == ["PERSISTED_QUERY_NOT_FOUND"]
        await talk.say("subscribe", id="1", payload=registering())
        assert (await talk.all_of())[-1]["type"] == "complete"
        await talk.say("subscribe", id="1", payload=naming)
        said = await talk.all_of()

    assert [m["payload"] for m in said[:-1]] == [{"data": {"count": 0}}, {"data": {"count": 1}}]


async def test_two_names_for_one_operation_end_the_socket(server: Served) -> None:
    async with server.greeted() as talk:
        payload = {"documentId": "a", "doc_id": "b"}
        await talk.say("subscribe", id="1", payload=payload)
        assert (await talk.closed())[0] == 4400


async def test_clients_say_who_they_are_in_the_greeting_or_in_headers(server: Served) -> None:
    headers = {"graphql-client-name": "headers", "graphql-client-version": "1"}
    for payload, client in (
        ({}, Client("headers", "1")),
        (
            {"apollographql-client-name": "said", "apollographql-client-version": "2"},
            Client("said", "2"),
        ),
        ({"Graphql-Client-Name": "said", "graphql-client-version": 3}, Client("said", "")),
        ({"apollographql-client-name": {"$ne": 1}}, Client("headers", "1")),
    ):
        async with server.connected(additional_headers=headers) as socket:
            talk = Talk(socket)
            await talk.say("connection_init", payload=payload)
            await talk.next()
            await talk.ask("{ hello }")
        assert server.journal.clients.pop() == client
