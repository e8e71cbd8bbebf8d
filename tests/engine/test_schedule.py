"""Links sync by themselves: spread, backed off, within every budget, and none is forgotten."""

import os
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from itertools import pairwise
from uuid import UUID

from domain.errors import ProviderUnavailable
from domain.links import LinkId, LinkStatus
from domain.providers import Allowance
from domain.sync import SyncStatus
from gateway.worker.process import SCHEDULE_EVERY_S
from gateway.worker.queues import AT_ONE_PROVIDER
from tests.builders import a_link
from tests.engine.simulated import Counting, Kept, Simulation
from tests.engine.world import MORNING

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
LINKS, CALLS = 100, 3
DAYS = 30 if LONG else 6
DAY, HOUR = timedelta(days=1), timedelta(hours=1)
EACH = Allowance(name="each", calls=24, per=DAY)
ALL = Allowance(name="all", calls=1_500, per=DAY, shared=True)
BROKEN, SLOWED = range(10), range(10, 20)
MENDED = MORNING + DAYS / 3 * DAY


def most_within(times: Sequence[datetime], per: timedelta) -> int:
    """The most of them in any such period."""
    most = first = 0
    for last, at in enumerate(times):
        while times[first] <= at - per:
            first += 1
        most = max(most, last - first + 1)
    return most


async def simulated(*, together: Allowance, every_s: int | None = None) -> Simulation:
    """A hundred links that are due at once: ten are broken at first, ten are told to come later."""
    links = [
        a_link(
            id=LinkId(UUID(int=number + 1)),  # so that chance is the same each time
            provider_slug="scripted",
            sync_every_s=every_s,
            created_at=MORNING,
            next_sync_at=MORNING,
        )
        for number in range(LINKS)
    ]
    number = {str(link.id): i for i, link in enumerate(links)}

    def wrong(link: str, at: datetime) -> Exception | None:
        if number[link] in BROKEN and at < MENDED:
            return ProviderUnavailable("down", provider="scripted")
        if number[link] in SLOWED and at < MENDED:
            return ProviderUnavailable("busy", provider="scripted", retry_after_s=8 * 3600)
        return None

    kept = Kept(links={link.id: link for link in links})
    simulation = Simulation(
        at=MORNING,
        kept=kept,
        provider=Counting(lambda: simulation.at, (EACH, together), CALLS, wrong),
        at_once=AT_ONE_PROVIDER,
        looks_every=timedelta(seconds=SCHEDULE_EVERY_S),
    )
    await simulation.run(DAYS)
    return simulation


async def test_a_hundred_links_due_at_once_stay_within_every_budget_and_none_is_lost() -> None:
    simulation = await simulated(together=ALL)
    provider, kept = simulation.provider, simulation.kept

    assert provider.most_at_once == AT_ONE_PROVIDER
    every = sorted(at for calls in provider.calls.values() for at in calls)
    assert most_within(every, DAY) <= ALL.calls
    for number, id in enumerate(kept.links):
        calls, got = provider.calls[str(id)], ends(simulation, id)
        sick = [at for at in calls if at < MENDED]
        gaps = [later - earlier for earlier, later in pairwise(sick)]
        assert most_within(calls, DAY) <= EACH.calls
        if number in BROKEN:  # asked ever less
            assert len(sick) < 12 + DAYS / 3
            assert max(gaps) > 3 * HOUR
        elif number in SLOWED:  # never before it says
            assert min(gaps) >= 8 * HOUR
        else:
            assert len(got) >= 3.7 * DAYS
            assert max(later - earlier for earlier, later in pairwise(got)) < 6.4 * HOUR
        assert got[-1] > simulation.at - 13 * HOUR
        assert kept.links[id].status is LinkStatus.ACTIVE
    assert len(kept.runs) < LINKS * DAYS * 4.4
    # They began together, and do not stay so.
    last = [link.last_synced_at for link in kept.links.values() if link.last_synced_at]
    assert max(last) - min(last) > HOUR


async def test_a_budget_that_is_too_small_is_used_up_fairly_and_never_pressed() -> None:
    """Every hour is asked for, where the calls of a day are enough for three pulls of each link."""
    small = replace(ALL, calls=1_000)
    simulation = await simulated(together=small, every_s=3_600)
    provider, kept = simulation.provider, simulation.kept

    every = sorted(at for calls in provider.calls.values() for at in calls)
    assert most_within(every, DAY) <= small.calls
    assert len(every) > small.calls * 0.95 * DAYS
    for number, id in enumerate(kept.links):
        assert most_within(provider.calls[str(id)], DAY) <= EACH.calls
        healthy = [at for at in ends(simulation, id) if at > MENDED]
        assert len(healthy) >= DAYS / 3  # half as often as days are left
        if number not in BROKEN and number not in SLOWED:
            assert kept.links[id].consecutive_failures == 0
    spent = [run for run in kept.runs.values() if run.error and "often enough" in run.error.message]
    assert 0 < len(spent) < len(kept.runs)
    assert len(kept.runs) < LINKS * DAYS * 12


def ends(simulation: Simulation, id: LinkId) -> list[datetime]:
    """When it was synced."""
    runs = [run for run in simulation.kept.runs.values() if run.link_id == id]
    assert all(run.status.is_terminal for run in runs)
    return [r.finished_at for r in runs if r.status is SyncStatus.SUCCEEDED and r.finished_at]
