"""Between columns and the values of our entities, where a column alone does not say it."""

from decimal import Decimal

from domain.money import Currency, Money


def money(amount: Decimal | None, currency: str | None) -> Money | None:
    return None if amount is None or currency is None else Money(amount, Currency(currency))


def amount(value: Money | None, currency: str | None) -> Decimal | None:
    """The amount of `value`, whose currency has a column that other amounts share.

    Raises:
        ValueError: it is in another currency, and its own would be lost.
    """
    if value is None:
        return None
    if value.currency != currency:
        raise ValueError(f"{value.currency} where the amounts beside it are in {currency}")
    return value.amount


def currency_of(*values: Money | None) -> str | None:
    return next((value.currency for value in values if value is not None), None)
