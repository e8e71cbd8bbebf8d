"""Figures that are worked out of Schwab's: exact, and not longer than we store."""

from collections.abc import Iterator
from contextlib import contextmanager
from decimal import Decimal

from adapters.providers.kit import Malformed
from domain.money import Currency, Money, storable

USD = Currency("USD")  # what Schwab keeps accounts in; no answer names a currency


@contextmanager
def figuring() -> Iterator[None]:
    """What cannot be worked out is Malformed."""
    try:
        yield
    except ArithmeticError:
        raise Malformed("its figures are too long to work with") from None


def fit(number: Decimal) -> Decimal:
    """Raises Malformed."""
    try:
        return storable(number)
    except ValueError as fault:
        raise Malformed(f"what its figures come to is {fault}") from None


def usd(amount: Decimal) -> Money:
    """Raises Malformed."""
    return Money(fit(amount), USD)


def usd_or_none(amount: Decimal | None) -> Money | None:
    """Raises Malformed."""
    return None if amount is None else usd(amount)
