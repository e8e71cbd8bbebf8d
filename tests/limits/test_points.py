"""What operations cost, and what their answers say of it."""

import asyncio
import random
from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest
from redis.asyncio import Redis

from adapters.memory.limits import MemoryLimits
from adapters.redis.limits import RedisLimits
from domain.errors import RateLimited
from domain.identity import Actor, Role, UserId
from domain.limits import Limit
from domain.ports import App
from domain.storage.reads import Reads
from gateway.operations.faults import Fault
from gateway.operations.points import Points
from schema.context import ClientInfo, Context

LIMIT = Limit(name="points", burst=100, per_seconds=60_000, debt=100)  # a point in ten minutes
POLICY = '"points";q=100;w=60000'
NOW = datetime(2026, 11, 22, tzinfo=UTC)
ADA, BOB = UserId(UUID(int=1)), UserId(UUID(int=2))


@pytest.fixture
def points() -> Points:
    return Points(MemoryLimits(), LIMIT)


def asked(by: UserId | None = ADA, *, ip: str = "192.0.2.1") -> Context:
    return Context(
        app=cast("App", SimpleNamespace(now=lambda: NOW)),
        viewer=None if by is None else Actor(user_id=by, role=Role.USER),
        now=NOW,
        trace_id="",
        snapshot=lambda _: cast("Reads", None),
        client=ClientInfo(ip=ip),
    )


async def run(points: Points, context: Context, *, objects: int = 0, cost: int = 1) -> str:
    """One operation; what is said of what is left."""
    await points.begin(context, cost)
    context.budget.spend_objects(objects)
    points.end(context)
    await points.close()
    said = dict(points.headers(context))
    assert said["ratelimit-policy"] == POLICY
    return said["ratelimit"]


async def test_an_operation_costs_its_objects_and_at_least_one(points: Points) -> None:
    assert await run(points, asked()) == '"points";r=99;t=600'
    assert await run(points, asked(), objects=1) == '"points";r=98;t=600'
    assert await run(points, asked(), objects=30) == '"points";r=68;t=600'
    assert await run(points, asked()) == '"points";r=67;t=600'


async def test_objects_that_were_only_reserved_cost_nothing(points: Points) -> None:
    context = asked()
    await points.begin(context)
    with context.budget.reserved(500):
        context.budget.spend_objects(7)
    points.end(context)
    await points.close()
    assert await run(points, asked()) == '"points";r=92;t=600'


async def test_it_begins_where_its_price_is_left_and_gets_back_what_it_did_not_come_to(
    points: Points,
) -> None:
    assert await run(points, asked(), cost=90, objects=20) == '"points";r=80;t=600'
    assert await run(points, asked(), cost=80, objects=80) == '"points";r=0;t=600'
    assert await run(Points(MemoryLimits(), LIMIT), asked(), cost=100) == '"points";r=99;t=600'


async def test_what_is_not_left_is_refused_before_anything_runs_and_when_it_is_is_said(
    points: Points,
) -> None:
    assert await run(points, asked(), cost=60, objects=60) == '"points";r=40;t=600'

    with pytest.raises(Fault) as refused:
        await points.begin(asked(), 70)

    assert (refused.value.status, refused.value.code) == (429, "RATE_LIMITED")
    assert refused.value.headers == {
        "retry-after": "18000",  # of 70, 30 are not there
        "ratelimit-policy": POLICY,
        "ratelimit": '"points";r=0;t=18000',
    }
    assert await run(points, asked(), cost=40) == '"points";r=39;t=600'  # nothing was taken


async def test_what_came_to_more_than_its_price_is_owed_and_waited_for(points: Points) -> None:
    assert await run(points, asked(), cost=90, objects=149) == '"points";r=0;t=600'

    with pytest.raises(Fault) as refused:
        await points.begin(asked())

    assert refused.value.headers["retry-after"] == "30000"  # 49 that are owed, and one


async def test_what_may_come_to_more_than_there_ever_are_begins_with_all_of_them(
    points: Points,
) -> None:
    """As a document that was published with a limit of its own."""
    context = asked()
    assert await run(points, context, cost=70_000, objects=10) == '"points";r=90;t=600'
    assert context.budget.objects == 70_000 - 10

    with pytest.raises(Fault) as refused:
        await points.begin(asked(), 70_000)

    assert refused.value.headers["retry-after"] == "6000"  # until all 100 are there


async def test_who_asks_is_told_what_it_cost(points: Points) -> None:
    context = asked()
    context.reports_cost = True
    assert points.extensions(context) == {}  # before it began
    await run(points, context, cost=30, objects=3)

    assert points.extensions(context) == {
        "cost": {
            "requested": 30,
            "limit": 100,
            "remaining": 97,
            "resetAt": "2026-11-22T00:30:00Z",  # three of ten minutes each
        }
    }
    quiet = asked()
    await run(points, quiet, cost=30)
    assert points.extensions(quiet) == {}


async def test_50_clients_on_two_gateways_never_have_more_than_the_limit_together(
    redis: Redis,
) -> None:
    """Each takes its price, and gives back what it did not come to: what is out at any instant,
    and what was spent in all, stay within the limit, and of that nothing is left over."""
    limit = Limit(name="points", burst=1_000, per_seconds=100_000_000, debt=1_000)
    gateways = [Points(RedisLimits(redis, prefix="points:"), limit) for _ in range(2)]
    out = spent = most_out = refusals = 0

    async def client(n: int) -> None:
        nonlocal out, spent, most_out, refusals
        points, chance = gateways[n % 2], random.Random(n)
        for _ in range(12):
            context, price = asked(), chance.randint(1, 90)
            try:
                await points.begin(context, price)
            except Fault:
                refusals += 1
                continue
            out, spent_here = out + price, chance.randint(1, min(price, 7))
            most_out = max(most_out, out + spent)
            await asyncio.sleep(0)
            context.budget.spend_objects(spent_here)
            # Counted before it is given back, so that nobody has it twice in between.
            out, spent = out - price, spent + spent_here
            points.end(context)

    await asyncio.gather(*(client(n) for n in range(50)))
    await asyncio.gather(*(points.close() for points in gateways))

    assert most_out <= 1_000
    assert spent <= 1_000
    assert refusals > 20
    left = await RedisLimits(redis, prefix="points:").take("user:" + str(ADA), limit, 0)
    assert left.remaining == 1_000 - spent


async def test_users_have_their_own_wherever_they_are_and_strangers_their_addresses(
    points: Points,
) -> None:
    assert await run(points, asked(ADA, ip="192.0.2.1"), objects=10) == '"points";r=90;t=600'
    assert await run(points, asked(ADA, ip="192.0.2.2"), objects=10) == '"points";r=80;t=600'
    assert await run(points, asked(BOB, ip="192.0.2.1")) == '"points";r=99;t=600'
    assert await run(points, asked(None, ip="192.0.2.1")) == '"points";r=99;t=600'
    assert await run(points, asked(None, ip="192.0.2.2")) == '"points";r=99;t=600'
    assert await run(points, asked(None, ip="2001:db8::1")) == '"points";r=99;t=600'
    assert await run(points, asked(None, ip="2001:db8::ffff")) == '"points";r=98;t=600'


async def test_a_subscription_costs_one_and_each_event_its_objects(points: Points) -> None:
    subscribed = asked()
    await points.begin(subscribed, 40)
    points.end(subscribed)
    for objects in (0, 5, 3):
        event = subscribed.event()
        event.budget.spend_objects(objects)
        points.end(event)
    await points.close()
    assert await run(points, asked()) == '"points";r=90;t=600'


async def test_a_request_that_never_became_an_operation_counts_for_its_address(
    points: Points,
) -> None:
    said = dict(await points.refused("192.0.2.1", 400))
    assert said == {"ratelimit-policy": POLICY, "ratelimit": '"points";r=99;t=600'}
    assert await run(points, asked(None)) == '"points";r=98;t=600'

    assert await points.refused("192.0.2.1", 503) == [("ratelimit-policy", POLICY)]  # our fault
    assert await run(points, asked(None)) == '"points";r=97;t=600'

    for _ in range(97):
        await points.refused("192.0.2.1", 400)
    with pytest.raises(Fault) as refused:
        await points.refused("192.0.2.1", 401)
    assert refused.value.status == 429


async def test_the_limit_that_refused_a_mutation_is_said_beside_the_points(points: Points) -> None:
    context = asked(None)
    await points.begin(context)
    context.limited = RateLimited(
        "too many attempts",
        retry_after_s=90,
        key="sign-in-account:account:ada@example.com",
        burst=10,
        per_seconds=900,
    )
    assert dict(points.headers(context)) == {
        "ratelimit-policy": f'{POLICY}, "sign-in-account";q=10;w=900',
        "ratelimit": '"points";r=99;t=600, "sign-in-account";r=0;t=90',
    }

    context.limited = RateLimited("synced a moment ago", retry_after_s=200)  # which is no limit
    assert dict(points.headers(context))["ratelimit-policy"] == POLICY
