"""What an operation may come to, before anything runs: for this viewer, with its variables."""

from collections.abc import Awaitable, Callable, Mapping
from typing import Generic, TypeVar

from graphql import GraphQLError, OperationType

from domain.errors import Unauthenticated
from domain.identity import SESSION_LIMIT_MAX, UserId
from gateway.cost.sums import CountsNeeded
from gateway.documents.reading import Document
from gateway.documents.recent import Recent
from gateway.operations.guard import Refused
from gateway.operations.parameters import Parameters
from schema.context import Context

COUNTS = ("links", "accounts", "accounts_of_link")
NOBODY: Mapping[str, int] = dict.fromkeys(COUNTS, 0)
ROOM = 20
"""How many links or accounts a mutation may make, as far as its price knows. Where a statement or a
provider brings more, what its answer takes beyond its price is owed, and what one operation may be
given stays a wall (`domain.queries.budget`)."""
SHOWN_MAX = 10**12
VIEWERS_MAX = 10_000

C = TypeVar("C")
Count = Callable[[C, OperationType], Awaitable[Mapping[str, int]]]


async def _nobody(_: object, __: OperationType) -> Mapping[str, int]:
    return NOBODY


class Pricing(Generic[C]):
    """`most` is what an operation may cost, but for documents that were published with a figure of
    their own. `count` says how many the viewer has of what lists without `first` are of; it is
    asked only where a document has one. How many sessions somebody has is not versioned, and so
    taken to be as many as anyone may have.
    """

    def __init__(
        self, *, most: int, count: Count[C] = _nobody, sessions: int = SESSION_LIMIT_MAX
    ) -> None:
        self._most, self._count = most, count
        self._known = {"sessions": max(sessions, SESSION_LIMIT_MAX)}

    async def price(
        self, document: Document, asked: Parameters, kind: OperationType, context: C
    ) -> int:
        """Raises: Refused, Unavailable."""
        cost, name, variables = document.cost, asked.operation_name, asked.variables
        counts: Mapping[str, int] = self._known
        try:
            price = cost.price(name, variables, counts)
        except CountsNeeded:
            room = ROOM if kind is OperationType.MUTATION else 0
            found = await self._count(context, kind)
            counts = self._known | {what: n + room for what, n in found.items()}
            price = cost.price(name, variables, counts)
        most = self._most if document.cost_max is None else document.cost_max
        if price > most:
            dearest = cost.dearest(name, variables, counts)
            shown = f"{price:,}" if price <= SHOWN_MAX else f"more than {SHOWN_MAX:,}"
            message = f"The operation's cost of {shown} exceeds {most:,}. {dearest}"
            raise Refused("TOO_COMPLEX", [GraphQLError(message)])
        return price


class OwnCounts:
    """How many the viewer has, remembered by data version.

    The version comes with opening the operation's snapshot, and so takes no statement; and counts
    of one version never change. So a dashboard sends one statement more once after each change, and
    none before the next.
    """

    def __init__(self, viewers_max: int = VIEWERS_MAX) -> None:
        self._known: Recent[tuple[int, Mapping[str, int]]] = Recent(viewers_max, viewers_max)

    async def __call__(self, context: Context, kind: OperationType) -> Mapping[str, int]:
        """Raises: Unavailable."""
        if context.viewer is None:
            return NOBODY
        found = await self._of(context, context.viewer.user_id)
        if kind is not OperationType.QUERY:
            await context.renew()  # what these read is read later, in snapshots of its own
        return found

    async def _of(self, context: Context, viewer: UserId) -> Mapping[str, int]:
        try:
            version = await context.reads.data_version()
        except Unauthenticated:  # deleted a moment ago: their fields say so
            return NOBODY
        known = self._known.get(viewer.hex)
        if known is not None and known[0] == version:
            return known[1]
        counts = await context.reads.counts()
        found = {what: getattr(counts, what) for what in COUNTS}
        self._known.put(viewer.hex, (version, found), 1)
        return found
