"""Facts that were committed: the outbox, and what subscribers are told."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import NewType
from uuid import UUID

from domain.identity import UserId

EventId = NewType("EventId", UUID)


class EventCategory(Enum):
    SYNC = "SYNC"
    PROVIDER = "PROVIDER"
    PORTFOLIO = "PORTFOLIO"
    IMPORT = "IMPORT"
    SECURITY = "SECURITY"


class EventName(Enum):
    """`category.fact`, in the past tense."""

    SYNC_STARTED = "sync.started"
    SYNC_COMPLETED = "sync.completed"
    SYNC_FAILED = "sync.failed"
    LINK_CONNECTED = "link.connected"
    LINK_EXPIRING = "link.expiring"
    LINK_NEEDS_REAUTHORIZATION = "link.needs_reauthorization"
    LINK_CREDENTIALS_REFRESHED = "link.credentials_refreshed"
    LINK_DISCONNECTED = "link.disconnected"
    IMPORT_STARTED = "import.started"
    IMPORT_COMPLETED = "import.completed"
    IMPORT_FAILED = "import.failed"
    BALANCE_CHANGED = "account.balance_changed"
    HOLDINGS_CHANGED = "account.holdings_changed"
    NETWORTH_CHANGED = "networth.changed"
    SESSION_STARTED = "session.started"
    SESSION_REVOKED = "session.revoked"
    PASSWORD_CHANGED = "password.changed"
    SIGNIN_FAILED = "signin.failed"
    TOKEN_REUSED = "token.reused"
    SECOND_FACTOR_CHANGED = "second_factor.changed"

    @property
    def category(self) -> EventCategory:
        return _CATEGORIES[self.value.partition(".")[0]]


_CATEGORIES = {
    "sync": EventCategory.SYNC,
    "link": EventCategory.PROVIDER,
    "import": EventCategory.IMPORT,
    "account": EventCategory.PORTFOLIO,
    "networth": EventCategory.PORTFOLIO,
    "session": EventCategory.SECURITY,
    "password": EventCategory.SECURITY,
    "signin": EventCategory.SECURITY,
    "token": EventCategory.SECURITY,
    "second_factor": EventCategory.SECURITY,
}


EVENTS_KEPT = timedelta(days=90)  # so the door that forgets them has it too


@dataclass(frozen=True, slots=True, kw_only=True)
class Event:
    """`facts` hold ids and exact numbers as text, never a secret."""

    name: EventName
    user_id: UserId
    at: datetime
    facts: Mapping[str, str] = field(default_factory=dict)
