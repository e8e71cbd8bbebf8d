"""Reading a row again that could not be read: it was kept with all that reading it takes."""

from decimal import Decimal

from adapters.providers.kit import Malformed, NotJson, as_record, decode
from adapters.providers.plaid.accounts import account_of
from adapters.providers.plaid.investments import holding_of, invested_of
from adapters.providers.plaid.transactions import removed_of, transaction_of
from domain.sync import Page, QuarantinedRow, SyncScope

WHOLE = Decimal(1)


def read_again(row: QuarantinedRow) -> Page | None:
    """None where it still cannot be."""
    try:
        record = as_record(decode(row.raw.encode()), "the record")
        if row.kind is SyncScope.ACCOUNTS:
            return Page(step=row.kind, progress=WHOLE, accounts=[account_of(record)])
        if row.kind is SyncScope.HOLDINGS:
            return Page(step=row.kind, progress=WHOLE, holdings=[holding_of(record)])
        if "investment_transaction_id" in record:
            found = invested_of(record)
        elif "date" not in record:
            return Page(step=row.kind, progress=WHOLE, removed=[removed_of(record)])
        else:
            found = transaction_of(record)
        return Page(step=row.kind, progress=WHOLE, transactions=[found])
    except (Malformed, NotJson):
        return None
