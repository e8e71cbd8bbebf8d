from hypothesis import given
from hypothesis import strategies as st

from adapters.memory.limits import NS_PER_S, MemoryLimits
from domain.limits import Limit


class Clock:
    def __init__(self) -> None:
        self.ns = 5 * NS_PER_S

    def __call__(self) -> int:
        return self.ns


LIMITS = st.builds(
    Limit,
    name=st.just("any"),
    burst=st.integers(1, 50),
    per_seconds=st.integers(1, 100),
)
# Each step: which key asks, how many units, and how many ms go by before.
STEPS = st.lists(
    st.tuples(st.integers(0, 6), st.integers(0, 8), st.integers(0, 4000)), min_size=1, max_size=80
)


async def taken(
    limit: Limit, steps: list[tuple[int, int, int]], *, keys_max: int
) -> dict[int, list[tuple[int, int]]]:
    """For each key, when (ns) and how much passed."""
    clock = Clock()
    limits = MemoryLimits(keys_max=keys_max, clock_ns=clock)
    passed: dict[int, list[tuple[int, int]]] = {}
    for key, cost, ms in steps:
        clock.ns += ms * 1_000_000
        if (await limits.take(str(key), limit, cost)).allowed:
            passed.setdefault(key, []).append((clock.ns, cost))
    return passed


def within_bound(limit: Limit, passed: list[tuple[int, int]]) -> bool:
    """burst + rate * t holds for every span that starts and ends with a take; in integers."""
    return all(
        (sum(cost for at, cost in passed[i : j + 1]) - limit.burst) * limit.per_seconds * NS_PER_S
        <= limit.burst * (passed[j][0] - passed[i][0])
        for i in range(len(passed))
        for j in range(i, len(passed))
    )


@given(LIMITS, STEPS)
async def test_no_more_than_burst_and_rate_passes_in_any_span(
    limit: Limit, steps: list[tuple[int, int, int]]
) -> None:
    for passed in (await taken(limit, steps, keys_max=100)).values():
        assert within_bound(limit, passed)


@given(LIMITS, STEPS, st.integers(1, 3))
async def test_the_bound_holds_when_buckets_are_forgotten(
    limit: Limit, steps: list[tuple[int, int, int]], keys_max: int
) -> None:
    for passed in (await taken(limit, steps, keys_max=keys_max)).values():
        assert within_bound(limit, passed)


@given(LIMITS, STEPS)
async def test_after_the_wait_that_was_told_the_same_take_passes(
    limit: Limit, steps: list[tuple[int, int, int]]
) -> None:
    clock = Clock()
    limits = MemoryLimits(clock_ns=clock)
    for _, cost, ms in steps:
        clock.ns += ms * 1_000_000
        verdict = await limits.take("ada", limit, cost)
        if not verdict.allowed and cost <= limit.burst:
            clock.ns += int(verdict.retry_after_s * NS_PER_S) - 1
            assert not (await limits.take("ada", limit, cost)).allowed
            clock.ns += 1
            assert (await limits.take("ada", limit, cost)).allowed


async def test_a_full_bucket_is_whole_again() -> None:
    clock, limit = Clock(), Limit(name="any", burst=7, per_seconds=60)
    limits = MemoryLimits(clock_ns=clock)
    spent = await limits.take("ada", limit, 7)
    clock.ns += int(spent.reset_s * NS_PER_S)
    assert (await limits.take("ada", limit, 0)).remaining == 7


async def test_no_flood_of_keys_takes_more_than_its_room_or_opens_an_empty_bucket() -> None:
    limit = Limit(name="sign-in", burst=10, per_seconds=900)
    clock = Clock()
    limits = MemoryLimits(keys_max=100, clock_ns=clock)
    for _ in range(10):
        assert (await limits.take("victim", limit)).allowed
    for n in range(5000):
        clock.ns += 1000
        await limits.take(f"attacker-{n}", limit)
    assert len(limits._buckets[limit]._full_at) <= 100
    assert not (await limits.take("victim", limit)).allowed


async def test_buckets_that_are_full_again_are_forgotten_without_a_trace() -> None:
    limit = Limit(name="sign-in", burst=10, per_seconds=10)
    clock = Clock()
    limits = MemoryLimits(keys_max=100, clock_ns=clock)
    for n in range(1000):
        clock.ns += NS_PER_S
        assert (await limits.take(f"address-{n}", limit, 10)).allowed
    assert len(limits._buckets[limit]._full_at) <= 100


async def test_a_unit_that_takes_a_fraction_of_a_nanosecond_more_is_not_given_early() -> None:
    clock, limit = Clock(), Limit(name="any", burst=7, per_seconds=1)
    limits = MemoryLimits(clock_ns=clock)
    assert (await limits.take("ada", limit, 7)).allowed
    clock.ns += NS_PER_S // 7  # 142,857,142 ns, a seventh of a nanosecond short
    assert not (await limits.take("ada", limit)).allowed
    clock.ns += 1
    assert (await limits.take("ada", limit)).allowed
