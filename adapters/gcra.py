"""What a limit's bucket tells, by the generic cell rate algorithm (ITU-T I.371).

A bucket is one instant: when it will be full again ("theoretical arrival time"). Instants and spans
are whole ticks of whoever's clock it is; `per_s` is how many a second has, a power of ten.
"""

from decimal import Decimal

from domain.limits import Limit, Verdict


def interval_of(limit: Limit, per_s: int) -> int:
    """A unit's, in ticks; rounding it up errs on the side of less."""
    return -(-limit.per_seconds * per_s // limit.burst)


def verdict_of(limit: Limit, *, too_early: int, full_in: int, per_s: int) -> Verdict:
    """`too_early` is by how much somebody came before their units were there; not positive where
    they got them. `full_in` is how long it takes until all are there again."""
    interval = interval_of(limit, per_s)
    used = min(-(-full_in // interval), limit.burst)

    def seconds(ticks: int) -> Decimal:
        return Decimal(ticks) / per_s

    return Verdict(
        allowed=too_early <= 0,
        remaining=limit.burst - used,
        # More than a whole burst never fits; then this is when the bucket is full.
        retry_after_s=seconds(min(max(too_early, 0), max(full_in, interval))),
        next_s=seconds(full_in - interval * (used - 1) if used else 0),
        reset_s=seconds(full_in),
    )
