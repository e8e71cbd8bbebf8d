"""Statement files: what one says, normalised, and the record of its import."""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal
from functools import partial
from uuid import UUID

from domain.accounts import AccountType
from domain.money import Money
from domain.sync import (
    Page,
    QuarantinedRow,
    ReceivedAccount,
    ReceivedHolding,
    ReceivedTransaction,
    RunId,
    SyncCounts,
    SyncScope,
    Unreadable,
)
from domain.transactions import folded

FILE_BYTES_MAX = 10 * 1024 * 1024
IN_REQUEST_BYTES_MAX = 2 * 1024 * 1024
ROWS_A_PAGE = 1_000
CASH_ALONE = "it lists no positions, and some are known: its cash is not the balance"
KEY_TEXT_CHARS_MAX = 400  # of a row's text: what an index takes of a key has an end


@dataclass(frozen=True, slots=True, kw_only=True)
class Statement:
    """What a file says. `since` and `until` are the days that it says it covers.

    `source` is in whose words: files of one institution and source name a transaction alike, and
    what another source says of it is matched by its content. `pending` as on Page.
    """

    institution: str | None
    accounts: Sequence[ReceivedAccount]
    holdings: Sequence[ReceivedHolding] = ()
    holdings_complete: Sequence[str] = ()
    transactions: Sequence[ReceivedTransaction] = ()
    unreadable: Sequence[Unreadable] = ()
    since: date | None = None
    until: date | None = None
    source: str = ""
    pending: Mapping[str, Sequence[str]] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportFile:
    """A file as it was received; `digest` is the SHA-256 of its bytes."""

    id: UUID
    run_id: RunId
    name: str
    digest: bytes
    size: int
    received_at: datetime
    content: bytes | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class PreviewedAccount:
    name: str
    mask: str | None
    type: AccountType
    balance: Money | None
    is_new: bool
    transactions: SyncCounts
    holdings: SyncCounts
    since: date | None
    until: date | None


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportPreview:
    """What an import would do. `unreadable` is all that it would quarantine."""

    institution: str | None
    accounts: Sequence[PreviewedAccount]
    unreadable: Sequence[QuarantinedRow]


def pages_of(statement: Statement, *, cursor: str | None = None) -> Iterator[Page]:
    """The statement in parts of at most ROWS_A_PAGE transactions, after `cursor`.

    The first page holds the accounts, the second their holdings, then come the transactions in
    the order of the file; each cursor is the number of the page after it.
    """
    rows = statement.transactions
    read = {a.key for a in statement.accounts}
    failed = {
        u.account_key: u.reason
        for u in statement.unreadable
        if u.scope is SyncScope.ACCOUNTS and u.account_key and u.account_key not in read
    }
    stated_at = {a.key: a.as_of for a in statement.accounts}
    all_keys = [(t.account_key, t.key) for t in rows]
    part = partial(Page, progress=Decimal(0))  # each has its own below
    pages = [
        part(
            step=SyncScope.ACCOUNTS,
            accounts=statement.accounts,
            unreadable=statement.unreadable,
            failed=failed,
            stated_at=stated_at,
        ),
        part(
            step=SyncScope.HOLDINGS,
            holdings=statement.holdings,
            holdings_complete=statement.holdings_complete,
            stated_at=stated_at,
        ),
    ]
    pages += [
        part(
            step=SyncScope.TRANSACTIONS,
            transactions=rows[at : at + ROWS_A_PAGE],
            all_keys=all_keys,
            pending=statement.pending,
            stated_at=stated_at if statement.pending else {},
        )
        for at in range(0, len(rows), ROWS_A_PAGE)
    ]
    for number, page in enumerate(pages, 1):
        if number > int(cursor or 0):
            yield replace(page, cursor=str(number), progress=Decimal(number) / len(pages))


def content_keys(rows: Sequence[tuple[str | None, date, Decimal, str]]) -> list[str]:
    """Keys for rows whose provider's ids are not unique: id, date, amount and ordinal.

    Each row is (provider's id, date, amount, text); where there is no id, the beginning of the text
    counts. Rows that are alike in all of it are told apart by their order in the file.
    """
    seen: Counter[str] = Counter()
    keys: list[str] = []
    for own, day, amount, text in rows:
        name = own or f"~{folded(text[:KEY_TEXT_CHARS_MAX])}"
        key = f"{name}|{day.isoformat()}|{amount.normalize():f}"
        keys.append(f"{key}|{seen[key]}")
        seen[key] += 1
    return keys
