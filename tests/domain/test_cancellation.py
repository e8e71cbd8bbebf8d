"""Work that is not cut off halfway."""

import asyncio

import pytest

from domain.cancellation import to_its_end


async def test_work_goes_on_to_its_end_while_it_is_being_cancelled() -> None:
    done = []

    async def work() -> int:
        await asyncio.sleep(0.02)
        done.append(1)
        return 7

    assert await to_its_end(work()) == 7
    task = asyncio.create_task(to_its_end(work()))
    for _ in range(3):
        await asyncio.sleep(0)
        task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert done == [1, 1]


async def test_what_fails_at_its_end_says_so() -> None:
    async def work() -> None:
        raise KeyError("x")

    with pytest.raises(KeyError):
        await to_its_end(work())
