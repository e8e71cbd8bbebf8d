"""Events: where a cursor stands, and what has happened since."""

import asyncio
from collections.abc import AsyncGenerator, Callable, Collection
from dataclasses import replace
from datetime import timedelta

from domain.errors import BadQuery, Unavailable
from domain.events import EVENTS_KEPT, EventCategory, EventId
from domain.identity import UserId
from domain.ports import Feed
from domain.queries.accounts import accounts_by_id
from domain.queries.links import links_by_id
from domain.queries.sync import runs_by_id
from domain.storage.reads import OwnedReads, Reads
from domain.told import BalanceTold, HoldingsTold, LinkTold, RunTold, Told

AGAIN = timedelta(milliseconds=250)  # until a database that is away is asked once more


async def place_of(reads: OwnedReads, after: EventId | None) -> int:
    """Where to go on: after that event, or after all that there are.

    Raises:
        BadQuery: the viewer has no such event, or no more.
    """
    place = await (reads.last_event() if after is None else reads.event_place(after))
    if place is None:
        raise BadQuery(
            f"after is not a cursor of yours, or of an event that is over {EVENTS_KEPT.days} days "
            "old: go on without it, and read again what may have changed"
        )
    return place


async def events(
    feed: Feed,
    user_id: UserId,
    place: int,
    snapshot: Callable[[], Reads],
    *,
    categories: Collection[EventCategory] | None,
    shown: Collection[type[Told]],
) -> AsyncGenerator[Told, None]:
    """What has happened to them since, each event once and in order, and then as it happens.

    Of the kinds in `shown`, what an event is about comes with it, from a `snapshot` that is open
    until the next one is asked for. It is of today: what is about something that was deleted
    meanwhile is left out, since there is nothing to show of it, and no client stops over that.
    A database that goes away is waited for.

    Raises:
        RateLimited: whoever reads them has fallen too far behind. A later one goes on from the
            last event's cursor.
    """
    with feed.follow(user_id, place) as happening:
        async for event in happening:
            if categories is not None and event.category not in categories:
                continue
            if type(event) not in shown:
                yield event
                continue
            reads, found = await _with_subject(snapshot, event)
            try:
                if found is not None:
                    yield found
            finally:
                await reads.close()


async def _with_subject(snapshot: Callable[[], Reads], event: Told) -> tuple[Reads, Told | None]:
    while True:
        reads = snapshot()
        try:
            return reads, await with_subject(reads, event)
        except Unavailable:
            await reads.close()
            await asyncio.sleep(AGAIN.total_seconds())
        except BaseException:
            await reads.close()
            raise


async def with_subject(reads: OwnedReads, event: Told) -> Told | None:
    """The event with what it is about, or None where that is gone."""
    match event:
        case RunTold():
            [run] = await runs_by_id(reads, [event.run_id])
            return None if run is None else replace(event, run=run)
        case LinkTold():
            [link] = await links_by_id(reads, [event.link_id])
            return None if link is None else replace(event, link=link)
        case BalanceTold() | HoldingsTold():
            [account] = await accounts_by_id(reads, [event.account_id])
            return None if account is None else replace(event, account=account)
    return event
