"""What the inside needs of the outside: the ports that tests replace, and App, their record."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Mapping
from contextlib import (
    AbstractAsyncContextManager,
    AbstractContextManager,
    contextmanager,
    nullcontext,
)
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Protocol
from uuid import UUID

from domain.audit import Attempt, AuditIntegrity, AuditOutcome, Command, about
from domain.authorizations import Returns
from domain.identity import Actor, Permission, Role, User, UserId
from domain.imports import Statement
from domain.limits import Limiter, LimitSettings
from domain.mail import Letter
from domain.providers import Provider
from domain.sealing import Bound
from domain.secret import Secret
from domain.storage.doors import Doors
from domain.storage.work import Work
from domain.sync import RunId
from domain.told import Told


class Store(Protocol):
    def begin(self, actor: Actor, settles: Attempt | None) -> AbstractAsyncContextManager[Work]: ...
    async def audit(
        self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        """Whether it was written: not where the attempt has an outcome by now."""


ReadStatement = Callable[[bytes, str], Statement]  # of a content and name; raises UnreadableFile

DeviceOf = Callable[[str | None], Awaitable[str | None]]
"""What a person calls the client that says this of itself, such as "Chrome on macOS"."""
PlaceOf = Callable[[str | None], str | None]
"""Where an address is, as "City, CC" or "CC"; None where nobody can tell."""


async def as_it_says(said: str | None) -> str | None:
    return said


def nowhere(_: str | None) -> str | None:
    return None


class Mail(Protocol):
    async def send(self, letter: Letter) -> None:
        """Raises Unavailable where it may be sent later, Undeliverable where it never will."""


class Passwords(Protocol):
    async def hash(self, password: str) -> str: ...
    async def verify(self, password: str, hashed: str | None, *, is_known: bool = False) -> bool:
        """With None it takes as long, and is false. Raises Unavailable where too many wait; those
        who are known by their device have places of their own.
        """

    def check(self, *, is_known: bool = False) -> None:
        """Before anything is done for one more. Raises Unavailable where too many wait."""

    def needs_rehash(self, hashed: str) -> bool: ...


class OneTimeCodes(Protocol):
    """Of authenticator apps; a seed is what one of them is given."""

    def new_seed(self) -> str: ...
    def uri(self, seed: str, *, account: str) -> str:
        """What an app reads from a QR code."""

    def step(self, seed: str, code: str, at: datetime) -> int | None:
        """Of which step of time around `at` it is the code; None where of none."""


class Devices(Protocol):
    """Those that have signed in before, by a value that each was given then."""

    def known(self, said: str | None, user: User | None, at: datetime) -> bool:
        """Not where it is another's, or from before what it takes to sign in was changed."""

    def issue(self, user: User, at: datetime) -> Secret: ...
    def whom(self, said: str) -> bytes | None:
        """Whose it is, without a look at anybody: the same for all of one person's."""


class Tokens(Protocol):
    """Access tokens that carry their claims, and opaque secrets of which we keep a digest."""

    def issue(
        self, *, user_id: UUID, session_id: UUID, version: int, generation: int, now: datetime
    ) -> str: ...
    def new_secret(self) -> str: ...
    def digest(self, secret: str) -> bytes: ...
    def successor(self, presented: str) -> str:
        """The same for the same token, so that a repeat within the grace gets no second one."""


class Unsealable(Exception):
    """Sealed for another place, altered, or under a key that we do not have."""


class Vault(Protocol):
    def seal(self, plain: bytes, *, context: Bound) -> bytes: ...
    def open(self, sealed: bytes, *, context: Bound) -> bytes:
        """Raises Unsealable."""

    def fingerprint(self, text: str, *, context: Bound) -> str: ...


class Policy(Protocol):
    def allows(self, role: Role, permission: Permission) -> bool: ...


# ── telling one another ─────────────────────────────────────────────────────

RELAYED = "dashtam_relayed"  # payload: whose event, and its place among theirs, as JSON
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


class Feed(Protocol):
    """Events as they happen, read once from the log for all who follow the same person here."""

    def follow(self, user_id: UserId, place: int) -> AbstractContextManager[AsyncIterator[Told]]:
        """Theirs after that place, each once and in order: first what there is, then what comes.

        Iterating raises RateLimited, for whoever has fallen too far behind.
        """


class Silence:
    """Nobody says what happens here."""

    @contextmanager
    def follow(self, user_id: UserId, place: int) -> Iterator[AsyncIterator[Told]]:
        yield self._nothing()

    async def _nothing(self) -> AsyncIterator[Told]:
        await asyncio.get_running_loop().create_future()
        return
        yield


Observe = Callable[[str, Command], AbstractContextManager[Callable[[object], None]]]
"""Entered around a command, by its action; what that gives is told the result, if there is one."""


def unobserved(action: str, cmd: Command) -> AbstractContextManager[Callable[[object], None]]:
    return nullcontext(_unseen)


def _unseen(_: object) -> None:
    pass


Integrity = Callable[[], Awaitable[AuditIntegrity]]
"""What was last found of the audit log. Raises Unavailable."""


async def unwatched() -> AuditIntegrity:
    return AuditIntegrity(intact=False, entries=0, first_broken_id=None)


@dataclass(frozen=True, slots=True, kw_only=True)
class App:
    """The ports; `attempt` is set by `@command` for the handler that it calls."""

    store: Store
    doors: Doors
    policy: Policy
    providers: Mapping[str, Provider]
    vault: Vault
    passwords: Passwords
    common_passwords: Container[str]  # in lower case
    one_time_codes: OneTimeCodes
    devices: Devices
    tokens: Tokens
    limits: Limiter
    read_statement: ReadStatement
    now: Callable[[], datetime]
    mail: Mail | None = None  # where there is no mail server
    movements: Movements = field(default_factory=Untold)
    feed: Feed = field(default_factory=Silence)
    returns: Returns = field(default_factory=Returns)
    limit_settings: LimitSettings = field(default_factory=LimitSettings)
    session_limit: int = 10
    device_of: DeviceOf = as_it_says
    place_of: PlaceOf = nowhere
    observe: Observe = unobserved
    integrity: Integrity = unwatched
    attempt: Attempt | None = field(default=None, compare=False)

    def begin(self, cmd: Command, *, last: bool = True) -> AbstractAsyncContextManager[Work]:
        """A unit of work, in the identity of whom the command is about; the last one of a command
        carries its SUCCEEDED."""
        whose = replace(cmd.actor, user_id=about(cmd))
        return self.store.begin(whose, self.attempt if last else None)

    def explain(self, why: str) -> None:
        """Why it is done, for the audit log; no secret."""
        if self.attempt is not None:
            self.attempt.why = why

    def during(self, attempt: Attempt) -> "App":
        return replace(self, attempt=attempt)
