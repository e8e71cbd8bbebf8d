"""What has changed since, page by page."""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from typing import Any

from domain.changes import GONE, ChangeSet, Entity, Kind, Position, all_of
from domain.errors import BadQuery
from domain.queries.accounts import accounts_by_id
from domain.queries.holdings import holdings_by_id, securities_by_id
from domain.queries.links import links_by_id
from domain.queries.transactions import transactions_by_id
from domain.storage.reads import OwnedReads

Load = Callable[[OwnedReads, Sequence[Any]], Awaitable[Sequence[Any]]]
LOADS: Mapping[Kind, Load] = {
    Kind.LINK: links_by_id,
    Kind.ACCOUNT: accounts_by_id,
    Kind.SECURITY: securities_by_id,
    Kind.HOLDING: holdings_by_id,
    Kind.TRANSACTION: transactions_by_id,
}


async def changes(reads: OwnedReads, after: Position | None, *, limit: int) -> ChangeSet:
    """At most `limit` things, changed and gone together; a statement for each kind among them.

    None begins a copy, which is told of what is gone from then on. A copy may be read while
    everything goes on changing: each page is of one instant, and what changed between two pages
    comes with a later one.

    Raises BadQuery for what is ahead of all that there is: the copy is of another database, or of
    one that was put back from a backup since.
    """
    now = await reads.data_version()
    begin = Position(since=now) if after is None else after
    if max(begin.version, begin.since) > now:
        raise BadQuery("after is ahead of everything there is: begin without it")
    rows = await reads.changed(begin, limit=limit + 1)
    page = rows[:limit]
    has_more = len(rows) > limit
    reached = all_of(now)
    if has_more:
        last = page[-1]
        reached = Position(since=begin.since, version=last.version, place=last.place, id=last.id)
    stands = [row for row in page if row.place != GONE]
    found: dict[tuple[Kind, Any], Entity] = {}
    for kind, load in LOADS.items():
        if ids := [row.id for row in stands if row.kind is kind]:
            found |= {(kind, e.id): e for e in await load(reads, ids)}
    return ChangeSet(
        upserted=[found[row.kind, row.id] for row in stands],
        gone=[row for row in page if row.place == GONE and (row.kind, row.id) not in found],
        reached=reached,
        has_more=has_more,
    )
