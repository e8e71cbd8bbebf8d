"""One answer to GET /accounts, of either version, read: accounts with all that is inside them."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date

from adapters.providers.kit import (
    Malformed,
    Record,
    as_record,
    key,
    raw_text,
    read_rows,
    rows_of,
    text_or_nothing,
    unread,
)
from adapters.providers.kit.reading import KEY_CHARS_MAX
from adapters.providers.simplefin.faults import NAME, Trouble, about, troubles_of
from adapters.providers.simplefin.mapping import (
    CustomCurrency,
    account_of,
    holding_of,
    transaction_of,
)
from domain.sync import (
    ReceivedAccount,
    ReceivedHolding,
    ReceivedTransaction,
    SyncScope,
    Unreadable,
)
from domain.transactions import TransactionStatus


@dataclass(slots=True)
class AccountSet:
    """`failed` by account, connection, or for what is of neither by NAME. `pending` are the ids of
    all that is pending in an account, where it was read to its end.
    """

    accounts: list[ReceivedAccount] = field(default_factory=list)
    holdings: list[ReceivedHolding] = field(default_factory=list)
    holdings_complete: list[str] = field(default_factory=list)
    transactions: list[ReceivedTransaction] = field(default_factory=list)
    pending: dict[str, list[str]] = field(default_factory=dict)
    unreadable: list[Unreadable] = field(default_factory=list)
    failed: dict[str, str] = field(default_factory=dict)
    is_complete: bool = True

    def unread(self, scope: SyncScope) -> list[Unreadable]:
        return [row for row in self.unreadable if row.scope is scope]

    def newly_unread(self, told: Collection[str]) -> list[Unreadable]:
        """The accounts that failed only now, and not among those that are `told` already."""
        new = self.failed.keys() - told
        accounts = self.unread(SyncScope.ACCOUNTS)
        return [row for row in accounts if (row.account_key or NAME) in new]


@dataclass(frozen=True, slots=True, kw_only=True)
class _Of:
    """An account as it came, and what it is called."""

    record: Record
    key: str
    own: str | None  # its id, which is not all of its key where two institutions have the same
    connection: str | None
    institution: str


def account_set(
    answer: Record, *, keys: frozenset[str] | None, since: date | None, until: date | None
) -> AccountSet:
    """Of the accounts in `keys`, where it is given; transactions of these days.

    Raises ProviderUnavailable where there is no list of accounts, and as the answer itself says,
    CredentialsRejected or ProviderUnavailable.
    """
    rows = rows_of(answer, "accounts", NAME)
    troubles = troubles_of(answer)
    for trouble in troubles:
        if trouble.code == "gen.auth" or (trouble.code == "gen.api" and not rows):
            raise trouble.fault.refusal(NAME, said=trouble.said)
    told, found = AccountSet(is_complete=not troubles), _named(rows, _connections(answer))
    for of in found:
        if keys is None or of.key in keys:
            _read(told, of, since, until)
    nameless = _nameless(rows, found)
    if nameless and keys is None:
        told.unreadable += nameless
        told.failed[NAME] = nameless[0].reason
        told.is_complete = False
    told.failed |= _failures(troubles, found, keys, _connections(answer))
    for account in told.failed:
        told.pending.pop(account, None)
    told.holdings_complete = [k for k in told.holdings_complete if k not in told.failed]
    return told


def _read(told: AccountSet, of: _Of, since: date | None, until: date | None) -> None:
    try:
        account = account_of(of.record, account_key=of.key, institution=of.institution)
    except Malformed as fault:
        # Points stay what they are; what ought to have been money may be so again.
        if not isinstance(fault, CustomCurrency):
            told.failed[of.key] = fault.reason
            told.is_complete = False
        told.unreadable.append(
            unread(of.record, fault.reason, scope=SyncScope.ACCOUNTS, account_key=of.key)
        )
        return
    told.accounts.append(account)
    _read_holdings(told, of, account)
    _read_transactions(told, of, account, since, until)


def _read_holdings(told: AccountSet, of: _Of, account: ReceivedAccount) -> None:
    rows = of.record.get("holdings")
    if rows is None:
        return
    if not isinstance(rows, list):
        reason = "holdings is not a list"
        told.unreadable.append(unread(rows, reason, scope=SyncScope.HOLDINGS, account_key=of.key))
        return
    found, lost = read_rows(
        rows, lambda row: holding_of(row, account), scope=SyncScope.HOLDINGS, account=of.key
    )
    told.holdings += found
    told.unreadable += lost
    if not lost:
        told.holdings_complete.append(of.key)


def _read_transactions(
    told: AccountSet, of: _Of, account: ReceivedAccount, since: date | None, until: date | None
) -> None:
    rows = of.record.get("transactions")
    if rows is None:
        return  # which is not to say that there are none
    if not isinstance(rows, list):
        reason = "transactions is not a list"
        told.failed[of.key] = reason
        told.unreadable.append(
            unread(rows, reason, scope=SyncScope.TRANSACTIONS, account_key=of.key)
        )
        return
    found, lost = read_rows(
        rows,
        lambda row: transaction_of(row, account),
        scope=SyncScope.TRANSACTIONS,
        account=of.key,
    )
    once, again = _told_apart(found)
    first, last = since or date.min, until or date.max
    told.transactions += [row for row in once if first <= row.date <= last]
    told.unreadable += [*lost, *again]
    if not lost:
        pending = (row.key for row in once if row.status is TransactionStatus.PENDING)
        told.pending[of.key] = list(pending)


def _told_apart(
    rows: Sequence[ReceivedTransaction],
) -> tuple[list[ReceivedTransaction], list[Unreadable]]:
    """An id is never used twice within an account: of one that is, what is settled counts, and
    what says something else is kept with the reason."""
    by_key: dict[str, ReceivedTransaction] = {}
    again: list[Unreadable] = []
    for row in sorted(rows, key=lambda row: row.status is TransactionStatus.PENDING):
        first = by_key.setdefault(row.key, row)
        if first != row and first.status is row.status:
            again.append(
                Unreadable(
                    scope=SyncScope.TRANSACTIONS,
                    reason="its id is that of another transaction of the account",
                    raw=raw_text(
                        {
                            "id": row.key,
                            "amount": row.amount.amount,
                            "date": row.date.isoformat(),
                            "description": row.description,
                        }
                    ),
                    account_key=row.account_key,
                )
            )
    kept = [row for row in rows if by_key[row.key] is row]
    return kept, again


# ── who is meant ────────────────────────────────────────────────────────────


def _connections(answer: Record) -> Mapping[str, Record]:
    told = answer.get("connections")
    found: dict[str, Record] = {}
    for one in told if isinstance(told, list) else []:
        if isinstance(one, Mapping) and isinstance(one.get("conn_id"), str):
            found[one["conn_id"]] = one
    return found


def _named(rows: Sequence[object], connections: Mapping[str, Record]) -> list[_Of]:
    """Those that have an id. It is unique within an institution (or a connection) only: where two
    of them use the same one, each is told apart by whose it is. The second of one is left out."""
    found: dict[str, _Of] = {}
    whose: dict[str, set[str]] = defaultdict(set)
    for row in rows:
        if (own := _id_of(row)) is not None and isinstance(row, Mapping):
            whose[own].add(_whose(row))
    for row in rows:
        own = _id_of(row)
        if own is None or not isinstance(row, Mapping):
            continue
        connection, org = text_or_nothing(row, "conn_id"), _org(row)
        name = own if len(whose[own]) == 1 else f"{own} of {_whose(row)}"[:KEY_CHARS_MAX]
        known = connections.get(connection or "", {})
        of = _Of(
            record=row,
            key=name,
            own=own,
            connection=connection,
            institution=_institution(known, org),
        )
        found.setdefault(name, of)
    return list(found.values())


def _org(row: Record) -> Record:
    org = row.get("org")
    return org if isinstance(org, Mapping) else {}


def _whose(row: Record) -> str:
    org = _org(row)
    named = (text_or_nothing(org, name) for name in ("domain", "id", "name"))
    return text_or_nothing(row, "conn_id") or next((name for name in named if name), NAME)


def _nameless(rows: Sequence[object], found: Sequence[_Of]) -> list[Unreadable]:
    kept = {id(of.record) for of in found}
    lost: list[Unreadable] = []
    for row in rows:
        if id(row) in kept:
            continue
        reason = "its id is that of another account"
        try:
            key(as_record(row, "the account"), "id")
        except Malformed as fault:
            reason = fault.reason
        lost.append(unread(row, reason, scope=SyncScope.ACCOUNTS))
    return lost


def _institution(connection: Record, org: Record) -> str:
    """The institution's own name; a connection's has its owner's in it."""
    return (
        text_or_nothing(connection, "org_name")
        or text_or_nothing(org, "name")
        or text_or_nothing(connection, "name")
        or text_or_nothing(org, "domain")
        or text_or_nothing(connection, "org_url")
        or NAME
    )


def _failures(
    troubles: Iterable[Trouble],
    found: Sequence[_Of],
    keys: frozenset[str] | None,
    connections: Mapping[str, Record],
) -> dict[str, str]:
    failed: dict[str, str] = {}
    for trouble in troubles:
        meant = [of.key for of in found if _is_meant(trouble, of)]
        if trouble.code == "gen." and not meant:
            names = {of.key: (of.institution, text_or_nothing(of.record, "name")) for of in found}
            meant = about(trouble.said, names)
        if not meant and keys is None:
            meant = [trouble.account or trouble.connection or NAME]
        reason = trouble.reason
        if (known := connections.get(trouble.connection or "")) is not None:
            reason = f"{_institution(known, {})} {reason}"
        for one in meant:
            if keys is None or one in keys:
                failed.setdefault(one, reason)
    return failed


def _is_meant(trouble: Trouble, of: _Of) -> bool:
    if trouble.account is not None:
        return trouble.account == of.own
    return trouble.connection is not None and trouble.connection == of.connection


def _id_of(row: object) -> str | None:
    try:
        return key(as_record(row, "the account"), "id")
    except Malformed:
        return None
