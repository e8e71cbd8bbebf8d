"""A provider that keeps failing is left alone, and none is asked too often."""

import asyncio
from contextlib import suppress
from datetime import datetime, timedelta

import httpx2
import pytest

from adapters.providers import kit
from adapters.providers.kit.breaker import Breaker, Refused
from domain.errors import ProviderUnavailable, Unavailable
from domain.providers import Allowance
from tests.providers.fakes import Clock
from tests.providers.script import Script, an_http, ok


def fail(breaker: Breaker, times: int) -> None:
    for _ in range(times):
        breaker.settle(breaker.enter(), ok=False)


def test_five_failures_in_a_row_open_the_breaker() -> None:
    clock = Clock(chance=0.0)
    breaker = Breaker(clock.timing)
    fail(breaker, 4)
    breaker.settle(breaker.enter(), ok=True)
    fail(breaker, 4)
    breaker.enter()
    fail(breaker, 1)

    with pytest.raises(Refused) as caught:
        breaker.enter()
    assert caught.value.retry_after_s == 30


def test_half_of_twenty_failures_within_thirty_seconds_open_the_breaker() -> None:
    clock = Clock(chance=0.0)
    breaker = Breaker(clock.timing)
    for n in range(19):
        breaker.settle(breaker.enter(), ok=n % 2 == 0)
    breaker.enter()
    fail(breaker, 1)

    with pytest.raises(Refused):
        breaker.enter()


def test_failures_that_are_long_past_do_not_count() -> None:
    clock = Clock(chance=0.0)
    breaker = Breaker(clock.timing)
    for n in range(40):
        breaker.settle(breaker.enter(), ok=n % 2 == 0)
        clock.seconds += 2

    assert not breaker.enter().probe  # still closed


def test_one_probe_closes_the_breaker_or_doubles_its_time_to_ten_minutes() -> None:
    clock = Clock(chance=0.0)
    breaker = Breaker(clock.timing)
    fail(breaker, 5)
    waits = []
    for expected in (30, 60, 120, 240, 480, 600, 600):
        clock.seconds += expected - 0.5
        with pytest.raises(Refused):
            breaker.enter()
        clock.seconds += 0.5
        probe = breaker.enter()
        with pytest.raises(Refused):
            breaker.enter()
        breaker.settle(probe, ok=False)
        waits.append(expected)
    clock.seconds += 600
    breaker.settle(breaker.enter(), ok=True)

    assert waits == [30, 60, 120, 240, 480, 600, 600]
    assert [breaker.enter().probe for _ in range(3)] == [False, False, False]


def test_a_probe_that_was_cancelled_leaves_its_place_to_another() -> None:
    clock = Clock(chance=0.0)
    breaker = Breaker(clock.timing)
    fail(breaker, 5)
    clock.seconds += 30
    breaker.abandon(breaker.enter())

    assert breaker.enter().probe


def test_a_call_that_began_before_the_breaker_opened_does_not_close_it() -> None:
    clock = Clock(chance=0.0)
    breaker = Breaker(clock.timing)
    early = breaker.enter()
    fail(breaker, 5)
    breaker.settle(early, ok=True)

    with pytest.raises(Refused):
        breaker.enter()


def test_chance_makes_an_opening_up_to_a_fifth_longer() -> None:
    breaker = Breaker(Clock(chance=1.0).timing)
    fail(breaker, 5)
    with pytest.raises(Refused) as caught:
        breaker.enter()
    assert caught.value.retry_after_s == 36


async def test_an_open_breaker_asks_nothing_and_says_when() -> None:
    clock, script = Clock(chance=0.0), Script(httpx2.Response(500))
    http = an_http(script, clock)
    for _ in range(2):
        with pytest.raises(ProviderUnavailable):
            await http.get("/x")
    asked = len(script.requests)
    with pytest.raises(ProviderUnavailable) as caught:
        await http.get("/x")

    assert asked == 5
    assert len(script.requests) == asked
    assert caught.value.retry_after_s == 30


async def test_being_asked_to_slow_down_does_not_open_the_breaker() -> None:
    script = Script(*[httpx2.Response(429, headers={"retry-after": "0"})] * 12, ok())
    http = an_http(script, Clock())
    for _ in range(3):
        with pytest.raises(ProviderUnavailable):
            await http.get("/x")

    assert await http.get("/x") == {}


TWO = Allowance(name="two a minute", calls=2, per=timedelta(minutes=1))


async def test_a_budget_is_asked_before_the_call_and_each_key_has_its_own() -> None:
    clock, script = Clock(), Script(ok())
    http = an_http(script, clock, allowances=[TWO])
    await http.get("/x", budget_key="one")
    clock.seconds += 20
    await http.get("/x", budget_key="one")
    with pytest.raises(ProviderUnavailable) as caught:
        await http.get("/x", budget_key="one")

    assert caught.value.retry_after_s == 40
    assert not caught.value.asked
    assert len(script.requests) == 2
    await http.get("/x", budget_key="another")
    clock.seconds += 40
    await http.get("/x", budget_key="one")
    assert len(script.requests) == 4


async def test_a_call_waits_for_its_turn_where_that_is_soon() -> None:
    clock, script = Clock(), Script(ok())
    http = an_http(script, clock, allowances=[TWO], policy=kit.Policy(pace_s_max=60))
    for _ in range(6):
        assert await http.get("/x") == {}
    assert clock.slept == [60.0, 60.0]

    with pytest.raises(ProviderUnavailable) as caught:
        await http.get("/x", deadline=http.deadline(30))
    assert not caught.value.asked
    daily = Allowance(name="daily", calls=1, per=timedelta(days=1))
    http = an_http(script, clock, allowances=[daily], policy=kit.Policy(pace_s_max=60))
    await http.get("/x")
    with pytest.raises(ProviderUnavailable):
        await http.get("/x")
    assert clock.slept == [60.0, 60.0]


async def test_each_attempt_is_counted() -> None:
    script = Script(httpx2.Response(500), httpx2.Response(500), ok())
    with pytest.raises(ProviderUnavailable) as caught:
        await an_http(script, Clock(), allowances=[TWO]).get("/x")
    assert not caught.value.asked
    assert len(script.requests) == 2


async def test_what_is_shared_is_counted_for_all_logins_together() -> None:
    clock, script = Clock(), Script(ok())
    three = Allowance(name="all", calls=3, per=timedelta(minutes=1), shared=True)
    http = an_http(script, clock, allowances=[three, TWO])
    for key in ("one", "one", "another"):
        await http.get("/x", budget_key=key)
    with pytest.raises(ProviderUnavailable):
        await http.get("/x", budget_key="a third")
    assert len(script.requests) == 3


async def test_the_longest_allowance_is_not_spent_on_what_a_shorter_one_refuses() -> None:
    clock, script = Clock(), Script(ok())
    daily = Allowance(name="daily", calls=4, per=timedelta(days=1))
    http = an_http(script, clock, allowances=[daily, TWO])
    for _ in range(20):
        with suppress(ProviderUnavailable):
            await http.get("/x")
        clock.seconds += 5
    assert len(script.requests) == 4


async def test_a_database_that_is_away_is_not_the_providers_fault() -> None:
    class Away:
        async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
            raise Unavailable("the database is away")

    script = Script(ok())
    http = kit.Http(
        "acme",
        "https://acme.invalid",
        transport=httpx2.MockTransport(script),
        budgets=Away(),
        allowances=[TWO],
    )
    for _ in range(10):
        with pytest.raises(Unavailable):
            await http.get("/x")
    assert script.requests == []
    assert not http._host.breaker.is_open


async def test_an_outage_is_not_multiplied() -> None:
    script = Script(httpx2.Response(429))
    http = an_http(script, Clock(chance=0.0))
    for _ in range(200):
        with pytest.raises(ProviderUnavailable):
            await http.get("/x")
    assert 200 <= len(script.requests) <= 200 * 1.2 + 10

    before = len(script.requests)
    clock = Clock(chance=0.0)
    one = an_http(script, clock)
    for _ in range(10):  # one that is asked seldom is asked again each time
        with pytest.raises(ProviderUnavailable):
            await one.get("/x")
        clock.seconds += 60
    assert len(script.requests) == before + 40


async def test_a_time_that_is_said_in_a_header_of_its_own_is_honoured() -> None:
    clock = Clock()
    at = int(clock.timing.now().timestamp()) + 9
    script = Script(httpx2.Response(429, headers={"x-ratelimit-reset": str(at)}), ok())
    http = an_http(script, clock, reset_header="x-ratelimit-reset")
    assert await http.get("/x") == {}
    assert clock.slept == [9.0]
    for nonsense in ("soon", "-1", "9" * 40, ""):
        script.answers[:] = [httpx2.Response(429, headers={"x-ratelimit-reset": nonsense}), ok()]
        clock.slept.clear()
        assert await http.get("/x") == {}
        assert clock.slept == [0.5]


async def test_at_most_eight_calls_are_in_flight() -> None:
    running, most = 0, 0

    async def slow(request: httpx2.Request) -> httpx2.Response:
        nonlocal running, most
        running += 1
        most = max(most, running)
        await asyncio.sleep(0.01)
        running -= 1
        return ok()

    http = kit.Http("acme", "https://acme.invalid", transport=httpx2.MockTransport(slow))
    await asyncio.gather(*(http.get("/x") for _ in range(30)))

    assert most == 8
