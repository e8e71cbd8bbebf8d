"""What a fan-out promises, whichever server carries it."""

import asyncio
from collections.abc import AsyncIterator

import pytest

from adapters.subscribers import PAYLOAD_BYTES_MAX, WAITING_MAX
from domain.errors import Unavailable
from domain.ports import Fanout
from tests.fanout.conftest import Server
from tests.gateway.http.served import until

HOSTILE = {
    "empty": "",
    "lines": "a\r\nb\n\r\n+OK\r\n$-1\r\n",
    "quotes": "'; SELECT pg_terminate_backend(1); --",
    "json": '{"a": "\\u0000", "b": [1e400]}',
    "percent": "%s %(name)s {0} \\",
    "wide": "Zürich 東京 \U0001f4b8 \u202e",
    "longest": "x" * PAYLOAD_BYTES_MAX,
}


async def next_of(heard: AsyncIterator[str | None]) -> str | None:
    async with asyncio.timeout(10):
        return await anext(heard)


async def nothing_follows(heard: AsyncIterator[str | None]) -> bool:
    try:
        async with asyncio.timeout(0.2):
            await anext(heard)
    except TimeoutError:
        return True
    return False


async def test_none_comes_first_and_then_everything_in_order(fanout: Fanout) -> None:
    async with fanout.subscribe("runs") as heard:
        assert await next_of(heard) is None
        assert fanout.hears

        for number in range(200):
            await fanout.publish("runs", str(number))

        assert [await next_of(heard) for _ in range(200)] == [str(n) for n in range(200)]


async def test_every_subscriber_of_the_channel_hears_it_and_no_other(fanout: Fanout) -> None:
    async with (
        fanout.subscribe("runs") as one,
        fanout.subscribe("runs") as two,
        fanout.subscribe("policy") as other,
    ):
        for heard in (one, two, other):
            assert await next_of(heard) is None

        await fanout.publish("runs", "r1")
        await fanout.publish("policy", "p1")

        assert [await next_of(heard) for heard in (one, two, other)] == ["r1", "r1", "p1"]
        assert await nothing_follows(one)


async def test_a_late_subscriber_hears_what_follows_and_disturbs_nobody(fanout: Fanout) -> None:
    async with fanout.subscribe("runs") as early:
        assert await next_of(early) is None
        await fanout.publish("runs", "before")
        assert await next_of(early) == "before"

        async with fanout.subscribe("runs") as late:
            assert await next_of(late) is None
            await fanout.publish("runs", "after")

            assert await next_of(late) == "after"
            assert await next_of(early) == "after"


async def test_processes_hear_each_other(server: Server) -> None:
    here, there = await server.another(), await server.another()
    async with here.subscribe("runs") as one, there.subscribe("runs") as two:
        assert [await next_of(one), await next_of(two)] == [None, None]

        await here.publish("runs", "from here")
        assert [await next_of(one), await next_of(two)] == ["from here", "from here"]
        await there.publish("runs", "from there")
        assert [await next_of(one), await next_of(two)] == ["from there", "from there"]


async def test_a_process_has_one_connection_that_listens_whatever_it_listens_to(
    server: Server, fanout: Fanout
) -> None:
    async with (
        fanout.subscribe("runs") as one,
        fanout.subscribe("runs") as two,
        fanout.subscribe("policy") as three,
    ):
        for heard in (one, two, three):
            assert await next_of(heard) is None

        assert await server.listeners() == 1


@pytest.mark.parametrize("payload", HOSTILE.values(), ids=HOSTILE)
async def test_a_payload_arrives_as_it_was_said(fanout: Fanout, payload: str) -> None:
    async with fanout.subscribe("runs") as heard:
        assert await next_of(heard) is None

        await fanout.publish("runs", payload)

        assert await next_of(heard) == payload


@pytest.mark.parametrize(
    "payload",
    ["x" * (PAYLOAD_BYTES_MAX + 1), "ü" * PAYLOAD_BYTES_MAX, "a\0b", "\ud83d"],
    ids=["long", "long in bytes", "NUL", "half a pair"],
)
async def test_what_no_server_could_carry_is_refused(fanout: Fanout, payload: str) -> None:
    async with fanout.subscribe("runs") as heard:
        assert await next_of(heard) is None

        with pytest.raises(ValueError):  # noqa: PT011 - Unicode's is one too
            await fanout.publish("runs", payload)

        await fanout.publish("runs", "after")
        assert await next_of(heard) == "after"


async def test_a_subscriber_who_falls_behind_is_told_and_holds_up_nobody(fanout: Fanout) -> None:
    async with fanout.subscribe("runs") as slow, fanout.subscribe("runs") as quick:
        assert [await next_of(slow), await next_of(quick)] == [None, None]

        async def keep_up() -> list[str | None]:
            return [await next_of(quick) for _ in range(WAITING_MAX + 1)]

        keeping_up = asyncio.create_task(keep_up())
        for number in range(WAITING_MAX + 1):
            await fanout.publish("runs", str(number))

        assert await keeping_up == [str(number) for number in range(WAITING_MAX + 1)]
        assert await next_of(slow) is None
        await fanout.publish("runs", "after")
        assert await next_of(slow) == "after"


async def test_a_lost_connection_is_made_again_and_everyone_is_told(
    server: Server, fanout: Fanout
) -> None:
    async with fanout.subscribe("runs") as one, fanout.subscribe("policy") as two:
        assert [await next_of(one), await next_of(two)] == [None, None]
        for round_ in range(2):
            await server.cut()

            assert [await next_of(one), await next_of(two)] == [None, None]
            await until(lambda: fanout.hears)
            await fanout.publish("runs", f"again {round_}")
            assert await next_of(one) == f"again {round_}"
            assert await nothing_follows(two)
        assert await server.listeners() == 1


async def test_whoever_leaves_leaves_nothing_behind(server: Server, fanout: Fanout) -> None:
    for _ in range(3):
        async with fanout.subscribe("runs") as heard:
            assert await next_of(heard) is None
    async with fanout.subscribe("policy") as other:
        assert await next_of(other) is None
        await fanout.publish("runs", "to nobody")
        await fanout.publish("policy", "p1")
        assert await next_of(other) == "p1"

        async with fanout.subscribe("runs") as again:
            assert await next_of(again) is None
            await fanout.publish("runs", "r1")
            assert await next_of(again) == "r1"

    assert fanout._subscribers.channels == []  # type: ignore[attr-defined]  # of both adapters


async def test_many_come_and_go_at_once(fanout: Fanout) -> None:
    async def come_and_go(number: int) -> None:
        async with fanout.subscribe(f"channel {number % 3}") as heard:
            assert await next_of(heard) is None
            await fanout.publish(f"channel {number % 3}", f"mine {number}")
            while await next_of(heard) != f"mine {number}":
                continue

    async with asyncio.timeout(20):
        await asyncio.gather(*(come_and_go(number) for number in range(60)))

    assert fanout._subscribers.channels == []  # type: ignore[attr-defined]


async def test_while_the_server_is_away_nobody_can_be_told(server: Server) -> None:
    fanout = await server.away()

    with pytest.raises(Unavailable):
        await fanout.publish("runs", "r1")

    assert not fanout.hears
    async with fanout.subscribe("runs") as heard:
        assert await nothing_follows(heard)
