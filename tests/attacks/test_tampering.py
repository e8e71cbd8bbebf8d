"""Ids and cursors that somebody else made, and two people who ask for the same at once."""

import asyncio
import base64
import json
import os
import random
import re
from collections import Counter
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid4

import httpx2
import pytest

from schema.ids import global_id
from schema.paging import encoded
from tests.attacks.stand import Target, answered, proper
from tests.e2e.stack import Client

TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01"
LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
SAMPLES = 200 if LONG else 80
AT_ONCE, ROOM = 1_000 if LONG else 250, 40  # as many of them as there are places for
MINE = """{ accounts { id link { id lastRun { id } } } holdings { nodes { id } }
  transactions(first: 10) { nodes { id amount { amount } } edges { cursor } } }"""
BY_ID = "query($id: ID!) { node(id: $id) { __typename id } }"
PAGE = """query($after: String, $by: TransactionOrder! = DATE_DESC) {
  transactions(first: 3, after: $after, orderBy: $by) { nodes { id amount { amount } } } }"""
OTHER_PAGES = {
    "holdings": "query($after: String) { holdings(after: $after) { nodes { id } } }",
    "syncRuns": "query($after: String) { syncRuns(after: $after) { nodes { id } } }",
    "changes": "query($after: String) { changes(after: $after) { cursor } }",
}


@dataclass(frozen=True, slots=True)
class Owned:
    """What is one person's."""

    client: Client
    ids: tuple[str, ...]
    transactions: frozenset[str]
    cursors: tuple[str, ...]


@pytest.fixture(scope="module")
async def ann(target: Target) -> Owned:
    return await _owned(target.ann)


@pytest.fixture(scope="module")
async def bob(target: Target) -> Owned:
    return await _owned(target.bob)


async def _owned(client: Client) -> Owned:
    found = await client.ask(MINE)
    [account] = found["accounts"]
    rows = [row["id"] for row in found["transactions"]["nodes"]]
    ids = (account["id"], account["link"]["id"], account["link"]["lastRun"]["id"], *rows)
    cursors = tuple(edge["cursor"] for edge in found["transactions"]["edges"])
    return Owned(client, ids, frozenset(rows), cursors)


def flipped(text: str, dice: random.Random) -> Iterator[str]:
    """One bit of what it holds, or of how that is written."""
    while True:
        as_written = dice.random() < 0.5
        raw = bytearray(text.encode() if as_written else base64.urlsafe_b64decode(text))
        raw[dice.randrange(len(raw))] ^= 1 << dice.randrange(8)
        changed = raw.decode("latin-1") if as_written else base64.urlsafe_b64encode(raw).decode()
        if changed != text and "\0" not in changed:
            yield changed


async def test_an_id_with_another_bit_is_nobodys(ann: Owned, bob: Owned) -> None:
    """Whoever asks gets the same bytes for it as for one that is nowhere, and for another's."""
    dice = random.Random(7)
    absent = [global_id(kind, uuid4()) for kind in ("Account", "Link", "SyncRun", "Transaction")]
    bits = [next(flipped(dice.choice(ann.ids), dice)) for _ in range(SAMPLES)]
    for asker, ids in ((ann, [*bits, *absent, *bob.ids]), (bob, [*absent, *ann.ids])):
        answers = await asyncio.gather(
            *(answered(asker.client, BY_ID, {"id": id}, traceparent=TRACEPARENT) for id in ids)
        )
        assert {(a.status_code, a.content) for a in answers} == {(200, b'{"data":{"node":null}}')}


async def test_a_cursor_with_another_bit_shows_nothing_of_another(ann: Owned) -> None:
    """It is refused, or a place between one's own rows."""
    dice, seen = random.Random(7), Counter[str]()
    for _ in range(SAMPLES):
        cursor = next(flipped(dice.choice(ann.cursors), dice))
        said = proper(await ann.client.post(PAGE, {"after": cursor}))
        if "errors" in said:
            [error] = said["errors"]
            assert error["message"] == "after is not a cursor of this list"
            assert error["extensions"]["code"] == "BAD_USER_INPUT"
        else:
            assert {row["id"] for row in said["data"]["transactions"]["nodes"]} <= ann.transactions
        seen["refused" if "errors" in said else "a place"] += 1
    assert seen["refused"] > SAMPLES / 2, seen


async def test_anothers_cursor_is_a_place_like_any_that_was_made_up(ann: Owned, bob: Owned) -> None:
    for cursor in ann.cursors:
        of, by, id = json.loads(base64.urlsafe_b64decode(cursor))
        made_up = encoded(of, by, str(UUID(int=UUID(id).int ^ 1)))
        real, other = [
            await bob.client.post(PAGE, {"after": each}, traceparent=TRACEPARENT)
            for each in (cursor, made_up)
        ]
        assert real.content == other.content
        rows = {row["id"] for row in real.json()["data"]["transactions"]["nodes"]}
        assert rows <= bob.transactions


@pytest.mark.parametrize("field", OTHER_PAGES)
async def test_the_cursor_of_one_list_is_none_of_another(ann: Owned, field: str) -> None:
    malformed = [encoded("a", "b", "c"), encoded("a"), encoded("\ud800", "x"), encoded("a", "b")]
    for cursor in (*ann.cursors, *malformed):
        [error] = proper(await ann.client.post(OTHER_PAGES[field], {"after": cursor}))["errors"]
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
        assert error["path"] == [field]


async def test_the_cursor_of_one_order_is_none_of_another(ann: Owned) -> None:
    for order in ("AMOUNT_ASC", "AMOUNT_DESC"):
        [error] = await ann.client.errors(PAGE, after=ann.cursors[0], by=order)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.fixture
async def one_connection(target: Target) -> AsyncIterator[Client]:
    """Which stays open, for whoever asks by it."""
    limits = httpx2.Limits(max_connections=1, max_keepalive_connections=1)
    async with httpx2.AsyncClient(base_url=target.url, timeout=60, limits=limits) as http:
        yield Client(http)


async def test_hundreds_at_once_each_get_their_own(
    ann: Owned, bob: Owned, one_connection: Client
) -> None:
    """Two people who ask for the same keys, one of them over the other's connection, too."""
    both = [ann, bob]
    query = """query Same($ids: [ID!]!) { nodes(ids: $ids) { __typename id }
      transactions(first: 3) { nodes { id account { id link { lastRun { id } } } } } }"""
    ids = [ann.ids[0], bob.ids[0], *ann.ids[3:6], *bob.ids[3:6]]
    room = asyncio.Semaphore(ROOM)

    async def asked(number: int) -> None:
        me = both[number % 2]
        token = {"authorization": f"Bearer {me.client.token}"}
        client = one_connection if number % 10 < 3 else me.client
        async with room:
            said = await answered(client, query, {"ids": ids}, **token)
        found = set(re.findall(r'"id":"([^"]+)"', said.text))
        assert found <= {*me.ids, *me.transactions}, number
        shown: dict[str, Any] = proper(said)["data"]
        assert sum(node is not None for node in shown["nodes"]) == 4
        assert len(shown["transactions"]["nodes"]) == 3

    await asyncio.gather(*map(asked, range(AT_ONCE)))
