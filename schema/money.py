"""Exact amounts."""

from decimal import Decimal

import strawberry

from domain.money import Currency
from schema.fields import described


@strawberry.type(description="An exact amount in one currency.")
class Money:
    amount: Decimal = described(
        "In major units (dollars, not cents). Positive is what the owner has or gains, "
        "negative what they owe or lose."
    )
    currency: Currency
