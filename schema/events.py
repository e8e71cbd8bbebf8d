"""What happens, as it happens."""

from collections.abc import AsyncGenerator, Sequence
from datetime import datetime
from typing import TYPE_CHECKING, Annotated, Any, TypeAlias

import strawberry

import domain.accounts
import domain.links
import domain.sync
from domain import told
from domain.events import EventCategory, EventId
from domain.identity import OwnSession, Permission, SessionId
from domain.queries import events as queries
from domain.queries.identity import sessions_by_id
from schema import ids, paging
from schema.context import Context, Info
from schema.edges import edge
from schema.fields import NOT_GIVEN, described, field, given, subscription
from schema.ids import describes
from schema.money import Money
from schema.sync import ALink, SyncCounts, SyncRun

if TYPE_CHECKING:
    from schema.accounts import Account
    from schema.sessions import Session

AnAccount: TypeAlias = Annotated["Account", strawberry.lazy("schema.accounts")]
ASession: TypeAlias = Annotated["Session", strawberry.lazy("schema.sessions")]

strawberry.enum(EventCategory, description="What an event is about.")


@strawberry.interface(
    description="Something that has happened. What it is about is shown as it is today; where that "
    "was deleted meanwhile, who asks for it does not get the event."
)
class Event:
    at: datetime
    category: EventCategory
    name: str = described("Such as account.balance_changed; what it is about, and what became.")
    message: str = described("One sentence, which names no amounts.")

    @field(strawberry.ID, "The same whenever it is told.")
    def id(self: Any) -> strawberry.ID:
        return ids.global_id("Event", self.id)

    @field(str, "For `after`, to go on after it.")
    def cursor(self: Any) -> str:
        return cursor_of(self)


async def runs_of_events(
    context: Context, events: Sequence[told.RunTold]
) -> list[domain.sync.SyncRun | None]:
    """The run that has begun, is complete or has failed."""
    return [event.run for event in await _with_subjects(context, events)]


async def links_of_events(
    context: Context, events: Sequence[told.LinkTold]
) -> list[domain.links.Link | None]:
    """The link to which it happened."""
    return [event.link for event in await _with_subjects(context, events)]


async def accounts_of_events(
    context: Context, events: Sequence[told.BalanceTold | told.HoldingsTold]
) -> list[domain.accounts.Account | None]:
    """The account in which it happened."""
    return [event.account for event in await _with_subjects(context, events)]


async def sessions_of_events(
    context: Context, events: Sequence[told.SecurityTold]
) -> list[OwnSession | None]:
    """The session that it is about, while that goes on."""
    asked = [event.session_id for event in events if event.session_id is not None]
    if not asked:
        return [None for _ in events]
    found = await sessions_by_id(context.reads, asked)
    known: dict[SessionId, OwnSession | None] = dict(zip(asked, found, strict=True))
    return [None if e.session_id is None else known[e.session_id] for e in events]


@strawberry.type(description="A sync or an import has begun, is complete, or has failed.")
class SyncEvent(Event):
    is_type_of = describes(told.RunTold)

    run: SyncRun = edge(runs_of_events, of=SyncRun)


@strawberry.type(description="Something happened to a link.")
class LinkEvent(Event):
    is_type_of = describes(told.LinkTold)

    link: ALink = edge(links_of_events, of=ALink)


@strawberry.type(description="The balance of an account has changed.")
class BalanceEvent(Event):
    is_type_of = describes(told.BalanceTold)

    account: AnAccount = edge(accounts_of_events, of=AnAccount)
    previous: Money | None = described("Null where none was known before.")
    current: Money


@strawberry.type(description="The holdings of an account have changed.")
class HoldingsEvent(Event):
    is_type_of = describes(told.HoldingsTold)

    account: AnAccount = edge(accounts_of_events, of=AnAccount)
    counts: SyncCounts


@strawberry.type(description="The net worth has changed, in the base currency of that time.")
class NetWorthEvent(Event):
    is_type_of = describes(told.NetWorthTold)

    previous: Money | None = described("Null where nothing counted before.")
    current: Money


@strawberry.type(description="Something that may be of concern for the safety of your account.")
class SecurityEvent(Event):
    is_type_of = describes(told.SecurityTold)

    session: ASession | None = edge(sessions_of_events, of=ASession | None)
    detail: str | None = described(
        "The address from which somebody tried to sign in, or what became of the second factor."
    )


def cursor_of(event: told.Told) -> str:
    return paging.encoded("events", str(event.id))


TYPES = (SyncEvent, LinkEvent, BalanceEvent, HoldingsEvent, NetWorthEvent, SecurityEvent)
# What of each is read before it is told, where the document asks for it.
SUBJECTS = {
    told.RunTold: "run",
    told.LinkTold: "link",
    told.BalanceTold: "account",
    told.HoldingsTold: "account",
}


@strawberry.type
class EventSubscription:
    @subscription(
        Event,
        "What happens from now on, or has happened after a cursor, each event once and in order. "
        "Events are kept for 90 days. Go on after the last one's cursor where the connection was "
        "lost, or was ended with RATE_LIMITED because the client took too long over them.",
        permits=Permission.READ_DATA,
    )
    async def events(
        self,
        info: Info,
        categories: Annotated[
            list[EventCategory] | None, strawberry.argument(description="All by default.")
        ] = NOT_GIVEN,
        after: Annotated[
            str | None, strawberry.argument(description="The cursor of the last event seen.")
        ] = NOT_GIVEN,
    ) -> AsyncGenerator[told.Told, None]:
        context, kinds = info.context, given(categories)
        # A browser that comes back asks for the same URL again, and says what it has seen.
        seen = paging.id_after(context.last_event_id or given(after), "events")
        place = await queries.place_of(context.reads, None if seen is None else EventId(seen))
        await context.renew()  # nothing is held open while nothing happens
        return queries.events(
            context.app.feed,
            context.actor.user_id,
            place,
            context.fresh,
            categories=None if kinds is None else frozenset(kinds),
            shown=[kind for kind, name in SUBJECTS.items() if name in info.shown],
        )


async def _with_subjects(context: Context, events: Sequence[Any]) -> list[Any]:
    """Which come with it, but for those that a document shows without our having seen it."""
    found = []
    for event in events:
        has = getattr(event, SUBJECTS[type(event)]) is not None
        found.append(event if has else await queries.with_subject(context.reads, event) or event)
    return found
