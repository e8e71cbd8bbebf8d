"""Requests that may be repeated: their client gave them an idempotency key, which is held by who
runs the request.

    held ──> done, in the transaction that commits what the request does ──> answered
       │                             │
       └ given up, or its holder     └ its holder died: what it did stands, its answer is lost
         died: the repeat runs

Whoever holds it has LEASE to come to its end. Who took over after that holds it alone: the one
before can commit nothing more.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from uuid import UUID

KEPT = timedelta(hours=24)
LEASE = timedelta(seconds=45)  # longer than a request may take, and may then take to end


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyKey:
    """As it is held: `id` is of the user's key, `holder` of whoever runs the request."""

    user_id: UUID
    id: UUID
    holder: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class IdempotencyRecord:
    """What became of a request by now; `fingerprint` tells it from another one. `sealed` is its
    answer, where that is kept."""

    fingerprint: bytes
    until: datetime
    is_done: bool
    is_answered: bool
    sealed: bytes | None
