"""The reference client of graphql-transport-ws, by its own code, against the whole application."""

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
    """What the client was told, and by whom it asked."""

    email: str
    said: dict[str, Any]


@pytest.fixture(scope="module")
async def stack(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Stack]:
    folder: Path = tmp_path_factory.mktemp("graphql-ws")
    async with postgres.fresh_database() as database, a_stack(database, folder) as running:
        yield running


@pytest.fixture(scope="module")
async def told(stack: Stack, node: Node) -> Told:
    url = stack.gateway.url.replace("http", "ws", 1) + "/graphql"
    async with stack.somebody() as client, stack.nobody() as browser:
        await browser.sign_in(client.email, delivery="COOKIE")
        cookie = f"dashtam={browser.http.cookies['dashtam']}"
        run_id = (await connect(client))["link"]["lastRun"]["id"]
        arguments = (url, client.token or "", cookie, run_id, "U3luY1J1bjp4")
        said = json.loads(await node.run("graphql_ws_client.mjs", *arguments))
        return Told(client.email, said)


def refused(said: list[Any]) -> list[str]:
    [only] = said
    return [error["code"] for error in only["errors"]]


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
