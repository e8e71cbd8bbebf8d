"""Reconciliation: whether the figures of an account agree with one another."""

from collections.abc import Sequence
from datetime import datetime

import strawberry

import domain.accounts
import domain.reconciliation
from domain.queries import reconciliation as queries
from schema.context import Context
from schema.edges import edge
from schema.fields import described
from schema.money import Money


@strawberry.type(description="Two figures that do not agree, exact to the last place.")
class Finding:
    code: str = described(
        "HOLDING_VALUE: a position's value is not its quantity times price and multiplier. "
        "POSITIONS_AND_CASH: cash and positions do not come to the reported total. "
        "TRANSACTIONS_AND_BALANCE: a balance is not the one before it and what was settled since. "
        "NOT_COMPARABLE: it would take adding up two currencies, or over 1,000 positions."
    )
    message: str = described("In English, for a person to read.")
    expected: Money | None = described("What the other figures come to.")
    actual: Money | None = described("What is reported.")
    difference: Money | None = described("`actual` less `expected`.")


@strawberry.type(
    description="Whether the figures that a provider reports agree with one another: positions "
    "with their prices, an investment account's total with cash and positions, and a bank's "
    "balances of the last year with the settled transactions between them. What a provider does "
    "not report is not compared. While a sync is storing, some of it is newer than the rest."
)
class Reconciliation:
    balanced: bool = described(
        "That nothing was found: also where there was nothing to compare, and `checkedAt` is null."
    )
    checked_at: datetime | None = described(
        "The provider's time of the newest figure that was compared; null where none could be."
    )
    findings: list[Finding] = described("At most 50.")


async def reconciliations_of_accounts(
    context: Context, accounts: Sequence[domain.accounts.Account]
) -> list[domain.reconciliation.Reconciliation]:
    """Whether the figures that its provider reports agree with one another."""
    return await queries.reconciliations(context.reads, accounts, context.budget)


reconciliation_edge = edge(reconciliations_of_accounts, of=Reconciliation)
