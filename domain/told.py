"""What the owner of an event is told of it: what it is about, and a sentence."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal, DecimalException
from typing import Any
from uuid import UUID

from domain.accounts import Account, AccountId
from domain.events import Event, EventCategory, EventId, EventName
from domain.identity import SessionId
from domain.links import Link, LinkId
from domain.money import Currency, Money
from domain.sync import RunId, SyncCounts, SyncRun


@dataclass(frozen=True, slots=True, kw_only=True)
class Told:
    """`seq` is its place: of two events of one person, what was committed later has the greater
    one. It is for us alone, since it counts everybody's; a cursor is made of `id`."""

    seq: int
    id: EventId
    at: datetime
    category: EventCategory
    name: str
    message: str


@dataclass(frozen=True, slots=True, kw_only=True)
class RunTold(Told):
    """`run` is None until it is read, and so is what the others are about."""

    run_id: RunId
    run: SyncRun | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkTold(Told):
    link_id: LinkId
    link: Link | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class BalanceTold(Told):
    account_id: AccountId
    account: Account | None = None
    previous: Money | None
    current: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingsTold(Told):
    account_id: AccountId
    account: Account | None = None
    counts: SyncCounts


@dataclass(frozen=True, slots=True, kw_only=True)
class NetWorthTold(Told):
    previous: Money | None
    current: Money


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTold(Told):
    """`detail` is the address that it came from, or what became of the second factor."""

    session_id: SessionId | None
    detail: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stretch:
    """Events in their order, all that there are up to and including `seq`, but those that nobody
    here can read. `is_last`: there were no more."""

    events: Sequence[Told]
    seq: int
    is_last: bool


def told(seq: int, id: EventId, event: Event) -> Told:
    """Raises ValueError where its facts are not what is recorded of such events."""
    name = event.name
    common = {"seq": seq, "id": id, "at": event.at, "category": name.category, "name": name.value}
    try:
        return _told(event, {**common, "message": message_of(event)})
    except (KeyError, TypeError, DecimalException) as error:
        raise ValueError(f"facts of {name.value} that nobody knows") from error


def _told(event: Event, common: Mapping[str, Any]) -> Told:
    name, facts = event.name, event.facts
    match name:
        case EventName.NETWORTH_CHANGED:
            return NetWorthTold(
                **common, previous=_previous(facts), current=_money(facts["current"])
            )
        case EventName.BALANCE_CHANGED:
            return BalanceTold(
                **common,
                account_id=_account(facts),
                previous=_previous(facts),
                current=_money(facts["current"]),
            )
        case EventName.HOLDINGS_CHANGED:
            counts = SyncCounts(**{kind: int(facts[kind]) for kind in COUNTS})
            return HoldingsTold(**common, account_id=_account(facts), counts=counts)
    match name.category:
        case EventCategory.PROVIDER:
            return LinkTold(**common, link_id=LinkId(UUID(facts["link"])))
        case EventCategory.SECURITY:
            session = facts.get("session")
            return SecurityTold(
                **common,
                session_id=None if session is None else SessionId(UUID(session)),
                detail=facts.get("ip_address") or facts.get("change"),
            )
    return RunTold(**common, run_id=RunId(UUID(facts["run"])))


COUNTS = ("created", "updated", "unchanged", "removed", "quarantined")


def _account(facts: Mapping[str, str]) -> AccountId:
    return AccountId(UUID(facts["account"]))


def _previous(facts: Mapping[str, str]) -> Money | None:
    return _money(facts["previous"]) if "previous" in facts else None


def _money(said: str) -> Money:
    """What `domain.commands.worth.said` wrote."""
    amount, code = said.split(" ")
    return Money(Decimal(amount), Currency(code))


# ── the sentence ────────────────────────────────────────────────────────────

# Clients show it where anyone may read it, so there are neither amounts nor names in it.
_SENTENCES = {
    EventName.SYNC_STARTED: "A sync has begun.",
    EventName.SYNC_COMPLETED: "A sync is complete.",
    EventName.SYNC_FAILED: "A sync has failed.",
    EventName.LINK_CONNECTED: "A link is connected.",
    EventName.LINK_EXPIRING: "What you authorized a link to read ends soon: authorize it again.",
    EventName.LINK_NEEDS_REAUTHORIZATION: "A link can read no more until you authorize it again.",
    EventName.LINK_CREDENTIALS_REFRESHED: "The credentials of a link were renewed.",
    EventName.LINK_DISCONNECTED: "A link was disconnected.",
    EventName.IMPORT_STARTED: "An import has begun.",
    EventName.IMPORT_COMPLETED: "An import is complete.",
    EventName.IMPORT_FAILED: "An import has failed.",
    EventName.BALANCE_CHANGED: "The balance of an account has changed.",
    EventName.HOLDINGS_CHANGED: "The holdings of an account have changed.",
    EventName.NETWORTH_CHANGED: "Your net worth has changed.",
    EventName.SESSION_STARTED: "Somebody has signed in as you.",
    EventName.SESSION_REVOKED: "A session of yours was ended.",
    EventName.PASSWORD_CHANGED: "Your password was changed.",
    EventName.SIGNIN_FAILED: "Somebody tried to sign in as you, and could not.",
    EventName.TOKEN_REUSED: "A token of yours was used twice, so its session was ended.",
    EventName.SECOND_FACTOR_CHANGED: "Your second factor was changed.",
}


def message_of(event: Event) -> str:
    """One sentence, in plain English."""
    sentence, facts = _SENTENCES[event.name], event.facts
    match event.name:
        case EventName.SYNC_COMPLETED | EventName.IMPORT_COMPLETED:
            if facts.get("status") == "PARTIAL":
                return f"{sentence[:-1]}, but for what could not be read."
        case EventName.LINK_EXPIRING:
            return _ends(facts.get("hours", "")) or sentence
        case EventName.LINK_DISCONNECTED:
            if "standing" in facts:
                return f"{sentence[:-1]}, but could not be withdrawn at its provider: do it there."
        case EventName.SECOND_FACTOR_CHANGED:
            if (change := facts.get("change")) in ("enabled", "disabled"):
                return f"Your second factor was {change}."
    return sentence


def _ends(hours: str) -> str | None:
    if not hours.isdecimal():
        return None
    left = {0: "within an hour", 1: "in 1 hour"}.get(int(hours), f"in {int(hours)} hours")
    return f"What you authorized a link to read ends {left}: authorize it again."
