"""What both transports are given: operations, who somebody is, and how much they may."""

from collections.abc import Awaitable, Callable, Hashable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

from starlette.requests import HTTPConnection

from gateway.auth import Admitted
from gateway.live.connections import RETRY_AFTER_S, Connections, End
from gateway.live.watching import Watch
from gateway.operations.execution import OperationContext
from gateway.operations.faults import Fault
from gateway.operations.places import Places
from gateway.operations.running import Operations


class LiveContext(OperationContext, Protocol):
    reports_cost: bool

    def event(self) -> "LiveContext":
        """What the resolvers of the event that was just made share."""


C = TypeVar("C", bound=LiveContext)


@dataclass(frozen=True, slots=True, kw_only=True)
class LiveLimits:
    """`sockets` and `sockets_each` are of WebSockets and event streams together. `look_s` is how
    often it is asked whether they are still signed in; `look_deaf_s` how often while news of ended
    sessions do not arrive. `send_s` is for one message to be taken from us, before whoever reads
    nothing is let go, with `slow_s` more to be told so; `heartbeat_s` is between two comments in
    a stream.
    """

    sockets: int = 2_000
    sockets_each: int = 40  # of one user, or signed out of one network
    strangers: int = 200  # WebSockets of one network that have not said who they are
    subscriptions: int = 4_000  # in this process
    operations: int = 50  # on one socket, and as many that were stopped and have not settled
    characters: int = 2 << 20  # of the messages that asked for these
    init_s: float = 5.0
    deadline_s: float = 30.0
    send_s: float = 20.0
    slow_s: float = 5.0
    look_s: float = 60.0
    look_deaf_s: float = 3.0
    heartbeat_s: float = 20.0


def _no_cursor(_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True, kw_only=True)
class Live(Generic[C]):
    """`admit` says whose a connection is, from what was said on it and its headers; it may raise
    `Fault` and `Unavailable`; `network` is where it comes from, as far as that is known.
    `open_context` makes what the resolvers of one operation share. `hears` is whether news of
    ended sessions arrive. `cursor_of` is after what a client that saw this event resumes, or None.
    """

    operations: Operations[C]
    admit: Callable[[HTTPConnection, str | None], Awaitable[Admitted | None]]
    network: Callable[[HTTPConnection], str]
    open_context: Callable[[HTTPConnection, Admitted | None, str], C]
    hears: Callable[[], bool]
    cursor_of: Callable[[Any], str | None] = _no_cursor
    limits: LiveLimits = field(default_factory=LiveLimits)
    connections: Connections = field(init=False)
    subscriptions: Places = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "connections", Connections(self.limits.sockets))
        object.__setattr__(self, "subscriptions", Places(self.limits.subscriptions))

    def whose(self, connection: HTTPConnection, admitted: Admitted | None) -> Hashable:
        """By whom it is counted."""
        if admitted is not None:
            return admitted.actor.user_id
        return self.network(connection)

    def stranger(self, connection: HTTPConnection) -> Hashable:
        """By whom a WebSocket is counted until it says who it is."""
        return "stranger", self.network(connection)

    def check_room(self, connection: HTTPConnection) -> None:
        """For one stranger more. Raises: Fault 429, 503."""
        self.connections.check()
        if self.connections.of(self.stranger(connection)) >= self.limits.strangers:
            raise too_many()

    def has_room_for(self, whose: Hashable) -> bool:
        """Once one more of theirs is among the open ones."""
        return self.connections.of(whose) <= self.limits.sockets_each

    def watch(
        self,
        connection: HTTPConnection,
        authorization: str | None,
        admitted: Admitted,
        over: Callable[[End, str], None],
    ) -> Watch:
        return Watch(
            admitted,
            look=lambda: self.admit(connection, authorization),
            over=over,
            hears=self.hears,
            look_s=self.limits.look_s,
            look_deaf_s=self.limits.look_deaf_s,
        )


def too_many() -> Fault:
    wait = {"retry-after": str(RETRY_AFTER_S)}
    return Fault(429, "RATE_LIMITED", "too many open connections", wait)
