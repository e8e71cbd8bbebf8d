"""Credentials that end: renewed in good time, presented once, and lost only visibly."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain.audit import Attempt, AuditOutcome
from domain.commands.credentials import opened
from domain.commands.leases import Busy, LeaseLost
from domain.commands.refreshing import RefreshCredentials, refresh_credentials
from domain.errors import (
    Conflict,
    CredentialsRejected,
    ErrorCode,
    InvalidInput,
    ProviderUnavailable,
    Unavailable,
)
from domain.identity import Actor, new_id
from domain.links import Link, LinkId
from domain.ports import Store
from domain.providers import RENEW_MAX
from domain.storage.work import Work
from domain.sync import LEASE, SyncStatus
from tests.engine.rotating import LIFETIME, Rotating
from tests.engine.scripted import Scripted, accounts, checking, spent, transactions
from tests.engine.world import Clock, Engine, running_engine
from tests.servers import Database

TWO_PAGES = [accounts(checking()), transactions(spent("t1")), transactions(spent("t2"))]


@pytest.fixture
def bank(tmp_path: Path) -> Rotating:
    return Rotating(tmp_path, Clock(), script=list(TWO_PAGES))


@pytest.fixture
async def engine(
    database: Database, tmp_path: Path, bank: Rotating, scripted: Scripted
) -> AsyncIterator[Engine]:
    async with running_engine(database, tmp_path, bank, scripted) as running:
        bank.now = running.clock
        yield running


async def linked(engine: Engine) -> Link:
    link, run = await engine.linked(provider="rotating", login="ann")
    assert run.status is SyncStatus.SUCCEEDED
    return link


async def kept(engine: Engine, link_id: LinkId) -> dict[str, str]:
    """What opens of the credentials that are stored."""
    async with engine.app.store.begin(engine.actor, None) as work:
        link = await work.links.get(link_id)
        sealed = await work.links.credentials(link_id)
    assert sealed is not None
    return dict(opened(engine.app, link, sealed))


async def refresh(engine: Engine, link: Link) -> Link:
    cmd = RefreshCredentials(actor=engine.actor, link_id=link.id, at=engine.clock())
    return await refresh_credentials(engine.app, cmd)


async def count_of(engine: Engine, event: str) -> int:
    return (await engine.events()).count(event)


# ── in good time ────────────────────────────────────────────────────────────


async def test_credentials_that_could_end_during_a_pull_are_renewed_before_it(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    before = await engine.one("credentials")
    engine.clock.turn(minutes=20)
    await engine.sync(link)
    assert bank.books("ann")["presented"] == []

    engine.clock.turn(minutes=6)
    run = await engine.sync(link)

    assert run.status is SyncStatus.SUCCEEDED
    assert bank.books("ann")["presented"] == ["ann-refresh-0"]
    assert bank.asked[-1].credentials["access"] == "ann-access-1"
    after = await engine.one("credentials")
    assert after["version"] > before["version"]
    assert (after["renewal_fence"], after["renew_at"]) == (None, engine.clock() + LIFETIME)
    assert (await kept(engine, link.id))["refresh"] == "ann-refresh-1"
    assert await count_of(engine, "link.credentials_refreshed") == 1
    assert [outcome for outcome, _ in await engine.audit("link.renew")] == [
        "ATTEMPTED",
        "SUCCEEDED",
    ]


async def test_a_token_that_is_refused_in_the_middle_is_renewed_and_the_pull_goes_on(
    engine: Engine, bank: Rotating
) -> None:
    link = await engine.connect(provider="rotating", login="ann")

    async def end_it(where: str) -> None:
        if where == "pull.page" and len(bank.asked) == 1 and await engine.count("accounts"):
            bank.reached = quiet
            bank.end_access("ann")

    bank.reached = end_it
    [run] = await engine.run_waiting()

    assert (run.status, run.transactions.created) == (SyncStatus.SUCCEEDED, 2)
    assert [request.cursor for request in bank.asked] == [None, "2"]
    assert (await engine.link(link.id))["status"] == "ACTIVE"
    assert (run.accounts.received, run.attempts) == (1, 1)


async def quiet(_: str) -> None:
    pass


async def test_a_second_refusal_lapses_the_link_and_its_owner_is_told_once(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    bank.script = [accounts(checking()), CredentialsRejected("403", provider="rotating")]
    run = await engine.sync(link)

    assert run.status is SyncStatus.FAILED
    assert bank.books("ann")["presented"] == ["ann-refresh-0"]  # once, and never in a loop
    now = await engine.link(link.id)
    assert (now["status"], now["error_code"]) == ("NEEDS_REAUTHORIZATION", "CREDENTIALS_REJECTED")
    assert now["error_action"] == "REPLACE_CREDENTIALS"
    assert await count_of(engine, "link.needs_reauthorization") == 1


async def test_time_that_runs_out_between_two_pages_renews_between_them(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)

    async def take_long(where: str) -> None:
        if where == "pull.page":
            engine.clock.turn(minutes=20)
            await engine.spy.execute("UPDATE links SET lease_until = $1", engine.clock() + LEASE)

    bank.reached = take_long
    run = await engine.sync(link)

    assert run.status is SyncStatus.SUCCEEDED
    presented = bank.books("ann")["presented"]
    assert len(presented) == len({*presented}) > 0
    assert len(bank.asked) == 2 + len(presented)


async def test_what_the_owner_withdrew_is_revoked_and_not_renewed(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    bank.script = [CredentialsRejected("gone", provider="rotating", withdrawn=True)]
    await engine.sync(link)

    now = await engine.link(link.id)
    assert (now["status"], now["next_sync_at"]) == ("REVOKED", None)
    assert bank.books("ann")["presented"] == []
    [event] = await engine.rows("events", "name = 'link.needs_reauthorization'")
    assert '"REVOKED"' in event["facts"]


# ── nobody knows what became of it ──────────────────────────────────────────


async def test_a_provider_that_cannot_renew_now_fails_the_run_and_not_the_link(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    engine.clock.turn(hours=1)
    bank.says = [ProviderUnavailable("down", provider="rotating", retry_after_s=3_600)]
    run = await engine.sync(link)

    assert (run.status, run.error and run.error.retry_after_s) == (SyncStatus.FAILED, 3_600)
    now = await engine.link(link.id)
    assert (now["status"], now["consecutive_failures"]) == ("ACTIVE", 1)
    assert now["next_sync_at"] >= engine.clock() + timedelta(hours=1)
    assert (await engine.one("credentials"))["renewal_attempt"] == 1

    assert (await engine.sync(link)).status is SyncStatus.SUCCEEDED
    assert (await engine.one("credentials"))["renewal_attempt"] is None
    mended = await engine.link(link.id)
    assert (mended["error_code"], mended["consecutive_failures"]) == (None, 0)


async def test_a_renewal_that_our_own_budget_refused_leaves_no_doubt(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    engine.clock.turn(hours=1)
    spent = ProviderUnavailable("enough", provider="rotating", retry_after_s=900, asked=False)
    bank.says = [spent]
    run = await engine.sync(link)

    assert run.error is not None
    now = await engine.link(link.id)
    assert (now["status"], now["consecutive_failures"], now["error_code"]) == ("ACTIVE", 0, None)
    due = now["next_sync_at"] - engine.clock()
    assert timedelta(minutes=15) <= due <= timedelta(hours=1)  # since it was last synced
    assert (await engine.one("credentials"))["renewal_fence"] is None


@pytest.mark.parametrize("grace", [True, False])
async def test_what_a_dead_worker_began_is_tried_once_more_and_then_its_owner_is_asked(
    engine: Engine, bank: Rotating, *, grace: bool
) -> None:
    link = await linked(engine)
    bank.grace = grace
    engine.clock.turn(hours=1)

    class Died(BaseException): ...

    async def die(where: str) -> None:
        if where == "renew.rotated":
            raise Died

    bank.reached = die
    with pytest.raises(Died):
        await engine.sync(link)
    bank.reached = quiet
    engine.clock.at += LEASE * 2
    [row] = await engine.rows("sync_runs", "status = 'RUNNING'")
    await engine.run(row["id"])

    assert bank.books("ann")["presented"] == ["ann-refresh-0"] * 2
    now = await engine.link(link.id)
    assert now["status"] == ("ACTIVE" if grace else "NEEDS_REAUTHORIZATION")
    assert await count_of(engine, "link.needs_reauthorization") == (0 if grace else 1)
    if not grace:
        with pytest.raises(Conflict):
            await engine.sync(link)
        assert len(bank.books("ann")["presented"]) == 2


async def test_a_late_winners_answer_counts_and_the_one_who_was_refused_goes_on_with_it(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    engine.clock.turn(hours=1)
    answered, refused = asyncio.Event(), asyncio.Event()

    async def late(where: str) -> None:
        if where == "renew.rotated":
            answered.set()
            await refused.wait()

    async def meanwhile(where: str) -> None:
        if where == "renew.asked":
            refused.set()
            with pytest.raises(LeaseLost):
                await slow

    bank.reached = late
    [asked] = await engine.request(link_id=link.id, force=True)
    slow = asyncio.create_task(engine.run(asked.id, worker=new_id()))
    await answered.wait()
    engine.clock.at += LEASE * 2
    bank.reached = meanwhile
    run = await engine.run(asked.id, worker=new_id())

    assert run.status is SyncStatus.SUCCEEDED
    assert bank.books("ann")["presented"] == ["ann-refresh-0"] * 2
    assert (await kept(engine, link.id))["refresh"] == "ann-refresh-1"
    assert await count_of(engine, "link.credentials_refreshed") == 1


@dataclass
class Trouble:
    """A store whose next units of work find no database, or lose the answer to their COMMIT."""

    store: Store
    away: int = 0
    lost: int = 0

    @asynccontextmanager
    async def begin(self, actor: Actor, settles: Attempt | None) -> AsyncIterator[Work]:
        if self.away:
            self.away -= 1
            raise Unavailable("the database is away")
        async with self.store.begin(actor, settles) as work:
            yield work
        if self.lost:
            self.lost -= 1
            if settles is not None:
                settles.settled = False  # as for whoever heard nothing
            raise Unavailable("the database went away")

    async def audit(
        self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        return await self.store.audit(attempt, outcome, detail)


@pytest.mark.parametrize("trouble", ["away", "lost"])
async def test_an_answer_waits_for_a_database_that_is_away_and_is_kept_once(
    engine: Engine, bank: Rotating, trouble: str
) -> None:
    link = await linked(engine)
    engine.clock.turn(hours=1)
    store = Trouble(engine.app.store)
    engine.app = replace(engine.app, store=store)

    async def trip(where: str) -> None:
        if where == "renew.rotated":
            setattr(store, trouble, 2 if trouble == "away" else 1)

    bank.reached = trip
    run = await engine.sync(link)

    assert run.status is SyncStatus.SUCCEEDED
    assert bank.books("ann")["presented"] == ["ann-refresh-0"]
    assert (await kept(engine, link.id))["refresh"] == "ann-refresh-1"
    assert await count_of(engine, "link.credentials_refreshed") == 1
    outcomes = [outcome for outcome, _ in await engine.audit("link.renew")]
    assert outcomes == ["ATTEMPTED", "SUCCEEDED"]


async def test_however_many_ask_at_once_no_token_is_presented_twice(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    for _ in range(3):
        engine.clock.turn(hours=1)
        [asked] = await engine.request(link_id=link.id, force=True)
        ends = await asyncio.gather(
            *(engine.run(asked.id, worker=new_id()) for _ in range(3)),
            *(refresh(engine, link) for _ in range(3)),
            return_exceptions=True,
        )
        wrong = [e for e in ends if isinstance(e, Exception)]
        assert all(isinstance(e, Busy | Conflict) for e in wrong)
    presented = bank.books("ann")["presented"]
    assert len(presented) == len({*presented}) >= 3
    assert (await engine.link(link.id))["status"] == "ACTIVE"


# ── on demand ───────────────────────────────────────────────────────────────


async def test_its_owner_can_renew_at_any_time_and_the_link_is_free_again(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    bank.expire_at = engine.clock() + timedelta(days=7)
    renewed = await refresh(engine, link)

    assert renewed.credentials_expire_at == bank.expire_at
    assert bank.books("ann")["presented"] == ["ann-refresh-0"]
    assert (await engine.link(link.id))["lease_holder"] is None
    assert (await engine.sync(link)).status is SyncStatus.SUCCEEDED


async def test_what_cannot_be_renewed_now_or_ever_is_said_so(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    other, _ = await engine.linked(provider="scripted", login="bob")
    with pytest.raises(InvalidInput, match="Scripted has no credentials that are renewed"):
        await refresh(engine, other)

    await engine.spy.execute(
        "UPDATE links SET lease_holder = id, lease_until = $1", engine.clock() + LEASE
    )
    with pytest.raises(Conflict, match="a sync of this link is running"):
        await refresh(engine, link)
    assert bank.books("ann")["presented"] == []


async def test_a_refusal_on_demand_lapses_the_link_and_a_provider_that_is_down_does_not(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    bank.says = [
        ProviderUnavailable("down", provider="rotating"),
        CredentialsRejected("no", provider="rotating", code=ErrorCode.AUTHORIZATION_EXPIRED),
    ]
    with pytest.raises(ProviderUnavailable):
        await refresh(engine, link)
    assert (await engine.link(link.id))["status"] == "ACTIVE"
    with pytest.raises(CredentialsRejected):
        await refresh(engine, link)

    now = await engine.link(link.id)
    assert (now["status"], now["lease_holder"]) == ("NEEDS_REAUTHORIZATION", None)
    assert await count_of(engine, "link.needs_reauthorization") == 1
    with pytest.raises(Conflict) as refused:
        await refresh(engine, link)
    assert refused.value.code is ErrorCode.LINK_NOT_ACTIVE


async def test_what_went_wrong_is_said_though_the_link_cannot_be_freed_either(
    engine: Engine, bank: Rotating
) -> None:
    link = await linked(engine)
    store = Trouble(engine.app.store)
    engine.app = replace(engine.app, store=store)
    bank.says = [ProviderUnavailable("down", provider="rotating")]

    async def trip(_: str) -> None:
        store.away = len(bank.says)

    bank.reached = trip
    with pytest.raises(ProviderUnavailable):
        await refresh(engine, link)
    assert store.away == 0
    assert (await engine.link(link.id))["lease_holder"] is not None
    engine.clock.at += LEASE
    assert (await refresh(engine, link)).lease is None


def test_a_renewal_ends_before_the_lease_that_it_is_in() -> None:
    assert RENEW_MAX < LEASE
