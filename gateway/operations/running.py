"""What every transport does alike: choose the operation, run it, and say what came of it."""

from collections.abc import AsyncGenerator, Callable, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar
from uuid import uuid4

import structlog
from graphql import ExecutionResult, GraphQLError, OperationType, get_operation_ast

from domain.errors import Unavailable
from gateway.cost.pricing import Pricing
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.operations.admission import Admission
from gateway.operations.clients import ANONYMOUS, Client
from gateway.operations.execution import Engine, OperationContext
from gateway.operations.guard import Refused
from gateway.operations.parameters import Parameters
from gateway.operations.points import Meter, Unmetered
from gateway.operations.replies import error, request_error

OPERATIONS_MAX = 256

C = TypeVar("C", bound=OperationContext)

log = structlog.get_logger("dashtam.graphql")


@dataclass(frozen=True, slots=True)
class Operation:
    """What is about to run."""

    document: Document
    asked: Parameters
    kind: OperationType
    root_fields: frozenset[str]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operations(Generic[C]):
    """`present` has the last word on each error of a field; `places` are those of queries and
    mutations of every transport together. `introspection` decides for each viewer. `pricing` says
    what each may cost, and `meter` is told of what runs; `extensions` adds to its answer.
    """

    documents: Documents
    engine: Engine
    present: Callable[[GraphQLError, str], dict[str, Any]]
    places: Admission
    introspection: Callable[[C], bool]
    pricing: Pricing[C]
    extensions: Callable[[C], dict[str, Any]] = lambda _: {}
    meter: Meter[C] = Unmetered()  # noqa: RUF009 - it holds nothing

    async def chosen(
        self, asked: Parameters, client: Client = ANONYMOUS, whose: Hashable = None
    ) -> Operation:
        """Raises: Refused, Fault 400, 503."""
        document = await self.documents.chosen(asked, client, whose)
        node = get_operation_ast(document.node, asked.operation_name)
        if node is None:
            name = asked.operation_name
            message = "Say by operationName which operation to run."
            if name is not None:
                message = f"There is no operation {name[:100]!r}, or there are several."
            raise Refused("OPERATION_RESOLUTION_FAILURE", [GraphQLError(message)])
        root_fields = document.measured.root_fields[node.name.value if node.name else None]
        return Operation(document, asked, node.operation, root_fields)

    async def run(self, operation: Operation, context: C, *, event: Any = None) -> ExecutionResult:
        """A query or mutation, or one event of a subscription. Raises: Refused, Fault 429."""
        self._check_introspection(operation, context)
        if event is None:
            await self.meter.begin(context, await self._price(operation, context))
        try:
            result = await self.engine.run(operation.document, operation.asked, context, event)
        finally:
            self.meter.end(context)
        result.extensions = self.extensions(context) or None
        return result

    async def spare(self, context: C) -> None:
        """Instead of running what the client has the answer of. Raises: Fault 429."""
        await self.meter.begin(context)
        self.meter.end(context)

    async def subscribe(
        self, operation: Operation, context: C
    ) -> AsyncGenerator[Any, None] | ExecutionResult:
        """The events, or why there are none. Raises: Refused, Fault 429."""
        self._check_introspection(operation, context)
        await self.meter.begin(context, await self._price(operation, context))
        self.meter.end(context)  # each event is paid for when it is sent
        return await self.engine.subscribe(operation.document, operation.asked, context)

    def never_ran(self, result: ExecutionResult, trace_id: str) -> list[dict[str, Any]] | None:
        """What to say of variables that did not coerce, or None."""
        errors = result.errors or []
        if result.data is None and all(e.path is None for e in errors):
            return [request_error(e, "BAD_USER_INPUT", trace_id) for e in errors]
        return None

    def reply(self, result: ExecutionResult, trace_id: str) -> dict[str, Any]:
        """Raises: Unavailable, where any field failed of it: half a snapshot is no answer."""
        for error_ in result.errors or ():
            if (unavailable := unavailability(error_)) is not None:
                raise unavailable
        reply: dict[str, Any] = {"data": result.data}
        if result.errors:
            reply["errors"] = [self.present(e, trace_id) for e in result.errors]
        if result.extensions:
            reply["extensions"] = result.extensions
        return reply

    async def _price(self, operation: Operation, context: C) -> int:
        """Raises: Refused, Unavailable."""
        return await self.pricing.price(
            operation.document, operation.asked, operation.kind, context
        )

    def _check_introspection(self, operation: Operation, context: C) -> None:
        if operation.document.measured.introspects and not self.introspection(context):
            off = GraphQLError("Introspection is switched off.")
            raise Refused("GRAPHQL_VALIDATION_FAILED", [off])


def bug(found: Exception, trace_id: str) -> dict[str, Any]:
    """What no field raised and nobody refused: logged, and masked for the client."""
    incident = uuid4().hex[:12]
    log.error("graphql.bug", incident=incident, trace_id=trace_id, exc_info=found)
    return error("internal error", "INTERNAL", trace_id, incident=incident)


def unavailability(error_: BaseException | None) -> Unavailable | None:
    """What made the error, as its traceback would tell it."""
    if isinstance(error_, GraphQLError):
        return unavailability(error_.original_error)
    if error_ is None or isinstance(error_, Unavailable):
        return error_
    return unavailability(
        error_.__cause__ or (None if error_.__suppress_context__ else error_.__context__)
    )
