"""A run is followed from where it is to its end, in few looks, each of them in its own snapshot."""

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from decimal import Decimal
from typing import Any, cast

import pytest

from domain.errors import NotFound, Unavailable
from domain.identity import new_id
from domain.ports import Untold
from domain.queries.sync import progress, until_moved
from domain.storage.reads import Reads
from domain.sync import RunId, SyncCounts, SyncRun, SyncStatus
from tests.schema.builders import NOW, a_link, a_run
from tests.schema.world import Told, World


class Followed:
    """A run of Ann's, as it changes, and what was seen of it."""

    def __init__(self, world: World) -> None:
        self.world, self.told = world, Told()
        link = a_link(world.ann)
        self.run = a_run(link, status=SyncStatus.QUEUED)
        world.hers.links.append(link)
        world.hers.runs.append(self.run)
        self.seen: list[SyncRun] = []
        self.at: list[float] = []

    def becomes(self, *, tell: bool = True, **said: Any) -> None:
        self.run = replace(self.run, **said)
        self.world.hers.put("runs", self.run)
        if tell:
            self.told.moved.set()

    def snapshot(self) -> Reads:
        return cast("Reads", self.world.snapshot(self.world.context(self.world.ann).actor))

    @asynccontextmanager
    async def following(self) -> AsyncIterator["Followed"]:
        async def follow() -> None:
            async with aclosing(progress(self.run.id, self.told, self.snapshot)) as states:
                async for state in states:
                    assert self.world.left_open == 1  # whose snapshot it is
                    self.seen.append(state)
                    self.at.append(asyncio.get_running_loop().time())

        task = asyncio.create_task(follow())
        try:
            yield self
            async with asyncio.timeout(5):
                await task
        finally:
            task.cancel()
        assert self.world.left_open == 0
        assert self.told.watching == []

    async def until(self, holds: Callable[[], bool]) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - there is no event for it
                await asyncio.sleep(0.01)


@pytest.fixture
def followed() -> Followed:
    return Followed(World())


DONE: dict[str, Any] = {"status": SyncStatus.SUCCEEDED, "progress": Decimal(1), "finished_at": NOW}


async def test_the_run_as_it_is_comes_first_and_its_end_last(followed: Followed) -> None:
    async with followed.following():
        await followed.until(lambda: len(followed.seen) == 1)
        followed.becomes(status=SyncStatus.RUNNING, started_at=NOW, progress=Decimal("0.5"))
        await followed.until(lambda: len(followed.seen) == 2)
        followed.becomes(**DONE)

    assert [run.status.name for run in followed.seen] == ["QUEUED", "RUNNING", "SUCCEEDED"]
    assert [run.progress for run in followed.seen] == [0, Decimal("0.5"), 1]


async def test_a_run_that_is_over_is_said_once(followed: Followed) -> None:
    followed.becomes(**DONE)
    async with followed.following():
        pass

    assert [run.status.name for run in followed.seen] == ["SUCCEEDED"]
    assert len(followed.world.opened) == 1


async def test_at_most_four_states_come_in_a_second_and_the_last_one_always(
    followed: Followed,
) -> None:
    async with followed.following():
        for page in range(100):
            counts = SyncCounts(created=page)
            followed.becomes(status=SyncStatus.RUNNING, transactions=counts)
            await asyncio.sleep(0.01)
        followed.becomes(**DONE)

    gaps = [later - earlier for earlier, later in zip(followed.at, followed.at[1:], strict=False)]
    assert min(gaps) >= 0.24
    assert 4 <= len(followed.seen) <= 3 + 4 * (followed.at[-1] - followed.at[0])
    assert followed.seen[-1].status is SyncStatus.SUCCEEDED
    assert followed.seen[-1].transactions.created == 99
    created = [run.transactions.created for run in followed.seen]
    assert created == sorted(created)


async def test_what_has_not_changed_is_not_said_again(followed: Followed) -> None:
    async with followed.following():
        await followed.until(lambda: len(followed.seen) == 1)
        for number in range(3):
            looked = len(followed.world.opened)
            followed.becomes(cursor=f"page {number}", cancel_asked=True)
            await followed.until(lambda looked=looked: len(followed.world.opened) > looked)  # type: ignore[misc]
        await followed.until(lambda: followed.world.left_open == 0)  # nothing is held meanwhile
        followed.becomes(**DONE)

    assert [run.status.name for run in followed.seen] == ["QUEUED", "SUCCEEDED"]


async def test_a_change_that_nobody_told_of_is_found_all_the_same(followed: Followed) -> None:
    async with followed.following():
        await followed.until(lambda: len(followed.seen) == 1)
        followed.becomes(tell=False, **DONE)

    assert [run.status.name for run in followed.seen] == ["QUEUED", "SUCCEEDED"]
    assert 2 < followed.at[1] - followed.at[0] < 3


async def test_where_nobody_tells_anything_it_is_looked_for() -> None:
    followed = Followed(World())
    followed.told = cast("Told", Untold())
    followed.becomes(tell=False, **DONE)
    states = [s async for s in progress(followed.run.id, Untold(), followed.snapshot)]

    assert [run.status.name for run in states] == ["SUCCEEDED"]


@pytest.mark.parametrize("turns", range(5))
async def test_whoever_leaves_as_it_moves_is_gone(turns: int) -> None:
    moved = asyncio.Event()
    waiting = asyncio.create_task(until_moved(moved))
    await asyncio.sleep(0.01)
    moved.set()
    for _ in range(turns):
        await asyncio.sleep(0)
    was_over = waiting.done()
    waiting.cancel()
    await asyncio.wait({waiting})

    assert waiting.cancelled() or was_over


async def test_a_run_that_is_not_there_is_not_found(followed: Followed) -> None:
    with pytest.raises(NotFound):
        await anext(progress(RunId(new_id()), followed.told, followed.snapshot))

    assert (followed.world.left_open, followed.told.watching) == (0, [])


async def test_a_run_that_goes_away_is_not_found_any_more(followed: Followed) -> None:
    async def follow_and_lose() -> None:
        async with followed.following():
            await followed.until(lambda: len(followed.seen) == 1)
            followed.world.hers.runs.clear()
            followed.told.moved.set()

    with pytest.raises(NotFound):
        await follow_and_lose()


async def test_a_database_that_goes_away_meanwhile_is_waited_for(followed: Followed) -> None:
    async with followed.following():
        await followed.until(lambda: len(followed.seen) == 1)
        followed.world.down = Unavailable("the database is away")
        followed.becomes(**DONE)
        looked = len(followed.world.opened)
        await followed.until(lambda: len(followed.world.opened) > looked)
        followed.world.down = None
        followed.told.moved.set()

    assert [run.status.name for run in followed.seen] == ["QUEUED", "SUCCEEDED"]


async def test_a_database_that_is_away_at_first_is_said_so(followed: Followed) -> None:
    followed.world.down = Unavailable("the database is away")

    with pytest.raises(Unavailable):
        await anext(progress(followed.run.id, followed.told, followed.snapshot))
    assert followed.told.watching == []
