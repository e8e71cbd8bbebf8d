"""Exact amounts in one currency."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_EVEN, Context, Decimal, DivisionByZero, InvalidOperation, Overflow
from fractions import Fraction
from functools import reduce
from math import floor
from typing import NewType

from domain.currencies import CRYPTO, ISO_4217

Currency = NewType("Currency", str)

# Wide enough that no sum or product of what a person owns is ever rounded on the way: a product of
# two numbers of DIGITS_MAX places on either side of the point has 112 digits.
EXACT = Context(
    prec=130, rounding=ROUND_HALF_EVEN, traps=[InvalidOperation, DivisionByZero, Overflow]
)
DIGITS_MAX = 28  # before and after the point, as the Decimal scalar takes them


class MixedCurrencies(ValueError):
    """Amounts of two currencies met where no exchange rate was given."""


def currency(code: str) -> Currency:
    """Raises ValueError for what is neither an ISO 4217 nor a known crypto asset code."""
    if code in ISO_4217 or code in CRYPTO:
        return Currency(code)
    raise ValueError(f"{code[:12]!r} is not an ISO 4217 or crypto asset code")


def minor_digits(of: Currency) -> int:
    """How many places after the point the currency's smallest unit has; 2 where none is defined."""
    if of in CRYPTO:
        return CRYPTO[of]
    digits = ISO_4217.get(of)
    return 2 if digits is None else digits


def is_whole(amount: Decimal, of: Currency) -> bool:
    """Whether it has no parts of a minor unit; of a currency without one, such as gold, none has
    any."""
    return amount == Money(amount, of).rounded().amount


def storable(number: Decimal) -> Decimal:
    """The same number, or ValueError where it is not finite or longer than we carry exactly."""
    if not number.is_finite():
        raise ValueError("not a finite number")
    _, digits, exponent = number.as_tuple()
    assert isinstance(exponent, int)  # noqa: S101 - finite: narrows the type for the checker
    if -exponent > DIGITS_MAX or len(digits) + max(exponent, 0) + min(exponent, 0) > DIGITS_MAX:
        raise ValueError(f"over {DIGITS_MAX} digits before or after the point")
    return number


@dataclass(frozen=True, slots=True)
class Money:
    """An amount in major units (dollars, not cents).

    Positive is money the owner has or gains; negative is money they owe or lose. Adapters
    convert each institution's own sign convention, so no other room has to know it.
    """

    amount: Decimal
    currency: Currency

    def __add__(self, other: "Money") -> "Money":
        return Money(EXACT.add(self.amount, self._same(other).amount), self.currency)

    def __sub__(self, other: "Money") -> "Money":
        return Money(EXACT.subtract(self.amount, self._same(other).amount), self.currency)

    def __neg__(self) -> "Money":
        return Money(EXACT.minus(self.amount), self.currency)

    def __abs__(self) -> "Money":
        return Money(EXACT.abs(self.amount), self.currency)

    def times(self, factor: Decimal) -> "Money":
        return Money(EXACT.multiply(self.amount, factor), self.currency)

    def rounded(self) -> "Money":
        """Half-even, to the currency's minor unit; where it has none, as gold, as it is."""
        if ISO_4217.get(self.currency, 0) is None:
            return self
        quantum = Decimal(1).scaleb(-minor_digits(self.currency))
        return Money(self.amount.quantize(quantum, context=EXACT), self.currency)

    def allocate(self, weights: Sequence[Decimal]) -> list["Money"]:
        """Parts in proportion to `weights`, in whole minor units, that add up to this amount.

        What rounding leaves over goes, a minor unit each, to the largest remainders, the first
        of equals first. The amount itself must be in whole minor units; weights are not
        negative and not all zero. Raises ValueError otherwise.
        """
        shares = [Fraction(w) for w in weights]
        whole = sum(shares)
        if whole <= 0 or any(share < 0 for share in shares):
            raise ValueError("weights are not negative, and not all zero")
        quantum = Decimal(1).scaleb(-minor_digits(self.currency))
        units = EXACT.divide(EXACT.abs(self.amount), quantum)
        if units != units.to_integral_value():
            raise ValueError("only whole minor units can be allocated without loss")
        exact = [int(units) * share / whole for share in shares]
        parts = [floor(part) for part in exact]
        left = int(units) - sum(parts)
        by_remainder = sorted(range(len(weights)), key=lambda i: parts[i] - exact[i])
        for i in by_remainder[:left]:
            parts[i] += 1
        sign = -1 if self.amount < 0 else 1
        return [Money(EXACT.multiply(sign * part, quantum), self.currency) for part in parts]

    def _same(self, other: "Money") -> "Money":
        if other.currency != self.currency:
            raise MixedCurrencies(f"{self.currency} and {other.currency}")
        return other


def exact_sum(numbers: Iterable[Decimal]) -> Decimal:
    """What `sum` rounds to 28 digits."""
    return reduce(EXACT.add, numbers, Decimal(0))


def zero(of: Currency) -> Money:
    return Money(Decimal(0), of)


def total(amounts: Iterable[Money], of: Currency) -> Money:
    """Raises MixedCurrencies where one of them is not in `of`."""
    summed = zero(of)
    for amount in amounts:
        summed += amount
    return summed


def percent(part: Decimal, of: Decimal) -> Decimal | None:
    """Per cent with two places, half-even; None where the base is zero."""
    if of == 0:
        return None
    ratio = EXACT.divide(EXACT.multiply(part, Decimal(100)), EXACT.abs(of))
    return ratio.quantize(Decimal("0.01"), context=EXACT)
