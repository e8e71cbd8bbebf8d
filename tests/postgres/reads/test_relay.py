"""What Relay's clients count on, through the schema: pages that hold while rows come and go, and
global ids of any kind that cost a statement a kind.
"""

import os
import random
from collections.abc import Awaitable, Callable, Iterator
from dataclasses import dataclass, field
from datetime import timedelta
from decimal import Decimal
from typing import Any
from uuid import UUID

import pytest

from adapters.postgres.pool import Pool
from domain.identity import Actor, Role, new_id
from tests.postgres.reads.rows import DAY, Owner, Recorded
from tests.postgres.reads.test_sessions import a_session
from tests.schema.world import World, gid

SEEDS = range(200) if os.environ.get("DASHTAM_TEST_LONG") == "1" else range(4)
ORDERS = ("DATE_DESC", "DATE_ASC", "AMOUNT_DESC", "AMOUNT_ASC")
SYMBOLS = (*"ABC", None)
CONNECTIONS = [
    *(("transactions", f"transactions(orderBy: {order}, %s)") for order in ORDERS),
    ("transactions", "account(id: $account) { transactions(%s)"),
    ("holdings", "holdings(%s)"),
    ("holdings", "account(id: $account) { holdings(%s)"),
    ("sync_runs", "syncRuns(%s)"),
]
KINDS = {"transactions": "Transaction", "holdings": "Holding", "sync_runs": "SyncRun"}


class Stored(World):
    """The schema's world, on PostgreSQL."""

    def __init__(self, pool: Pool, owner: Owner) -> None:
        super().__init__()
        self.read: list[Recorded] = []
        self._pool, self._actor = pool, Actor(user_id=owner.id, role=Role.USER)

    def snapshot(self, actor: Actor) -> Any:
        self.read.append(Recorded(self._pool, actor.user_id))
        return self.read[-1]

    async def data(self, document: str, **variables: Any) -> Any:
        self.read.clear()
        answer = await self.ask(document, variables, viewer=self._actor)
        assert answer.errors == []
        return answer.data


@dataclass(slots=True)
class Rows:
    """Those of one table, which come and go."""

    owner: Owner
    table: str
    account: UUID
    link: UUID
    some: random.Random
    ids: set[UUID] = field(default_factory=set)
    throughout: set[UUID] = field(default_factory=set)

    async def come(self, count: int) -> None:
        """Anywhere in the order, and with ids of any time."""
        make = {
            "transactions": self._a_transaction,
            "holdings": self._a_holding,
            "sync_runs": self._a_run,
        }[self.table]
        self.ids |= {await make() for _ in range(count)}

    async def go(self, id: UUID) -> None:
        """Out of the list, or out of the table."""
        marks = {"transactions": "removed_at = now()", "holdings": "is_active = false"}
        gone = f"DELETE FROM {self.table}"
        if self.table in marks and self.some.random() < 0.5:
            gone = f"UPDATE {self.table} SET {marks[self.table]}"
        await self.owner.db.execute(f"{gone} WHERE user_id = $1 AND id = $2", self.owner.id, id)
        self.ids.discard(id)
        self.throughout.discard(id)

    async def _a_transaction(self) -> UUID:
        id = UUID(int=self.some.getrandbits(128))
        day = DAY + timedelta(days=self.some.randrange(-2, 3))
        amount = Decimal(self.some.choice(("1.5", "1.50", "-1.5", "0", "-0.01")))
        return await self.owner.transaction(self.account, id=id, date=day, amount=amount)

    async def _a_holding(self) -> UUID:
        id = UUID(int=self.some.getrandbits(128))
        security = await self.owner.security(symbol=self.some.choice(SYMBOLS), name="B")
        return await self.owner.holding(self.account, security, id=id)

    async def _a_run(self) -> UUID:
        return await self.owner.run(self.link, id=UUID(int=self.some.getrandbits(128)))


async def walked(world: Stored, rows: Rows, connection: str) -> list[UUID]:
    """What was shown on all pages, while between any two of them rows came and went."""
    shown = (
        f"{connection} {{ edges {{ cursor node {{ id }} }} pageInfo {{ hasNextPage endCursor }} "
    )
    shown = shown % "first: $first, after: $after" + "}" * (1 + connection.count("{"))
    account = gid("Account", rows.account)
    document = f"query ($first: Int!, $after: String) {{ {shown} }}"
    document = document.replace("$account", f'"{account}"')
    cursor = None
    seen: list[UUID] = []
    for _ in range(100):
        data = await world.data(document, first=rows.some.randrange(1, 6), after=cursor)
        while "edges" not in data:
            [data] = data.values()
        page = [edge["node"]["id"] for edge in data["edges"]]
        by_id = {gid(KINDS[rows.table], id): id for id in rows.ids}
        assert set(page) <= by_id.keys()
        seen += [by_id[id] for id in page]
        if not data["pageInfo"]["hasNextPage"]:
            break
        cursor = data["pageInfo"]["endCursor"]
        assert cursor == data["edges"][-1]["cursor"]
        await rows.come(rows.some.randrange(3))
        for id in rows.some.sample(sorted(rows.ids), 2):
            await rows.go(id)
        if rows.some.random() < 0.5 and seen[-1] in rows.ids:
            await rows.go(seen[-1])  # the very row that the cursor is of
    return seen


@pytest.mark.parametrize("seed", SEEDS)
@pytest.mark.parametrize(("table", "connection"), CONNECTIONS, ids=lambda said: said)
async def test_what_was_there_throughout_is_on_exactly_one_page(
    owner: Owner, pool: Pool, table: str, connection: str, seed: int
) -> None:
    account, link = await owner.account(), await owner.link()
    rows = Rows(owner, table, account, link, random.Random(f"{connection} {seed}"))
    await rows.come(18)
    rows.throughout |= rows.ids

    seen = await walked(Stored(pool, owner), rows, connection)

    assert len(seen) == len(set(seen))
    assert rows.throughout
    assert rows.throughout <= set(seen)


@pytest.fixture
async def mixed(owner: Owner) -> dict[str, list[UUID]]:
    """A hundred things, of every kind that a ledger has."""
    links = [await owner.link() for _ in range(10)]
    accounts = [await owner.account(fed_by=(links[0],)) for _ in range(20)]
    securities = [await owner.security() for _ in range(10)]
    return {
        "Viewer": [owner.id],
        "Session": [await a_session(owner) for _ in range(9)],
        "Link": [*links],
        "Account": [*accounts],
        "Security": [*securities],
        "Holding": [await owner.holding(accounts[0], each) for each in securities],
        "Transaction": [await owner.transaction(each) for each in accounts],
        "SyncRun": [await owner.run(each) for each in links for _ in range(2)],
    }


async def test_a_hundred_ids_of_all_kinds_cost_a_statement_a_kind(
    owner: Owner, pool: Pool, mixed: dict[str, list[UUID]]
) -> None:
    world = Stored(pool, owner)
    ids = [gid(kind, id) for kind, found in mixed.items() for id in found]
    random.Random(1).shuffle(ids)
    asked = [*ids, "nonsense", gid("Account", new_id())]
    document = "query ($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"

    first = await world.data(document, ids=asked)
    [reads] = world.read
    again = await world.data(document, ids=asked)

    assert len(ids) == 100
    assert [node and node["id"] for node in first["nodes"]] == [*ids, None, None]
    assert {node["__typename"] for node in first["nodes"] if node} == mixed.keys()
    assert first == again
    assert reads.statements == len(mixed), [sql for sql, _ in reads.sent]


def lists(data: Any) -> Iterator[str]:
    if isinstance(data, dict):
        if "id" in data:
            yield data["id"]
        for value in data.values():
            yield from lists(value)
    for value in data if isinstance(data, list) else ():
        yield from lists(value)


async def test_an_id_is_the_same_wherever_an_object_is_met_and_finds_it_again(
    owner: Owner, pool: Pool, mixed: dict[str, list[UUID]], an_owner: Callable[[], Awaitable[Owner]]
) -> None:
    document = """{ viewer { id sessions { id } } links { id accounts { id link { id } } lastRun { id } }
      accounts { id } holdings { nodes { id security { id } account { id } } }
      transactions { nodes { id account { id } } } syncRuns { nodes { id link { id } } } }"""
    world, stranger = Stored(pool, owner), Stored(pool, await an_owner())
    met = {*lists(await world.data(document))}
    again = "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }"

    assert met == {gid(kind, id) for kind, found in mixed.items() for id in found}
    found = await world.data(again, ids=[*met])
    assert [node["id"] for node in found["nodes"]] == [*met]
    foreign = await stranger.data(again, ids=[*met])
    assert foreign == {"nodes": [None] * len(met)}
