"""What resolvers are given: one Context an operation."""

import asyncio
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, TypeVar

import strawberry
from graphql import FieldNode, FragmentSpreadNode, InlineFragmentNode, SelectionSetNode

from domain.errors import RateLimited, Unauthenticated
from domain.identity import NOBODY, Actor, Role
from domain.limits import Verdict
from domain.links import ProviderInfo
from domain.ports import App
from domain.queries import links
from domain.queries.budget import Budget
from domain.queries.pages import Page
from domain.secret import Secret
from domain.storage.reads import Reads

T = TypeVar("T")


class Abandoned(Exception):
    """The operation was given up while something was still being read for it."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ClientInfo:
    """Who asks, as far as the transport knows; `device` is what they call themselves, and
    `known_device` the value that they were given when they signed in before."""

    ip: str | None = None
    device: str | None = None
    known_device: str | None = field(default=None, repr=False)


@dataclass(slots=True, kw_only=True)
class Context:
    """`viewer` is None signed out. `set_cookie` and `clear_cookie` say what becomes of the
    session's cookie: the secret to set, also where it only lives on, or that it be removed;
    `cookies` that the answer can do so. A subscription has one that makes its events, and each
    event one of its own.
    `by_cookie` says that the viewer is known by it, whose session then gives way to a new cookie.
    `set_device` is the value by which the client is known when it signs in again.
    `turn` is had by who is about to have a long list gone through. `cost` is what the operation was
    priced at, `points` what the limiter said of it, and `reports_cost` that its answer says both;
    `limited` is why a mutation was refused, where that was how often.
    `lent` is around what only waits: others have the operation's place in the process meanwhile.
    `last_event_id` is the cursor of the last event that whoever comes back to a stream has seen.
    """

    app: App
    viewer: Actor | None
    now: datetime
    trace_id: str
    snapshot: Callable[[Actor], Reads]
    client: ClientInfo = ClientInfo()
    cookies: bool = True
    by_cookie: bool = False
    set_cookie: str | None = field(default=None, repr=False)
    clear_cookie: bool = False
    set_device: str | None = field(default=None, repr=False)
    last_event_id: str | None = None
    cost: int = 1
    points: Verdict | None = None
    reports_cost: bool = False
    limited: RateLimited | None = None
    budget: Budget = field(default_factory=Budget)
    loaders: dict[int, Any] = field(default_factory=dict)
    turn: asyncio.Lock = field(default_factory=asyncio.Lock)
    lent: Callable[[], AbstractContextManager[None]] = nullcontext
    _open: Reads | None = None
    _sent: int = 0
    _over: bool = False

    @property
    def actor(self) -> Actor:
        """Raises Unauthenticated."""
        if self.viewer is None:
            raise Unauthenticated("sign in first")
        return self.viewer

    @property
    def nobody(self) -> Actor:
        """Whoever asks, as if signed out: for what no credentials make a difference to."""
        ip, trace_id = self.client.ip, self.trace_id
        return Actor(user_id=NOBODY, role=Role.READONLY, ip_address=ip, trace_id=trace_id)

    @property
    def new_cookie(self) -> Callable[[Secret], None] | None:
        """Where the viewer's cookie may get another secret: it is set in the answer."""

        def set_cookie(secret: Secret) -> None:
            self.set_cookie = secret.reveal()

        return set_cookie if self.by_cookie and self.cookies else None

    @property
    def reads(self) -> Reads:
        """The snapshot of this operation, or of this mutation field.

        Raises Unauthenticated, and Abandoned once the operation is over.
        """
        if self._open is None:
            actor = self.actor
            if self._over:
                raise Abandoned("the operation is over")
            self._open = self.snapshot(actor)
        return self._open

    @property
    def statements(self) -> int:
        """How many were sent so far, in all snapshots of the operation."""
        return self._sent + (0 if self._open is None else self._open.statements)

    def paid(self, found: T) -> T:
        """What a field found, its objects taken from the budget. Raises TooMuch."""
        self.budget.spend_objects(objects_in(found))
        return found

    def provider(self, slug: str) -> ProviderInfo:
        return links.provider(self.app.providers, slug)

    def fresh(self) -> Reads:
        """The next snapshot, which whoever asks for it closes. Raises Unauthenticated."""
        self._open = None
        return self.reads

    def event(self) -> "Context":
        """For the event that was just made, in the snapshot that it was found in, if any."""
        reads, self._open = self._open, None
        return replace(
            self,
            now=self.app.now(),
            budget=replace(self.budget, histories=asyncio.Lock(), spent=0),
            points=None,
            loaders={},
            turn=asyncio.Lock(),
            _open=reads,
        )

    async def renew(self) -> None:
        """What is read from here on is read in a snapshot of its own: after a commit."""
        if (reads := self._open) is not None:
            self._open = None
            self._sent += reads.statements
            await reads.close()

    async def close(self) -> None:
        self._over = True
        self.loaders.clear()  # they refer to us
        await self.renew()


def objects_in(found: Any) -> int:
    """How many of it have an id: in a page, a list, or itself."""
    nodes = found.nodes if isinstance(found, Page) else found
    if not isinstance(nodes, Sequence):
        return int(hasattr(nodes, "id"))
    return sum(hasattr(node, "id") for node in nodes)


class Info(strawberry.Info[Context, None]):
    @property
    def field_node(self) -> FieldNode:
        return self._raw_info.field_nodes[0]

    @property
    def shown(self) -> frozenset[str]:
        """The names of the fields right below it, of whichever type."""
        nodes = self._raw_info.field_nodes
        return frozenset(name for node in nodes for name in self._names(node.selection_set))

    def _names(self, below: SelectionSetNode | None) -> Iterator[str]:
        """Documents are validated, so this ends."""
        for node in below.selections if below is not None else ():
            if isinstance(node, FieldNode):
                yield node.name.value
            elif isinstance(node, FragmentSpreadNode):
                yield from self._names(self._raw_info.fragments[node.name.value].selection_set)
            elif isinstance(node, InlineFragmentNode):
                yield from self._names(node.selection_set)
