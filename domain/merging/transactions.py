"""Merging transactions: the same one is recognised over pulls, files, formats and links."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date, datetime
from decimal import Decimal

from domain.accounts import AccountId
from domain.identity import new_id
from domain.merging.merge import Merge
from domain.merging.pending import Settling
from domain.merging.securities import SecurityOf
from domain.money import Money
from domain.sync import ReceivedTransaction
from domain.transactions import Transaction, TransactionId, TransactionStatus, folded

Content = tuple[AccountId, date, Money, str, Decimal | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredTransactions:
    """What is stored that a page could mean.

    `by_key` holds what this link named before, by account and key; `others` what other links
    gave to these accounts on these days, and this link has not named. `unnamed` are, of a file,
    what the link named on these days by ids that this file does not have: the bank may have
    renumbered them, or the file begins after them. `shared` are those of all three
    that other links name too, and `foreign` those of them that another link tells: this one only
    adds what was not known of them. `replaced` are those keys of `by_key` whose pending row has
    settled under another one. `lapsed` are what was pending here and is not any more, each by the
    keys that `names` has of it. `are_ids`: a key means the same for ever, as at a live provider,
    and is not counted anew in each file. `outdated` are accounts of which a newer file than this
    one told: what is removed there stays so, though this one says that it is pending.
    """

    by_key: Mapping[tuple[AccountId, str], Transaction]
    others: Sequence[Transaction] = ()
    unnamed: Sequence[Transaction] = ()
    shared: Collection[TransactionId] = ()
    foreign: Collection[TransactionId] = ()
    replaced: Collection[tuple[AccountId, str]] = ()
    lapsed: Sequence[Transaction] = ()
    names: Mapping[TransactionId, Sequence[str]] = field(default_factory=dict)
    are_ids: bool = False
    outdated: Collection[AccountId] = ()


@dataclass(slots=True)
class TransactionMerge(Merge[Transaction]):
    """`named` are the keys that are new, or mean something else from now on, with the transaction
    that each names; `replaced` those of them whose pending row has settled under another key: that
    they are gone at the provider says nothing of what settled.
    """

    named: dict[tuple[AccountId, str], TransactionId] = field(default_factory=dict)
    replaced: set[tuple[AccountId, str]] = field(default_factory=set)


def merge_transactions(
    stored: StoredTransactions,
    received: Iterable[tuple[AccountId, ReceivedTransaction]],
    *,
    securities: SecurityOf,
    at: datetime,
) -> TransactionMerge:
    """Each received row is one that this link named before, or the settled form of a pending one
    (our id stays), or one that this link gave by another id with the same content and text, or
    one that another source gave with the same content, or new.

    The same key twice in a page means the later one; a pending row beside the one that settles
    it says nothing of its own, and what has settled is never pending again.
    """
    merge = TransactionMerge()
    alike = _Alike(stored)
    latest: dict[tuple[AccountId, str], ReceivedTransaction] = {}
    for account_id, row in received:
        if (account_id, row.key) in latest:
            merge.unchanged += 1
        latest[account_id, row.key] = row
    for account_id, key in _settled_here(latest):
        del latest[account_id, key]
        merge.unchanged += 1
    named = {t.id for key in latest if (t := stored.by_key.get(key)) is not None}
    settling = Settling([t for t in stored.lapsed if t.id not in named])
    settled: set[TransactionId] = set()
    for (account_id, key), row in latest.items():
        keys = [(account_id, k) for k in (key, row.replaces) if k is not None]
        before = next((t for k in keys if (t := stored.by_key.get(k))), None)
        if before is not None and row.status is TransactionStatus.SETTLED:
            if before.id in settled or _was_taken(stored, before, keys[0]):
                before = None  # one of the two was taken for the other while it was not told
            else:
                settled.add(before.id)
        is_apart = before is None
        now = _transaction(before, row, account_id, securities, at)
        if before is None and (before := alike.take(now)) is not None:
            now = _transaction(before, row, account_id, securities, at)
        elif before is None and (before := settling.take(now)) is not None:
            now = _transaction(before, row, account_id, securities, at)
            old = [(account_id, name) for name in stored.names.get(before.id, ())]
            merge.named |= dict.fromkeys(old, now.id)
            merge.replaced.update(old)
        if before is not None and before.id in stored.foreign:
            now = _also(before, now)
        elif before is not None and before.id in stored.shared:
            now = _filled(now, before)
        if before is not None and _is_late(before, row, account_id in stored.outdated):
            now = before
        _name(merge, stored, keys, now, is_apart=is_apart)
        if before is not None and now != before:
            now = replace(now, updated_at=at)
        merge.meet(before, now)
    return merge


def _name(
    merge: TransactionMerge,
    stored: StoredTransactions,
    keys: Sequence[tuple[AccountId, str]],
    now: Transaction,
    *,
    is_apart: bool,
) -> None:
    """By its own key, and by the one of the pending row that it settles."""
    for one in keys:
        known, is_replaced = stored.by_key.get(one), one != keys[0]
        is_anew = is_apart and not is_replaced
        if known is not None and known.id != now.id and not is_anew:
            continue
        was_replaced = one in stored.replaced
        if was_replaced and now.status is TransactionStatus.SETTLED and not is_anew:
            continue  # told once more, late
        if known is None or known.id != now.id or is_replaced != was_replaced:
            merge.named[one] = now.id
            if is_replaced:
                merge.replaced.add(one)


class _Alike:
    """What is stored under other keys, by what it says; each is taken once.

    Texts differ from format to format, but within a link they tell apart two rows of one day and
    amount.
    """

    def __init__(self, stored: StoredTransactions) -> None:
        self._by_text: dict[tuple[Content, str], list[Transaction]] = defaultdict(list)
        self._by_content: dict[Content, list[Transaction]] = defaultdict(list)
        for own in stored.unnamed:
            self._by_text[_content(own), folded(own.description)].append(own)
        for other in stored.others:
            self._by_content[_content(other)].append(other)

    def take(self, row: Transaction) -> Transaction | None:
        content = _content(row)
        same = self._by_text.get((content, folded(row.description)))
        same = same or self._by_content.get(content)
        return same.pop(0) if same else None


def _settled_here(
    page: Mapping[tuple[AccountId, str], ReceivedTransaction],
) -> set[tuple[AccountId, str]]:
    """The pending rows that another row of the same page settles."""
    replaced = {
        (id, row.replaces) for (id, key), row in page.items() if row.replaces not in (None, key)
    }
    return {(id, key) for id, key in page if (id, key) in replaced}


def _was_taken(stored: StoredTransactions, before: Transaction, key: tuple[AccountId, str]) -> bool:
    """Whether what this key named was taken for another that settled: then it is not that one,
    since it settles under its own id."""
    is_settled = before.status is TransactionStatus.SETTLED
    return stored.are_ids and is_settled and key in stored.replaced


def _is_late(before: Transaction, row: ReceivedTransaction, is_outdated: bool) -> bool:
    """A pending row that is told again though it has settled meanwhile, or was given up."""
    if row.status is not TransactionStatus.PENDING:
        return False
    if before.removed_at is not None:
        return is_outdated
    return before.status is TransactionStatus.SETTLED


def gone_now(
    stored: StoredTransactions, merge: TransactionMerge, keys: Iterable[tuple[AccountId, str]]
) -> list[Transaction]:
    """Which transactions the keys that are gone at the provider mean: none that the same page told,
    that another link tells, or that has settled under another key since."""
    told = {t.id for t in (*merge.written, *merge.confirmed)} | {*stored.foreign}
    replaced = {*stored.replaced} - merge.named.keys() | merge.replaced
    meant = (stored.by_key.get(key) for key in keys if key not in replaced)
    return [t for t in meant if t is not None and t.id not in told]


def remove_transactions(stored: Iterable[Transaction], at: datetime) -> Merge[Transaction]:
    """Gone at the provider: kept, and marked."""
    merge: Merge[Transaction] = Merge()
    for transaction in stored:
        if transaction.removed_at is None:
            merge.lose(transaction, replace(transaction, removed_at=at, updated_at=at))
    return merge


def days_around(received: Iterable[ReceivedTransaction]) -> tuple[date, date] | None:
    days = [row.date for row in received]
    return (min(days), max(days)) if days else None


def _transaction(
    before: Transaction | None,
    row: ReceivedTransaction,
    account_id: AccountId,
    securities: SecurityOf,
    at: datetime,
) -> Transaction:
    return Transaction(
        id=before.id if before else TransactionId(new_id()),
        account_id=account_id,
        subtype=row.subtype,
        status=row.status,
        amount=row.amount,
        description=row.description,
        date=row.date,
        created_at=before.created_at if before else at,
        updated_at=before.updated_at if before else at,
        merchant=row.merchant,
        provider_category=row.category,
        own_category=before.own_category if before else None,
        notes=before.notes if before else None,
        settlement_date=row.settlement_date,
        security=securities[row.security] if row.security else None,
        quantity=row.quantity,
        unit_price=row.unit_price,
        commission=row.commission,
        data_version=before.data_version if before else 0,
    )


def _also(before: Transaction, now: Transaction) -> Transaction:
    """What another source tells, learning only what it did not know, and that it has settled."""
    if before.status is TransactionStatus.PENDING and now.status is not before.status:
        return now
    return _filled(before, now)


def _filled(told: Transaction, known: Transaction) -> Transaction:
    """What one source tells, with what only another one knows."""
    return replace(
        told,
        merchant=told.merchant or known.merchant,
        provider_category=told.provider_category or known.provider_category,
        settlement_date=told.settlement_date or known.settlement_date,
        security=told.security or known.security,
        quantity=told.quantity if told.quantity is not None else known.quantity,
        unit_price=told.unit_price or known.unit_price,
        commission=told.commission or known.commission,
    )


def _content(transaction: Transaction) -> Content:
    """What two sources say alike of one transaction."""
    symbol = transaction.security.id.hex if transaction.security else ""
    return (
        transaction.account_id,
        transaction.date,
        transaction.amount,
        symbol,
        transaction.quantity,
    )
