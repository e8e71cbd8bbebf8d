"""A ledger with something in every list, and operations priced, run and counted over it."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, cast
from uuid import UUID

from graphql import ExecutionResult, GraphQLObjectType, OperationType
from graphql.execution import Executor
from strawberry.execution import optimized_is_awaitable

from domain.audit import AuditEntry, AuditOutcome
from domain.identity import OwnSession, SessionId
from domain.links import LinkStatus
from domain.storage.reads import Reads
from domain.sync import QuarantinedRow, SyncScope
from gateway.cost.pricing import OwnCounts, Pricing
from gateway.documents.store import Documents
from gateway.operations.guard import Limits
from gateway.operations.parameters import Parameters
from schema.context import Context
from schema.schema import schema
from tests.schema.builders import (
    NOW,
    a_holding,
    a_link,
    a_run,
    a_snapshot,
    a_transaction,
    an_account,
)
from tests.schema.ledger import LedgerReads
from tests.schema.world import World

NO_WALL = 10**9


class FullReads(LedgerReads):
    """With what tests of money do without."""

    async def sessions(self) -> Sequence[OwnSession]:
        await self._send("sessions")
        return [
            OwnSession(
                id=SessionId(UUID(int=n)),
                created_at=NOW,
                last_used_at=NOW,
                expires_at=NOW + timedelta(days=1),
                device=None,
                location=None,
                ip_address=None,
                providers_accessed=(),
            )
            for n in range(3)
        ]

    async def activity(self, *, limit: int, after: UUID | None) -> Sequence[AuditEntry]:
        await self._send("activity")
        return [
            AuditEntry(
                id=UUID(int=n),
                user_id=self._live.user.id,
                at=NOW,
                action="a",
                outcome=AuditOutcome.SUCCEEDED,
            )
            for n in range(min(limit, 9))
        ]


class FullWorld(World):
    def __init__(self) -> None:
        super().__init__()
        hers = self.hers
        links = [a_link(self.ann) for _ in range(3)]
        links.append(a_link(self.ann, status=LinkStatus.DISCONNECTED))
        hers.links += links
        for n in range(7):
            account = an_account(links[n % 3], name=f"account {n}", is_active=n != 6)
            both = (links[0].id, links[1].id)
            hers.accounts.append(account if n else an_account(links[0], link_ids=both))
        for account in hers.accounts:
            hers.holdings += [a_holding(account) for _ in range(4)]
            hers.transactions += [
                a_transaction(account, security=hers.holdings[0].security) for _ in range(9)
            ]
            hers.snapshots.append(a_snapshot(account, NOW - timedelta(days=3), "1"))
        for link in links[:2]:
            hers.runs += [a_run(link) for _ in range(3)]
        hers.quarantine += [
            QuarantinedRow(
                id=UUID(int=n), run_id=run.id, kind=SyncScope.ACCOUNTS, reason="no", raw="{}"
            )
            for n, run in enumerate(hers.runs * 2)
        ]
        self.documents = Documents(schema, limits=Limits(aliases=NO_WALL))
        self.pricing: Pricing[Context] = Pricing(most=NO_WALL, count=OwnCounts())

    def snapshot(self, actor: Any) -> LedgerReads:
        reads = FullReads(self.store.ledgers[actor.user_id])
        self.opened.append(reads)
        return reads

    def context(self, viewer: Any) -> Context:
        context = super().context(viewer)
        context.budget.objects = NO_WALL
        context.snapshot = cast("Callable[[Any], Reads]", self.snapshot)
        return context

    async def price(self, text: str, variables: Mapping[str, Any] | None = None) -> int:
        """Of the operation, as ann asks it. Raises: Refused."""
        context = self.context(self.ann)
        try:
            return await self._price(text, variables, context)
        finally:
            await context.close()

    async def priced_and_run(self, text: str, variables: Mapping[str, Any]) -> "Ran":
        """Raises: Refused."""
        context = self.context(self.ann)
        try:
            price = await self._price(text, variables, context)
            if price > 20_000:
                return Ran(price=price, objects=0, ran=False)
            executor = Counting.build(
                schema,
                (await self.documents.load(text)).node,
                context_value=context,
                raw_variable_values=dict(variables),
                is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]
            )
            assert not isinstance(executor, list), (executor, text, variables)
            counting = cast("Counting", executor)
            counting.objects = 0
            result: Any = counting.execute_operation()
            if not isinstance(result, ExecutionResult):
                await result
            return Ran(price=price, objects=counting.objects, ran=True)
        finally:
            await context.close()

    async def _price(self, text: str, variables: Mapping[str, Any] | None, context: Context) -> int:
        document = await self.documents.load(text)
        asked = Parameters(query=text, variables=dict(variables or {}))
        kind = OperationType.MUTATION if text.startswith("mutation") else OperationType.QUERY
        return await self.pricing.price(document, asked, kind, context)


@dataclass(frozen=True, slots=True, kw_only=True)
class Ran:
    """`objects` are those with an id that an answer was made of."""

    price: int
    objects: int
    ran: bool


class Counting(Executor[None]):
    """graphql-core's own, which counts each object that it answers with, if it has an id."""

    objects: int

    def execute_fields(self, parent_type: GraphQLObjectType, *rest: Any, **more: Any) -> Any:
        self.objects += "id" in parent_type.fields
        return super().execute_fields(parent_type, *rest, **more)
