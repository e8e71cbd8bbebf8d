"""What operations cost, and what their answers say of it."""

from datetime import UTC, datetime
from types import SimpleNamespace
from typing import cast
from uuid import UUID

import pytest

from adapters.memory.limits import MemoryLimits
from domain.errors import RateLimited
from domain.identity import Actor, Role, UserId
from domain.limits import Limit
from domain.ports import App
from domain.storage.reads import Reads
from gateway.faults import Fault
from gateway.points import Points
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


async def run(points: Points, context: Context, *, objects: int = 0) -> str:
    """One operation; what is said of what is left."""
    await points.begin(context)
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


async def test_it_begins_while_anything_is_left_and_what_it_took_is_waited_for(
    points: Points,
) -> None:
    assert await run(points, asked(), objects=99) == '"points";r=1;t=600'
    assert await run(points, asked(), objects=50) == '"points";r=0;t=600'

    with pytest.raises(Fault) as refused:
        await points.begin(asked())

    assert (refused.value.status, refused.value.code) == (429, "RATE_LIMITED")
    assert refused.value.headers == {
        "retry-after": "30000",  # 49 that are owed, and one
        "ratelimit-policy": POLICY,
        "ratelimit": '"points";r=0;t=30000',
    }


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
    await points.begin(subscribed)
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
