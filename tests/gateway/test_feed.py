"""Everyone who follows gets each event once and in order, and the table is read once for all."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack

import pytest

from domain.errors import RateLimited
from domain.identity import UserId, new_id
from gateway.live.feed import BEHIND_MAX, PAGE, EventFeed, Follower
from tests.gateway.events import Log, Said
from tests.gateway.http.served import until

ANN, BOB = UserId(new_id()), UserId(new_id())
NEVER_S = 3_600.0


class Fed:
    """A feed over a log, which goes on."""

    def __init__(self, *, slow_s: float, look_every_s: float) -> None:
        self.log, self.fanout = Log(), Said()
        self.feed = EventFeed(
            self.fanout, self.log.read, self.log.latest, slow_s=slow_s, look_every_s=look_every_s
        )

    def happen(self, whose: UserId, *seqs: int, tell: bool = True) -> None:
        self.log.write(whose, *seqs)
        for seq in seqs if tell else ():
            self.fanout.said.put_nowait(json.dumps({"seq": seq, "user": str(whose)}))


@pytest.fixture
async def fed(request: pytest.FixtureRequest) -> AsyncIterator[Fed]:
    given = {"slow_s": 10.0, "look_every_s": NEVER_S, **getattr(request, "param", {})}
    fed = Fed(**given)
    going = asyncio.create_task(fed.feed.run())
    yield fed
    going.cancel()
    await asyncio.gather(going, return_exceptions=True)
    assert fed.feed.followed == 0


async def take(follower: Follower, count: int) -> list[int]:
    async with asyncio.timeout(5):
        return [(await anext(follower)).seq for _ in range(count)]


async def test_what_happens_is_told_to_all_who_follow_and_read_once(fed: Fed) -> None:
    async with AsyncExitStack() as stack:
        followers = [stack.enter_context(fed.feed.follow(ANN, 0)) for _ in range(40)]
        taking = [asyncio.create_task(take(follower, 3)) for follower in followers]
        await until(lambda: len(fed.log.reads) == 1)  # as the first one came
        for seqs in ((3, 5), (8,)):
            before = len(fed.log.reads)
            fed.happen(ANN, *seqs)
            await until(lambda before=before: len(fed.log.reads) > before)  # type: ignore[misc]
            assert len(fed.log.reads) == before + 1
        assert await asyncio.gather(*taking) == [[3, 5, 8]] * 40
    assert fed.fanout.subscribed == 1


async def test_what_is_said_of_others_wakes_nobody(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as follower:
        fed.happen(BOB, 1)
        for text in ("", "[]", "{}", '{"user": 1, "seq": 2}', f'{{"user": "{ANN}"}}', "[" * 5_000):
            fed.fanout.said.put_nowait(text)
        fed.happen(ANN, 2)
        assert await take(follower, 1) == [2]
    assert BOB not in {whose for whose, _ in fed.log.reads}


async def test_what_happened_before_is_replayed_in_pages_without_a_gap_or_a_repeat(
    fed: Fed,
) -> None:
    many = 3 * PAGE + 7
    fed.happen(ANN, *range(1, many + 1), tell=False)
    with fed.feed.follow(ANN, many) as live, fed.feed.follow(ANN, 5) as late:
        assert await take(late, 2 * PAGE) == [*range(6, 2 * PAGE + 6)]
        fed.happen(ANN, many + 1, many + 2)
        assert await take(live, 2) == [many + 1, many + 2]
        assert await take(late, many - 2 * PAGE - 3) == [*range(2 * PAGE + 6, many + 3)]
        fed.happen(ANN, many + 9)
        assert await take(late, 1) == await take(live, 1) == [many + 9]


async def test_who_comes_with_a_place_beyond_the_tail_gets_nothing_twice(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as first:
        await until(lambda: len(fed.log.reads) == 1)
        fed.happen(ANN, 1, 2, 3, tell=False)  # which the tail has not heard of
        with fed.feed.follow(ANN, 2) as second:
            taking = asyncio.create_task(take(second, 2))
            fed.happen(ANN, 4)
            assert await taking == [3, 4]
        assert await take(first, 4) == [1, 2, 3, 4]


async def test_an_event_right_after_the_place_was_taken_is_told_without_a_word(fed: Fed) -> None:
    fed.happen(ANN, 1, 2, tell=False)
    with fed.feed.follow(ANN, 1) as follower:
        assert await take(follower, 1) == [2]


async def test_what_everybody_took_is_kept_no_longer(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as fast, fed.feed.follow(ANN, 0) as slow:
        [tail] = fed.feed._tails.values()
        await until(lambda: len(fed.log.reads) == 1)
        await take_nothing(fast, slow)
        fed.happen(ANN, 1, 2, 3)
        assert await take(fast, 3) == [1, 2, 3]
        await take_nothing(fast)
        assert len(tail.kept) == 3
        assert await take(slow, 3) == [1, 2, 3]
        await take_nothing(slow)
        assert len(tail.kept) == 0


async def take_nothing(*followers: Follower) -> None:
    for follower in followers:
        with pytest.raises(TimeoutError):
            async with asyncio.timeout(0.01):
                await anext(follower)


async def overtaken(fed: Fed, follower: Follower) -> int:
    """More happens than is kept while it takes one event; the last one."""
    await until(lambda: len(fed.log.reads) == 1)
    await take_nothing(follower)
    fed.happen(ANN, 1)
    assert await take(follower, 1) == [1]
    last = BEHIND_MAX + 2
    fed.happen(ANN, *range(2, last + 1), tell=False)
    fed.fanout.said.put_nowait(json.dumps({"seq": last, "user": str(ANN)}))
    [tail] = fed.feed._tails.values()
    await until(lambda: tail.place == last)
    assert len(tail.kept) == BEHIND_MAX
    return last


@pytest.mark.parametrize("fed", [{"slow_s": -1.0}], indirect=True)
async def test_who_is_too_slow_is_told_and_goes_on_later_from_where_they_were(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as slow:
        last = await overtaken(fed, slow)
        with pytest.raises(RateLimited, match="cursor"):
            await anext(slow)
    with fed.feed.follow(ANN, 1) as again:
        assert await take(again, last - 1) == [*range(2, last + 1)]


async def test_who_is_overtaken_by_many_at_once_finds_them_in_the_table(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as follower:
        last = await overtaken(fed, follower)
        assert await take(follower, last - 1) == [*range(2, last + 1)]


@pytest.mark.parametrize("fed", [{"look_every_s": 0.02}], indirect=True)
async def test_what_nobody_tells_is_found_by_looking_once_for_all(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as ann, fed.feed.follow(BOB, 0) as bob:
        await until(lambda: len(fed.log.reads) == 2)
        fed.happen(ANN, 1, tell=False)
        assert await take(ann, 1) == [1]
        fed.happen(BOB, 2, tell=False)
        assert await take(bob, 1) == [2]
        looked = fed.log.looks
        await until(lambda: fed.log.looks > looked)
        assert len(fed.log.reads) == 4  # a look in which nothing is new reads nothing
    looked = fed.log.looks
    await asyncio.sleep(0.05)
    assert fed.log.looks <= looked + 1  # nor does anyone look for nobody


async def test_after_what_may_have_been_missed_it_looks_at_once(fed: Fed) -> None:
    with fed.feed.follow(ANN, 0) as follower:
        await until(lambda: len(fed.log.reads) == 1)
        fed.happen(ANN, 1, tell=False)
        fed.fanout.said.put_nowait(None)
        assert await take(follower, 1) == [1]


@pytest.mark.parametrize("fed", [{"look_every_s": 0.02}], indirect=True)
async def test_a_database_that_is_away_is_waited_for(fed: Fed) -> None:
    fed.happen(ANN, 1, 2, tell=False)
    with fed.feed.follow(ANN, 2) as live, fed.feed.follow(ANN, 0) as late:
        fed.log.down = True
        taking = asyncio.gather(take(live, 1), take(late, 3))
        fed.happen(ANN, 3)
        await until(lambda: len(fed.log.reads) > 1)
        fed.log.down = False
        assert [*await taking] == [[3], [1, 2, 3]]
