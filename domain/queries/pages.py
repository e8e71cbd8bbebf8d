"""Lists that are read page by page, of all accounts or of each, and how long they are."""

from collections import defaultdict
from collections.abc import Awaitable, Callable, Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

from domain.accounts import AccountId
from domain.holdings import HoldingFilter
from domain.transactions import TransactionFilter

T = TypeVar("T")
F = TypeVar("F", HoldingFilter, TransactionFilter)


@dataclass(frozen=True, slots=True, kw_only=True)
class Page(Generic[T]):
    """`has_previous` says that it was asked for what comes after something."""

    nodes: Sequence[T]
    has_next: bool
    has_previous: bool

    @classmethod
    def of(cls, rows: Sequence[T], *, limit: int, after: object | None, **said: Any) -> Self:
        """`rows` are one more than the `limit` where there is more."""
        more, begun = len(rows) > limit, after is not None
        return cls(nodes=rows[:limit], has_next=more, has_previous=begun, **said)


@dataclass(frozen=True, slots=True, kw_only=True)
class AccountPage(Page[T], Generic[T, F]):
    """`account_id` is None for a page over all accounts that the filter allows."""

    filter: F
    account_id: AccountId | None = None


async def counted(
    pages: Sequence[AccountPage[Any, F]],
    of_all: Callable[[F], Awaitable[int]],
    of_each: Callable[[Sequence[AccountId], F], Awaitable[Mapping[AccountId, int]]],
) -> list[int]:
    """How many each page is a part of; a statement for each different filter."""
    found: dict[tuple[F, AccountId | None], int] = {}
    asked: dict[F, set[AccountId]] = defaultdict(set)
    for page in pages:
        if page.account_id is not None:
            asked[page.filter].add(page.account_id)
        elif page.filter.account_ids != () and (page.filter, None) not in found:
            found[page.filter, None] = await of_all(page.filter)
    for filter, ids in asked.items():
        if inside := within(sorted(ids), filter.account_ids):
            counts = await of_each(inside, replace(filter, account_ids=None))
            found |= {(filter, id): count for id, count in counts.items()}
    return [found.get((page.filter, page.account_id), 0) for page in pages]


def within(keys: Iterable[T], allowed: Collection[T] | None) -> list[T]:
    """The keys once each, in order, those outside `allowed` left out; None allows all."""
    kept = dict.fromkeys(keys)
    return list(kept) if allowed is None else [key for key in kept if key in allowed]
