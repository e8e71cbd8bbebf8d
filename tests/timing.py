"""Whether two samples of times are of one distribution: the test of Mann and Whitney."""

from collections import Counter
from collections.abc import Sequence
from math import erfc, sqrt


def mann_whitney_p(one: Sequence[float], other: Sequence[float]) -> float:
    """Two-sided, by the normal approximation with ties and continuity: for 20 and more of each."""
    n, m = len(one), len(other)
    pooled = sorted([*one, *other])
    first: dict[float, int] = {}
    for rank, value in enumerate(pooled, start=1):
        first.setdefault(value, rank)
    ties = Counter(pooled)
    ranks = sum(first[value] + (ties[value] - 1) / 2 for value in one)
    u = ranks - n * (n + 1) / 2
    total = n + m
    tied = sum(count**3 - count for count in ties.values())
    spread = sqrt(n * m / 12 * (total + 1 - tied / (total * (total - 1))))
    z = (abs(u - n * m / 2) - 0.5) / spread
    return erfc(max(z, 0) / sqrt(2))
