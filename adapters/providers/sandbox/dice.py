"""Chance that is the same on every machine and in every version of Python."""

from hashlib import blake2b


class Dice:
    """Whole numbers drawn from a seed of any parts; equal parts give equal numbers."""

    def __init__(self, *parts: object) -> None:
        self._seed = "|".join(map(str, parts)).encode()
        self._pool = b""
        self._round = 0

    def below(self, bound: int) -> int:
        """0 <= n < bound, for bounds far below 2**32."""
        if len(self._pool) < 4:
            self._pool = blake2b(self._seed, salt=self._round.to_bytes(8, "big")).digest()
            self._round += 1
        drawn, self._pool = self._pool[:4], self._pool[4:]
        return int.from_bytes(drawn, "big") % bound

    def between(self, low: int, high: int) -> int:
        """Both inclusive."""
        return low + self.below(high - low + 1)

    def one_in(self, count: int) -> bool:
        return self.below(count) == 0


def half_even(numerator: int, denominator: int) -> int:
    """The quotient, rounded half-even; `denominator` is positive."""
    whole, rest = divmod(numerator, denominator)
    if 2 * rest > denominator or (2 * rest == denominator and whole % 2):
        whole += 1
    return whole
