"""Who gets a place, who waits, and who is told to come back: by counts, on a loop of its own."""

import asyncio

import pytest

from gateway.operations.admission import FIRST, LEAST, Admission
from gateway.operations.faults import Fault
from tests.gateway.http.served import until


class Held:
    """Operations that hold their places until they are let go."""

    def __init__(self, admission: Admission) -> None:
        self.admission = admission
        self.began: list[str] = []
        self.ends: list[asyncio.Event] = []
        self.tasks: list[asyncio.Task[None]] = []

    async def _hold(self, whose: str, end: asyncio.Event) -> None:
        async with self.admission.taken(whose):
            self.began.append(whose)
            await end.wait()

    async def begin(self, *whose: str) -> None:
        for each in whose:
            self.ends.append(asyncio.Event())
            self.tasks.append(asyncio.create_task(self._hold(each, self.ends[-1])))
            await asyncio.sleep(0)

    async def all_end(self) -> int:
        """How many of them had a place in the end."""
        for end in self.ends:
            end.set()
        found = await asyncio.gather(*self.tasks, return_exceptions=True)
        assert all(each is None or isinstance(each, Fault) for each in found)
        return sum(each is None for each in found)


def refusing(admission: Admission, whose: str = "") -> bool:
    try:
        admission.check(whose)
    except Fault as fault:
        return (fault.status, fault.headers) == (503, {"retry-after": "1"})
    return False


async def narrowed() -> Held:
    """As few at once as there ever are, since the pool has nothing left; so many are under way."""
    held = Held(Admission(1_000, has_room=lambda: False))
    held.admission._limit = LEAST
    await held.begin(*["x"] * LEAST)
    assert len(held.began) == LEAST
    return held


async def test_as_many_as_there_are_places_run_and_the_next_is_refused() -> None:
    held = Held(Admission(3))
    await held.begin("a", "b", "c")

    assert refusing(held.admission)
    with pytest.raises(Fault):
        async with held.admission.taken("d"):
            pass
    assert held.began == ["a", "b", "c"]
    assert await held.all_end() == 3
    assert not refusing(held.admission)


@pytest.mark.parametrize("how", ["ends", "fails", "is cancelled"])
async def test_a_place_comes_back_however_its_operation_ends(how: str) -> None:
    admission = Admission(1)

    async def operation() -> None:
        async with admission.taken():
            if how == "fails":
                raise ValueError
            if how == "is cancelled":
                await asyncio.Event().wait()

    for _ in range(3):
        task = asyncio.create_task(operation())
        await asyncio.sleep(0)
        if how == "is cancelled":
            assert refusing(admission)
            task.cancel()
        await asyncio.gather(task, return_exceptions=True)

        assert not refusing(admission)


async def test_beyond_what_the_process_bears_one_waits_for_a_place_to_become_free() -> None:
    held = await narrowed()
    await held.begin("a", "b")
    assert held.began[-2:] != ["a", "b"]

    held.ends[0].set()
    await until(lambda: held.began[-1] == "a")
    held.ends[1].set()
    await until(lambda: held.began[-1] == "b")

    assert await held.all_end() == len(held.tasks)


async def test_who_leaves_the_queue_takes_no_place_with_them() -> None:
    held = await narrowed()
    await held.begin("a", "b")
    held.tasks[-2].cancel()
    await asyncio.sleep(0)

    held.ends[0].set()
    await until(lambda: held.began[-1] == "b")

    assert held.admission._waiting == 0
    assert held.admission._taken == LEAST


async def test_a_place_that_is_given_to_who_leaves_at_that_moment_is_given_on() -> None:
    held = await narrowed()
    await held.begin("a", "b")

    held.ends[0].set()
    await asyncio.sleep(0)
    held.tasks[-2].cancel()
    held.tasks[0].cancel()
    await until(lambda: held.began[-1] == "b")

    assert "a" not in held.began
    assert held.admission._waiting == 0
    assert held.admission._taken == LEAST


async def test_each_has_their_turn_however_many_one_of_them_sends() -> None:
    held = await narrowed()
    before = len(held.began)
    await held.begin(*["greedy"] * 20, "polite", "polite")

    for end in held.ends[:4]:
        so_far = len(held.began)
        end.set()
        await until(lambda: len(held.began) > so_far)  # noqa: B023 - awaited here

    assert held.began[before:] == ["greedy", "polite", "greedy", "polite"]


async def test_of_many_requests_of_one_who_is_nobody_one_is_answered_while_all_people_are() -> None:
    """However many tokens were made up for them: `Authenticator.whose` counts them together."""
    held = await narrowed()
    people, before = [f"person {n}" for n in range(20)], len(held.began)
    await held.begin(*people[:5], *["address:203.0.113.7"] * 50, *people[5:])

    await held.all_end()

    turns = [*people[:5], "address:203.0.113.7", *people[5:]]
    assert held.began[before : before + len(turns)] == turns


async def test_a_queue_that_comes_to_a_halt_is_not_joined() -> None:
    """Nothing becomes free: whoever comes later is told so at once, and does not wait."""
    held = await narrowed()
    await held.begin("a")
    assert not refusing(held.admission, "b")

    held.admission._given_at -= 10

    assert refusing(held.admission, "b")


async def test_in_a_queue_that_stands_one_waits_less_than_in_one_that_has_just_begun() -> None:
    held = await narrowed()
    await held.begin(*["a"] * 80)  # at 10 ms each
    held.admission._given_at += 10  # however slow this machine is
    assert not refusing(held.admission, "a")

    held.admission._queued_at -= 10

    assert refusing(held.admission, "a")
    assert not refusing(held.admission, "somebody else")


async def test_the_limit_grows_while_there_is_need_and_room_up_to_the_most() -> None:
    held = Held(Admission(FIRST * 3))
    await held.begin(*[str(n) for n in range(FIRST * 3)])
    assert FIRST <= len(held.began) < FIRST * 3  # on a slow machine it grows meanwhile

    await until(lambda: len(held.began) == FIRST * 3)

    assert refusing(held.admission)


async def test_the_limit_shrinks_while_the_loop_is_late_and_never_below_the_least() -> None:
    admission = Admission(256)
    held = Held(admission)
    await held.begin("a")

    for _ in range(40):
        admission._looked(due=-1.0)  # long ago

    assert admission._limit == LEAST
    assert await held.all_end() == 1


async def test_what_it_bore_is_forgotten_once_nothing_is_under_way() -> None:
    admission = Admission(256)
    held = Held(admission)
    await held.begin("a")
    admission._limit = LEAST
    await held.all_end()

    await until(lambda: admission._limit == FIRST)


async def test_who_only_waits_lends_their_place_and_has_it_back_at_once() -> None:
    held = Held(Admission(1))
    async with held.admission.taken("a"):
        assert refusing(held.admission, "b")
        with held.admission.lent():
            await held.begin("b")
            assert held.began == ["b"]
        assert refusing(held.admission, "c")
        assert await held.all_end() == 1
        assert refusing(held.admission, "c")
    assert not refusing(held.admission, "c")


async def test_who_is_cancelled_while_they_lend_their_place_leaves_it() -> None:
    admission = Admission(1)

    async def waiting() -> None:
        async with admission.taken("a"):
            with admission.lent():
                await asyncio.Event().wait()

    task = asyncio.create_task(waiting())
    await asyncio.sleep(0)
    assert admission._taken == 0
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)
    assert admission._taken == 0
