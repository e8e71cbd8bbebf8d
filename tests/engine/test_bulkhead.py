"""A provider that is dead holds a few of a worker's places, and the others have the rest."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass, field, replace
from datetime import timedelta
from pathlib import Path

import pytest

from domain.commands.sync import JOB, take_up
from domain.links import LinkStatus
from domain.sync import Page, PullRequest
from gateway.worker.queues import AT_ONCE, AT_ONE_PROVIDER
from tests.builders import a_link
from tests.engine.scripted import INFO, Scripted
from tests.engine.test_leases import no_job_left, until, working
from tests.engine.world import MORNING, Engine, running_engine
from tests.servers import Database

BANKS, LINKS = ("acme", "bolt", "coin", "dime", "even"), 100


@dataclass(slots=True)
class Ward:
    """Counts the pulls that are under way, of each provider and of all together."""

    now: dict[str, int] = field(default_factory=lambda: defaultdict(int))
    most: dict[str, int] = field(default_factory=lambda: defaultdict(int))

    def count(self, name: str, by: int) -> None:
        self.now[name] += by
        self.most[name] = max(self.most[name], self.now[name])


class Counted(Scripted):
    """Answers nothing, and that only while `well` is set."""

    def __init__(self, slug: str, ward: Ward) -> None:
        super().__init__(info=replace(INFO, slug=slug))
        self.ward, self.well = ward, asyncio.Event()

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        self.asked.append(request)
        both = (self.info.slug, "all")
        for name in both:
            self.ward.count(name, 1)
        try:
            await self.well.wait()
            await asyncio.sleep(0.01)
        finally:
            for name in both:
                self.ward.count(name, -1)
        return
        yield


@dataclass(slots=True)
class Banks:
    engine: Engine
    ward: Ward
    by_slug: dict[str, Counted]

    async def due(self, count: int, *slugs: str) -> None:
        """So many links, all of them due, those of each provider before those of the next."""
        async with self.engine.app.store.begin(self.engine.actor, None) as work:
            for number in range(count):
                link = a_link(
                    user_id=self.engine.actor.user_id,
                    provider_slug=slugs[number * len(slugs) // count],
                    status=LinkStatus.ACTIVE,
                    created_at=MORNING,
                    next_sync_at=MORNING - timedelta(seconds=count - number),
                )
                await work.links.add(link)

    async def succeeded(self, slug: str, count: int) -> None:
        of = f"link_id IN (SELECT id FROM links WHERE provider_slug = '{slug}')"
        await until(self.engine, "sync_runs", f"status = 'SUCCEEDED' AND {of}", count=count)


@pytest.fixture
async def banks(database: Database, tmp_path: Path) -> AsyncIterator[Banks]:
    ward = Ward()
    by_slug = {slug: Counted(slug, ward) for slug in BANKS}
    async with running_engine(database, tmp_path, *by_slug.values()) as engine:
        yield Banks(engine, ward, by_slug)


async def test_all_syncs_of_others_end_while_one_provider_hangs(banks: Banks) -> None:
    dead, well = (banks.by_slug[slug] for slug in BANKS[:2])
    well.well.set()
    await banks.due(40, *BANKS[:2])  # the dead one's first
    async with AsyncExitStack() as workers:
        for _ in range(2):
            await workers.enter_async_context(working(banks.engine))
        await banks.succeeded(BANKS[1], 20)
        assert len(well.asked) == 20
        assert len(dead.asked) == banks.ward.now[BANKS[0]] == AT_ONE_PROVIDER
        assert await banks.engine.count("sync_runs", "status = 'QUEUED'") == 20 - AT_ONE_PROVIDER

        dead.well.set()
        await banks.succeeded(BANKS[0], 20)
        await no_job_left(banks.engine)

    assert len(dead.asked) == 20
    assert banks.ward.most[BANKS[0]] == AT_ONE_PROVIDER  # of both workers together
    assert {row["attempts"] for row in await banks.engine.rows("sync_runs")} == {1}


async def test_two_that_are_dead_leave_places_to_the_others(banks: Banks) -> None:
    banks.by_slug[BANKS[2]].well.set()
    await banks.due(30, *BANKS[:3])
    async with working(banks.engine):
        await banks.succeeded(BANKS[2], 10)
        for slug in BANKS[:2]:
            assert banks.ward.now[slug] == AT_ONE_PROVIDER
            banks.by_slug[slug].well.set()


async def test_of_a_hundred_that_are_due_at_once_each_is_synced_once_and_few_at_a_time(
    banks: Banks,
) -> None:
    await banks.due(LINKS, *BANKS)
    async with working(banks.engine):
        await until(banks.engine, "sync_runs", "status = 'RUNNING'", count=AT_ONCE)
        for bank in banks.by_slug.values():
            bank.well.set()
        await until(banks.engine, "sync_runs", "status = 'SUCCEEDED'", count=LINKS)
        await no_job_left(banks.engine)

    assert banks.ward.most.pop("all") == AT_ONCE
    assert banks.ward.most.keys() == set(BANKS)
    assert max(banks.ward.most.values()) == AT_ONE_PROVIDER
    asked = [request.link for bank in banks.by_slug.values() for request in bank.asked]
    assert len(asked) == len(set(asked)) == LINKS
    runs = await banks.engine.rows("sync_runs")
    assert len(runs) == len({run["link_id"] for run in runs}) == LINKS
    assert {run["attempts"] for run in runs} == {1}


async def test_a_backlog_is_not_taken_for_runs_that_nobody_will_work_on(banks: Banks) -> None:
    await banks.due(10, BANKS[0])
    async with working(banks.engine):
        await until(banks.engine, "sync_runs", "true", count=10)
        await until(banks.engine, "sync_runs", "status = 'RUNNING'", count=AT_ONE_PROVIDER)
        await banks.engine.spy.execute("UPDATE sync_runs SET touched_at = 'epoch'")
        doors, at = banks.engine.app.doors, banks.engine.clock()
        assert await doors.stalled_runs(at, 100) == []
        lost = "DELETE FROM jobs.pgqueuer WHERE id = (SELECT max(id) FROM jobs.pgqueuer)"
        await banks.engine.spy.execute(lost)
        [one] = await doors.stalled_runs(at, 100)
        await take_up(banks.engine.app, *one)
        assert await doors.stalled_runs(at, 100) == []
        banks.by_slug[BANKS[0]].well.set()
        await banks.succeeded(BANKS[0], 10)
    assert banks.ward.most[BANKS[0]] == AT_ONE_PROVIDER


async def test_a_job_that_names_no_provider_is_done(banks: Banks) -> None:
    """Of a gateway of the release before, while both are running."""
    banks.by_slug[BANKS[0]].well.set()
    await banks.engine.connect(provider=BANKS[0], login="ann")
    await banks.engine.spy.execute("UPDATE jobs.pgqueuer SET entrypoint = $1", JOB)
    async with working(banks.engine):
        await banks.succeeded(BANKS[0], 1)
        await no_job_left(banks.engine)
