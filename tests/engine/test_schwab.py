"""Schwab through the engine: consent, real HTTP, a real database; renewal, the week's end, again."""

import asyncio
import json
from collections.abc import AsyncIterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import parse_qs, urlsplit

import httpx2
import pytest

from adapters.postgres.snapshot import Snapshot
from adapters.providers import Client
from adapters.providers.kit import Timing
from adapters.providers.schwab import Schwab
from domain.authorizations import Answer
from domain.commands.accounts import UpdateAccount, update_account
from domain.commands.authorizing import (
    Authorize,
    CompleteAuthorization,
    authorize,
    complete_authorization,
)
from domain.commands.expiring import ExpireLink, expire_link
from domain.errors import Conflict
from domain.identity import Actor
from domain.links import Link, LinkId
from domain.queries.budget import Budget
from domain.queries.reconciliation import reconciliations
from domain.sync import SyncRun, SyncStatus
from tests.engine.sessions import actor_of, enter
from tests.engine.world import DATA, MORNING, Engine, running_engine
from tests.providers.fakes import outside
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.schwab import CLIENT_ID, CLIENT_SECRET, Rotation, SchwabSimulator
from tests.providers.simulators.schwab_books import household, paid
from tests.servers import Database

CALLBACK = "http://127.0.0.1:8000/oauth/schwab/callback"
WEEK, HOUR = timedelta(days=7), timedelta(hours=1)


@dataclass
class World:
    engine: Engine
    sim: SchwabSimulator
    actor: Actor

    async def consent(self, link_id: LinkId | None = None) -> Link:
        """As the owner in a browser: to Schwab, and back with what its URL says."""
        engine, at = self.engine, self.engine.clock()
        begin = Authorize(
            actor=self.actor, provider_slug="schwab", link_id=link_id, alias=None, return_to=None,
            at=at,
        )  # fmt: skip
        asked = await authorize(engine.app, begin)
        async with httpx2.AsyncClient() as browser:
            sent_to = (await browser.get(asked.url or "")).headers["location"]
        assert sent_to.startswith(CALLBACK)
        said = {name: text for name, [text] in parse_qs(urlsplit(sent_to).query).items()}
        answer = Answer.of(said["state"], code=said["code"], iss=None, error=None)
        cmd = CompleteAuthorization(
            actor=self.actor, answer=answer, provider_slug="schwab", at=engine.clock()
        )
        return await complete_authorization(engine.app, cmd)

    async def linked(self) -> tuple[Link, SyncRun]:
        link = await self.consent()
        [run] = await self.engine.run_waiting()
        return link, run

    async def later(self, **by: float) -> SyncRun:
        self.engine.clock.turn(**by)
        [asked] = await self.engine.request()
        return await self.engine.run(asked.id)

    async def look(self) -> None:
        """What a worker does with what a door shows it."""
        at = self.engine.clock()
        for _, link_id in await self.engine.app.doors.expiring_links(at, 100):
            await expire_link(self.engine.app, ExpireLink(actor=self.actor, link_id=link_id, at=at))


def simulated(sim: SchwabSimulator) -> Timing:
    """The time of the test, in which waiting takes none."""

    def now() -> datetime:
        return sim.now()

    async def sleep(seconds: float) -> None:
        await asyncio.sleep(0)

    return Timing(now=now, monotonic=lambda: now().timestamp(), sleep=sleep)


@pytest.fixture
async def world(database: Database, tmp_path: Path) -> AsyncIterator[World]:
    async with SchwabSimulator(books=household(MORNING), callbacks=(CALLBACK,)) as sim:
        reached = replace(outside(None, sim.host), timing=simulated(sim))
        client = Client(base_url=sim.url, id=CLIENT_ID, secret=CLIENT_SECRET)
        async with running_engine(database, tmp_path, Schwab(reached, client)) as engine:
            sim.now = engine.clock
            yield World(engine, sim, await actor_of(engine, await enter(engine)))
            assert sim.complaints == []
            await reached.aclose()


async def test_consent_brings_everything_which_reconciles_and_the_same_again_writes_nothing(
    world: World,
) -> None:
    engine = world.engine
    link, run = await world.linked()

    assert (run.status, run.error) == (SyncStatus.SUCCEEDED, None)
    assert link.credentials_expire_at == engine.clock() + WEEK
    assert link.institution == "Charles Schwab"
    entries = sum(len(books.entries) for books in world.sim.books)
    assert run.transactions.created == await engine.count("transactions") == entries
    assert run.holdings.created == await engine.count("holdings", "is_active") == 7
    assert await engine.count("holdings", "quantity < 0 AND market_value < 0") == 2
    assert await engine.count("quarantine") == 0
    reads = Snapshot(engine.wired.pool, engine.actor.user_id)
    try:
        known = await reads.accounts()
        found = await reconciliations(reads, known, Budget())
    finally:
        await reads.close()
    assert len(known) == 2
    assert all(one.balanced and one.checked_at is not None for one in found), found

    before, version, events = await engine.written(*DATA), await engine.version(), engine.events
    told = len(await events())
    forced = await engine.sync(link)
    again = await world.later(minutes=6)
    assert (await engine.written(*DATA), await engine.version()) == (before, version)
    assert forced.transactions.unchanged == entries
    assert 0 < again.transactions.unchanged < entries
    assert (await events())[told:] == ["sync.started", "sync.completed"] * 2
    secrets = [*world.sim.tokens, *world.sim.refresh_tokens, "71234567"]
    everything = str(await engine.said("events", "audit_log", "sync_runs", "links", "accounts"))
    assert not [secret for secret in secrets if secret in everything]


@pytest.mark.parametrize("rotation", Rotation)
async def test_a_sync_after_the_tokens_end_renews_it_in_all_three_ways(
    world: World, rotation: Rotation
) -> None:
    world.sim.rotation = rotation
    link, _ = await world.linked()
    for _ in range(3):
        run = await world.later(hours=6)
        assert (run.status, run.error) == (SyncStatus.SUCCEEDED, None)
    stored = await world.engine.link(link.id)
    assert stored["credentials_expire_at"] == MORNING + WEEK
    assert (await world.engine.events()).count("link.credentials_refreshed") == 3
    assert "link.needs_reauthorization" not in await world.engine.events()


async def test_the_week_is_announced_ends_without_a_call_and_begins_anew_with_everything_kept(
    world: World,
) -> None:
    engine = world.engine
    link, _ = await world.linked()
    account = (await engine.rows("accounts", order="name"))[0]
    rename: dict[str, Any] = {"nickname": "Ours", "included_in_net_worth": False}
    await update_account(
        engine.app,
        UpdateAccount(actor=world.actor, account_id=account["id"], at=engine.clock(), **rename),
    )
    before = await engine.said("accounts", "transactions", "holdings", "securities")
    calls = len(world.sim.requests)
    for hours in (49, 47, 13, 11):
        engine.clock.at = MORNING + WEEK - HOUR * hours
        await world.look()
    engine.clock.at = MORNING + WEEK
    await world.look()

    assert (await engine.link(link.id))["status"] == "NEEDS_REAUTHORIZATION"
    told = [json.loads(e["facts"]) for e in await engine.rows("events", "name = 'link.expiring'")]
    assert sorted(fact["hours"] for fact in told) == ["12", "48"]
    assert len(world.sim.requests) == calls

    with pytest.raises(Conflict) as refused:
        await world.consent()  # as if it were another one
    assert refused.value.existing == ("Link", link.id)
    world.sim.books[0].hash = "D4" * 32  # as if our app were another one
    mended = await world.consent(link.id)
    [run] = await engine.run_waiting()
    assert (mended.id, run.status) == (link.id, SyncStatus.SUCCEEDED)
    assert mended.credentials_expire_at == MORNING + 2 * WEEK
    assert await engine.said("accounts", "transactions", "holdings", "securities") == before
    assert run.transactions.created == run.accounts.created == 0


async def test_a_pending_trade_settles_under_our_id_even_where_schwab_numbers_it_anew(
    world: World,
) -> None:
    [margin, ira] = world.sim.books
    pending = margin.entries[-1]
    gone = ira.enter("JOURNAL", MORNING, "5", paid("5"), status="PENDING")
    await world.linked()
    rows = await world.engine.rows("transactions", "status = 'PENDING'", order="amount")
    assert [row["amount"] for row in rows] == [Decimal("-229.60"), Decimal(5)]

    margin.settle(pending, renumbered=True)
    ira.entries.remove(gone)
    run = await world.later(hours=3)

    assert (run.transactions.updated, run.transactions.created) == (1, 0)
    now = await world.engine.one("transactions", "id = $1", rows[0]["id"])
    assert (now["status"], now["removed_at"]) == ("SETTLED", None)
    now = await world.engine.one("transactions", "id = $1", rows[1]["id"])
    assert now["removed_at"] == world.engine.clock()


async def test_one_account_that_cannot_be_read_is_partial_and_all_are_a_failure(
    world: World,
) -> None:
    ira = world.sim.books[1]
    await world.linked()
    path = "/trader/v1/accounts/{}/transactions"
    world.sim.fault(Trouble.FORBIDDEN_PAGE, path=path.format(ira.hash), times=9)
    run = await world.later(hours=1)
    assert (run.status, run.failed_accounts) == (SyncStatus.PARTIAL, 1)
    assert run.error is not None

    world.sim.mend()
    world.sim.fault(Trouble.FORBIDDEN_PAGE, path=path.format("*"), times=99)
    run = await world.later(hours=1)
    assert run.status is SyncStatus.FAILED
    world.sim.mend()
    assert (await world.later(hours=1)).status is SyncStatus.SUCCEEDED
