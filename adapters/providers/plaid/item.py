"""What an Item and its answers say about themselves."""

from collections.abc import Iterable, Mapping, Sequence
from datetime import datetime
from decimal import Decimal

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    decimal,
    inner_or_none,
    instant,
    reading_answer,
    text_or_none,
)
from adapters.providers.plaid.accounts import INVESTED, currency_in
from adapters.providers.plaid.faults import SLUG
from adapters.providers.plaid.investments import cash_in
from domain.sync import ReceivedAccount, SyncScope, Unreadable

UPDATED = ("transactions", "investments")  # of which an Item says when they were last read


def inner(answer: Record, name: str) -> Record:
    """An object that an answer ought to have. Raises ProviderUnavailable."""
    with reading_answer(SLUG):
        return as_record(answer.get(name), name)


def products(item: Record) -> frozenset[str]:
    """Those that it has. To ask for another one would add it, and have the operator pay for it."""
    found: set[str] = set()
    for name in ("products", "billed_products"):
        listed = item.get(name)
        if isinstance(listed, Sequence) and not isinstance(listed, str):
            found |= {str(product) for product in listed}
    return frozenset(found)


def updated_at(answer: Record, otherwise: datetime) -> str:
    """When Plaid last read what it tells, so that an `as_of` is its own."""
    found: list[datetime] = []
    status = answer.get("status")
    for name in UPDATED:
        try:
            said = inner_or_none(as_record(status, "status"), name)
            if said is not None and said.get("last_successful_update"):
                found.append(instant(said, "last_successful_update"))
        except Malformed:
            continue
    return min(max(found, default=otherwise), otherwise).isoformat()


def expires_at(item: Record) -> datetime | None:
    """When consent ends, None for never. Raises ProviderUnavailable."""
    if item.get("consent_expiration_time") is None:
        return None
    with reading_answer(SLUG):
        return instant(item, "consent_expiration_time")


def is_invested(row: object) -> bool:
    return isinstance(row, Mapping) and row.get("type") in INVESTED


def cash_of(row: Record, held: Sequence[object], told: Iterable[object]) -> Decimal | None:
    """Of an investment account, less what was borrowed on margin where that is told apart.

    `told` are the accounts as the investments product tells them, which knows the margin.
    """
    key = str(row.get("account_id"))
    try:
        of = currency_in(as_record(row.get("balances"), "balances"))
        cash = cash_in(held, key, of)
        if cash is None or cash.amount < 0:
            return None if cash is None else cash.amount
        borrowed = Decimal(0)
        for other in told:
            if isinstance(other, Mapping) and other.get("account_id") == key:
                balances = as_record(other.get("balances"), "balances")
                if balances.get("margin_loan_amount") is not None:
                    borrowed = abs(decimal(balances, "margin_loan_amount"))
    except Malformed:
        return None
    return cash.amount - borrowed


def numbers(answer: Record | None) -> Mapping[str, str]:
    """The account numbers of loans, by account; what else is known of a debt has no place here."""
    found: dict[str, str] = {}
    liabilities = (answer or {}).get("liabilities")
    for kind in ("mortgage", "student"):
        rows = liabilities.get(kind) if isinstance(liabilities, Mapping) else None
        for row in rows if isinstance(rows, list) else ():
            try:
                record = as_record(row, kind)
                key, number = (
                    text_or_none(record, name) for name in ("account_id", "account_number")
                )
            except Malformed:
                continue
            if key and number:
                found[key] = number
    return found


def total_of(answer: Record) -> int:
    """Raises ProviderUnavailable."""
    with reading_answer(SLUG):
        return int(decimal(answer, "total_investment_transactions"))


def once(accounts: Iterable[ReceivedAccount]) -> tuple[list[ReceivedAccount], list[Unreadable]]:
    """An id told twice is of nobody knows which: the second one is kept apart."""
    found: dict[str, ReceivedAccount] = {}
    twice: list[Unreadable] = []
    for account in accounts:
        if account.key in found:
            twice.append(
                Unreadable(
                    scope=SyncScope.ACCOUNTS,
                    reason="account_id is told twice",
                    raw=f'"{ascii(account.name)[1:-1]}"',
                    account_key=account.key,
                )
            )
            continue
        found[account.key] = account
    return list(found.values()), twice
