"""What the inside needs of the outside: the ports that tests replace, and App, their record."""

import asyncio
from collections.abc import AsyncIterator, Callable, Iterator, Mapping, Sequence
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from datetime import datetime
from decimal import Decimal
from typing import Protocol
from uuid import UUID

from domain.identity import Actor, Permission, Role, Session, SessionId, User, UserId
from domain.imports import Statement
from domain.links import LinkId, ProviderInfo
from domain.storage.work import Work
from domain.sync import Login, Page, PullRequest, QuarantinedRow, RunId


class Command(Protocol):
    @property
    def actor(self) -> Actor: ...
    @property
    def at(self) -> datetime: ...


@dataclass(slots=True)
class Attempt:
    """What the audit log says about one running command."""

    action: str
    actor: Actor
    at: datetime
    resource: str | None = None
    unsure: bool = False  # the COMMIT of SUCCEEDED was sent, and is not answered
    settled: bool = False  # SUCCEEDED is committed


class Store(Protocol):
    def begin(self, actor: Actor, settles: Attempt | None) -> AbstractAsyncContextManager[Work]: ...
    async def audit(self, attempt: Attempt, outcome: str, detail: str | None = None) -> None: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class KnownUser:
    user: User
    password_hash: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveSession:
    session: Session
    role: Role
    token_version: int


class Doors(Protocol):
    """What must be found before anyone is known: each gives the least that its caller needs."""

    async def user_by_email(self, email: str) -> KnownUser | None: ...
    async def session_by_hash(self, digest: bytes) -> LiveSession | None:
        """By its cookie, or any refresh token that it ever had; ended ones too."""

    async def session_by_id(self, user_id: UserId, id: SessionId) -> LiveSession | None: ...
    async def due_links(self, at: datetime, limit: int) -> Sequence[tuple[UserId, LinkId]]: ...
    async def stalled_runs(self, before: datetime, limit: int) -> Sequence[tuple[UserId, RunId]]:
        """Queued or running, and not worked on since `before`."""


# ── the rest of the outside ─────────────────────────────────────────────────


class Provider(Protocol):
    """One institution's feed, read-only."""

    info: ProviderInfo

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises InvalidInput, CredentialsRejected, ProviderUnavailable."""

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Pages, each of which is stored before the next is asked for.

        Raises CredentialsRejected, ProviderUnavailable (after the adapter's own retries),
        UnreadableFile.
        """

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        """Each of these rows that can be read by now, by its id."""


ReadStatement = Callable[[bytes], Statement]  # raises UnreadableFile


class Passwords(Protocol):
    async def hash(self, password: str) -> str: ...
    async def verify(self, password: str, hashed: str | None) -> bool:
        """With None it takes as long, and is false. Raises Unavailable where too many wait."""

    def needs_rehash(self, hashed: str) -> bool: ...


class Tokens(Protocol):
    """Access tokens that carry their claims, and opaque secrets of which we keep a digest."""

    def issue(
        self, *, user_id: UUID, session_id: UUID, role: str, version: int, now: datetime
    ) -> str: ...
    def new_secret(self) -> str: ...
    def digest(self, secret: str) -> bytes: ...
    def successor(self, presented: str) -> str:
        """The same for the same token, so that a repeat within the grace gets no second one."""


class Unsealable(Exception):
    """Sealed for another place, altered, or under a key that we do not have."""


class Vault(Protocol):
    def seal(self, plain: bytes, *, context: bytes) -> bytes: ...
    def open(self, sealed: bytes, *, context: bytes) -> bytes:
        """Raises Unsealable."""

    def fingerprint(self, text: str, *, context: bytes) -> str: ...


class Policy(Protocol):
    def allows(self, role: Role, permission: Permission) -> bool: ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Limit:
    """`burst` units at once, refilled evenly within `per_seconds`."""

    name: str
    burst: int
    per_seconds: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    allowed: bool
    remaining: int
    retry_after_s: Decimal
    reset_s: Decimal


class Limits(Protocol):
    async def take(self, key: str, limit: Limit, cost: int = 1) -> Verdict:
        """Raises Unavailable where nobody can tell."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LimitSettings:
    """How often each may be tried; `gateway.settings.Limits` has the settings."""

    sign_in_account: Limit = Limit(name="sign-in-account", burst=10, per_seconds=900)
    sign_in_address: Limit = Limit(name="sign-in-address", burst=100, per_seconds=900)
    refresh: Limit = Limit(name="refresh", burst=60, per_seconds=60)
    connect: Limit = Limit(name="connect", burst=10, per_seconds=60)
    sync: Limit = Limit(name="sync", burst=30, per_seconds=60)


# ── telling one another ─────────────────────────────────────────────────────

RELAYED = "dashtam_relayed"  # payload: one event of the outbox, as JSON
RUN_MOVED = "dashtam_run_moved"  # payload: its id


class Fanout(Protocol):
    """Tells every process at once. What is said is a hint: whoever needs certainty looks at the
    tables when None says that something may have been missed.
    """

    @property
    def hears(self) -> bool:
        """Whether what is published arrives now; where not, None is said once it does again."""

    async def publish(self, channel: str, payload: str) -> None:
        """Raises ValueError (too long, or a NUL in it), Unavailable."""

    def subscribe(self, channel: str) -> AbstractAsyncContextManager[AsyncIterator[str | None]]:
        """What is said on the channel, in order.

        None comes first, once all that follows will be heard, and again where something may have
        been missed: the connection was lost, or the subscriber fell behind.
        """

    async def run(self) -> None:
        """Keep listening; for ever, as a task of whoever opened this."""


class Movements(Protocol):
    def watch(self, *ids: RunId) -> AbstractContextManager[asyncio.Event]:
        """Set where one of the runs may have moved; whoever looks clears it first."""


class Untold:
    """Nobody says when a run moves: who wants to know looks for themselves."""

    @contextmanager
    def watch(self, *ids: RunId) -> Iterator[asyncio.Event]:
        yield asyncio.Event()


Observe = Callable[[str, Command], AbstractContextManager[Callable[[object], None]]]
"""Entered around a command, by its action; what that gives is told the result, if there is one."""


def unobserved(action: str, cmd: Command) -> AbstractContextManager[Callable[[object], None]]:
    return nullcontext(_unseen)


def _unseen(_: object) -> None:
    pass


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The ports; `attempt` is set by `@command` for the handler that it calls."""

    store: Store
    doors: Doors
    policy: Policy
    providers: Mapping[str, Provider]
    vault: Vault
    passwords: Passwords
    tokens: Tokens
    limits: Limits
    read_statement: ReadStatement
    now: Callable[[], datetime]
    movements: Movements = field(default_factory=Untold)
    limit_settings: LimitSettings = LimitSettings()
    session_limit: int = 10
    observe: Observe = unobserved
    attempt: Attempt | None = field(default=None, compare=False)

    def begin(self, cmd: Command, *, last: bool = True) -> AbstractAsyncContextManager[Work]:
        """A unit of work; the last one of a command carries its SUCCEEDED."""
        return self.store.begin(cmd.actor, self.attempt if last else None)

    def during(self, attempt: Attempt) -> "App":
        return replace(self, attempt=attempt)
