"""The clients of streams, by their own code, against the whole application: graphql-ws and
graphql-sse, which are the references of their protocols, and EventSource as browsers have it.
"""

import json
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conformance.node import Node
from tests.e2e.linking import connect
from tests.e2e.stack import Stack, a_stack
from tests.servers import Postgres


@dataclass(frozen=True, slots=True)
class Told:
    """What the clients were told, and by whom they asked."""

    email: str
    said: dict[str, Any]
    sse: dict[str, Any]
    events: dict[str, Any]


@pytest.fixture(scope="module")
async def stack(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("live-clients")
    async with postgres.fresh_database() as database, a_stack(database, folder) as running:
        yield running


@pytest.fixture(scope="module")
async def told(stack: Stack, node: Node) -> Told:
    async with stack.somebody() as client, stack.nobody() as browser:
        await browser.sign_in(client.email, delivery="COOKIE")
        given = {
            "url": f"{stack.gateway.url}/graphql",
            "token": client.token,
            "cookie": f"dashtam={browser.http.cookies['dashtam']}",
            "run": (await connect(client))["link"]["lastRun"]["id"],
        }
        scripts = ("graphql_ws.mjs", "graphql_sse.mjs", "events.mjs")
        found = [await node.run(f"clients/{script}", json.dumps(given)) for script in scripts]
        return Told(client.email, *map(json.loads, found))


def refused(said: list[Any]) -> list[str]:
    [only] = said
    return [error["code"] for error in only["errors"]]


# ── graphql-ws ──────────────────────────────────────────────────────────────


async def test_it_follows_a_run_to_its_end_by_token_and_by_cookie(told: Told) -> None:
    states = [m["next"]["data"]["syncProgress"] for m in told.said["progress"][:-1]]

    assert told.said["progress"][-1] == "complete"
    assert states[-1] == {"status": "SUCCEEDED", "progress": 1}
    assert told.said["again"] == [
        {"next": {"data": {"syncProgress": {"status": "SUCCEEDED", "progress": 1}}}},
        "complete",
    ]


async def test_queries_and_mutations_come_this_way_too(told: Told) -> None:
    assert told.said["query"] == [{"next": {"data": {"viewer": {"email": told.email}}}}, "complete"]
    assert told.said["mutation"] == [
        {"next": {"data": {"updateSettings": {"errors": []}}}},
        "complete",
    ]
    assert told.said["many"] == 40


async def test_errors_are_of_the_shape_that_it_knows(told: Told) -> None:
    assert refused(told.said["unknown"]) == ["NOT_FOUND"]
    assert refused(told.said["invalid"]) == ["GRAPHQL_VALIDATION_FAILED"]
    assert refused(told.said["syntax"]) == ["GRAPHQL_PARSE_FAILED"]
    assert refused(told.said["variables"]) == ["BAD_USER_INPUT"]
    assert refused(told.said["nobodys"]) == ["UNAUTHENTICATED"]
    [asked, complete] = told.said["nobody"]
    assert (asked["next"]["data"], complete) == (None, "complete")
    assert asked["next"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_credentials_that_are_no_good_close_the_socket(told: Told) -> None:
    [closed] = told.said["stolen"]
    assert closed["code"] == 4401
    [stranger] = told.said["stranger"]
    assert "403" in stranger["message"]


async def test_what_it_completes_early_is_over_and_the_socket_goes_on(told: Told) -> None:
    assert told.said["early"] == [False, True]
    assert told.said["afterwards"] == [{"next": {"data": {"__typename": "Query"}}}, "complete"]


async def test_its_pings_are_answered(told: Told) -> None:
    assert told.said["pongs"] is True


async def test_a_hash_names_a_document_over_a_socket_too(told: Told) -> None:
    answer = [{"next": {"data": {"viewer": {"email": told.email}}}}, "complete"]

    assert refused(told.said["missed"]) == ["PERSISTED_QUERY_NOT_FOUND"]
    assert told.said["registered"] == told.said["named"] == answer


# ── graphql-sse ─────────────────────────────────────────────────────────────


def codes(said: list[Any]) -> list[str]:
    """Of a stream that had one result, of errors alone."""
    [only, complete] = said
    assert complete == "complete"
    assert only["next"].get("data") is None
    return [error["extensions"]["code"] for error in only["next"]["errors"]]


async def test_a_stream_follows_a_run_to_its_end(told: Told) -> None:
    [sent] = told.sse["sent"]

    assert told.sse["progress"] == told.said["again"]
    assert sent["headers"]["accept"] == "text/event-stream"
    assert sent["answer"]["content-type"].startswith("text/event-stream")


async def test_queries_and_mutations_are_streams_of_one(told: Told) -> None:
    for case in ("query", "mutation"):
        assert told.sse[case] == told.said[case]
    assert told.sse["many"] == ["complete"] * 20


async def test_errors_are_told_in_the_stream(told: Told) -> None:
    for case, code in (
        ("unknown", "NOT_FOUND"),
        ("invalid", "GRAPHQL_VALIDATION_FAILED"),
        ("syntax", "GRAPHQL_PARSE_FAILED"),
        ("variables", "BAD_USER_INPUT"),
        ("nobody", "UNAUTHENTICATED"),
        ("nobodys", "UNAUTHENTICATED"),
    ):
        assert codes(told.sse[case]) == [code], case


async def test_credentials_that_are_no_good_open_no_stream(told: Told) -> None:
    [closed] = told.sse["stolen"]

    assert closed["status"] == 401
    assert [e["extensions"]["code"] for e in closed["body"]["errors"]] == ["UNAUTHENTICATED"]


async def test_a_stream_that_is_left_early_is_over(told: Told) -> None:
    assert told.sse["early"] == [False, True]


# ── events, cut off and gone on with ────────────────────────────────────────


async def test_events_after_a_cursor_are_those_that_were_heard_live(told: Told) -> None:
    live = told.events["live"]

    assert [event["name"] for event in live[-4:]] == ["sync.started", "sync.completed"] * 2
    assert len({event["id"] for event in live}) == len(live)
    assert told.events["socket"] == live


async def test_a_stream_that_was_cut_goes_on_after_the_last_event_id(told: Told) -> None:
    stream = told.events["stream"]

    assert stream["events"] == told.events["live"]
    assert stream["connections"] > 1


async def test_an_event_source_comes_back_by_itself_and_misses_nothing(told: Told) -> None:
    source, live = told.events["eventSource"], told.events["live"]

    assert source["events"] == [event | {"isNamed": True} for event in live]
    assert source["sent"] == [None, live[1]["cursor"]]
