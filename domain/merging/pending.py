"""Pending transactions of a provider that does not say which of them has settled.

It says all that is pending. What was, and is not any more, has settled under another id, or was
given up by the shop. The two are told apart by what has settled since:

same amount, not before it was pending, at most SETTLES_IN after  ──>  it is that one
nothing like it                                                   ──>  removed, and marked so

What was removed is still recognised when it settles later. Where two are alike the same text goes
first, then the older one; whichever is taken, none counts twice. A tip makes another amount: then
the pending one is removed, and the settled one is new.
"""

from bisect import bisect_left
from collections import defaultdict
from collections.abc import Iterable, Mapping, Sequence
from datetime import date, timedelta
from decimal import Decimal

from domain.accounts import AccountId
from domain.merging.merge import Merge
from domain.money import Currency
from domain.transactions import Transaction, TransactionId, TransactionStatus, folded

SETTLES_IN = timedelta(days=14)
PENDING_MAX = timedelta(days=90)  # what is pending for longer is left as it is

_Amount = tuple[AccountId, Decimal, Currency]


class Settling:
    """What is pending no more; each is taken once."""

    def __init__(self, lapsed: Sequence[Transaction]) -> None:
        self._taken: set[TransactionId] = set()
        self._by_text: dict[tuple[_Amount, str], list[Transaction]] = defaultdict(list)
        self._by_amount: dict[_Amount, list[Transaction]] = defaultdict(list)
        for one in sorted(lapsed, key=lambda t: (t.date, t.id)):
            self._by_text[_amount(one), folded(one.description)].append(one)
            self._by_amount[_amount(one)].append(one)

    def take(self, row: Transaction) -> Transaction | None:
        """The one that this row is, now that it has settled."""
        if row.status is not TransactionStatus.SETTLED:
            return None
        amount = _amount(row)
        if amount not in self._by_amount:
            return None
        same = self._by_text.get((amount, folded(row.description)), [])
        return self._first(same, row.date) or self._first(self._by_amount[amount], row.date)

    def _first(self, alike: list[Transaction], settled: date) -> Transaction | None:
        """The oldest that is left; `alike` is in order, and forgets what is taken."""
        place = bisect_left(alike, settled - SETTLES_IN, key=lambda t: t.date)
        while place < len(alike) and alike[place].date <= settled:
            found = alike.pop(place)
            if found.id not in self._taken:
                self._taken.add(found.id)
                return found
        return None


def lapsed(
    named: Iterable[tuple[Transaction, str]], still: Mapping[AccountId, Sequence[str]]
) -> list[Transaction]:
    """Those stored as pending that no key names among all that is `still` pending there."""
    keys: dict[AccountId, frozenset[str]] = {id: frozenset(k) for id, k in still.items()}
    told = list(named)
    pending = {t.id for t, key in told if key in keys.get(t.account_id, ())}
    found = {t.id: t for t, _ in told if t.id not in pending and t.account_id in keys}
    return list(found.values())


def given_up(lapsed: Iterable[Transaction], merge: Merge[Transaction]) -> list[Transaction]:
    """Those that nothing of this page has settled."""
    settled = {t.id for t in (*merge.written, *merge.confirmed)}
    return [one for one in lapsed if one.id not in settled]


def _amount(one: Transaction) -> _Amount:
    return one.account_id, one.amount.amount, one.amount.currency
