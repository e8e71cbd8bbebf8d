"""One operation from document to result: done, late or abandoned, and always cleaned up after."""

import asyncio
import re
from collections.abc import AsyncGenerator, Awaitable, Callable, Coroutine, Iterator
from contextlib import aclosing, contextmanager
from dataclasses import dataclass
from inspect import isawaitable
from typing import Any, Protocol, TypeVar, cast

import structlog
from graphql import (
    ExecutionResult,
    FieldNode,
    GraphQLError,
    GraphQLSchema,
    OperationDefinitionNode,
    OperationType,
    located_error,
    print_ast,
)
from graphql.execution import create_source_event_stream
from starlette.requests import ClientDisconnect
from starlette.types import Receive
from strawberry.execution import optimized_is_awaitable

from domain.cancellation import to_its_end
from gateway import telemetry
from gateway.documents.masking import unnamed
from gateway.documents.reading import Document
from gateway.operations.executor import PlainExecutor
from gateway.operations.faults import Fault
from gateway.operations.parameters import Parameters

COERCION_ERRORS_MAX = 5
CLEANUP_S_MAX = 5.0
QUOTED = re.compile(r"[.,;]? [Ff]ound: |(?<= value): ")
QUOTED_ENUM = re.compile(r"^Value '.*'(?= does not exist in )", re.DOTALL)

T = TypeVar("T")

log = structlog.get_logger("dashtam.graphql")
_left: set[asyncio.Future[Any]] = set()  # what does not end, so that it is not lost before it does


class OperationContext(Protocol):
    """What the resolvers of one operation share; made by the app for each."""

    @property
    def trace_id(self) -> str: ...

    async def close(self) -> None:
        """Give back what the operation read with. Idempotent."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Engine:
    """graphql-core, set up once."""

    schema: GraphQLSchema
    hide_suggestions: bool

    async def run(
        self, document: Document, asked: Parameters, context: OperationContext, event: Any = None
    ) -> ExecutionResult:
        """Variables that do not coerce are errors of the result, without data.

        `event` is one of a subscription's, each of which is executed as a query is.
        """
        watch = telemetry.current()
        if watch is None:
            return await self._run(document, asked, context, event)
        with watch.operation(document.node, asked.operation_name, context.trace_id) as seen:
            seen(result := await self._run(document, asked, context, event))
        return result

    async def _run(
        self, document: Document, asked: Parameters, context: OperationContext, event: Any
    ) -> ExecutionResult:
        executor = self._executor(document, asked, context, event)
        if isinstance(executor, list):
            return ExecutionResult(None, executor)
        try:
            result: Any = executor.execute_operation()
            if not isinstance(result, ExecutionResult):
                result = await result
        finally:
            executor.forget()
        return result  # type: ignore[no-any-return]  # nothing is delivered in parts

    async def rehearse(
        self, document: Document, asked: Parameters, context: OperationContext
    ) -> None:
        """Make what running it for the first time would make; telemetry hears nothing of it, and
        nobody of what fails. A query is also run."""
        executor = self._executor(document, asked, context, None)
        if isinstance(executor, list):
            return
        executor.prepare()
        if executor.operation.operation is OperationType.QUERY:
            await self._run(document, asked, context, None)

    async def subscribe(
        self, document: Document, asked: Parameters, context: OperationContext
    ) -> AsyncGenerator[Any, None] | ExecutionResult:
        """The events, each for `run`; or why there are none.

        What fails while they are made is raised as the error of the field that makes them.
        """
        executor = self._executor(document, asked, context, None)
        if isinstance(executor, list):
            return ExecutionResult(None, executor)
        found: Any = create_source_event_stream(executor)
        if isawaitable(found):
            found = await found
        return found if isinstance(found, ExecutionResult) else _located(found, executor.operation)

    def _executor(
        self, document: Document, asked: Parameters, context: OperationContext, event: Any
    ) -> PlainExecutor | list[GraphQLError]:
        built = PlainExecutor.build(
            self.schema,
            document.node,
            event,
            context_value=context,
            raw_variable_values=asked.variables,
            operation_name=asked.operation_name,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # a bool, no TypeGuard
            max_coercion_errors=COERCION_ERRORS_MAX,
            hide_suggestions=self.hide_suggestions,
        )
        if isinstance(built, list):
            errors = [unquoted(error) for error in built]
            if self.hide_suggestions:
                text = f"{print_ast(document.node)} {asked.variables}"
                return [unnamed(error, text) for error in errors]
            return errors
        executor = cast("PlainExecutor", built)
        executor.readers = {} if document.measured.directives else document.readers
        return executor


def unquoted(error: GraphQLError) -> GraphQLError:
    """Without what was given: of a password in a misspelled field graphql-core quotes it all."""
    where, colon, why = error.message.partition(": ")
    if not where.startswith("Variable "):
        return error
    why = QUOTED.split(QUOTED_ENUM.sub("the value", why), maxsplit=1)[0]
    return GraphQLError(f"{where}{colon}{why}", error.nodes, extensions=error.extensions)


async def _located(
    events: AsyncGenerator[Any, None], operation: OperationDefinitionNode
) -> AsyncGenerator[Any, None]:
    nodes = [node for node in operation.selection_set.selections if isinstance(node, FieldNode)]
    names = [(node.alias or node.name).value for node in nodes]
    async with aclosing(events):
        try:
            async for event in events:
                yield event
        except Exception as error:
            raise located_error(error, nodes or None, names or None) from error


@contextmanager
def nobody_cancels() -> Iterator[None]:
    """Where something is cancelled without anyone cancelling us, that is a bug like any other."""
    try:
        yield
    except asyncio.CancelledError as found:
        task = asyncio.current_task()
        if task is None or task.cancelling():
            raise
        raise RuntimeError("cancelled from within") from found


async def attended(
    work: Coroutine[Any, Any, T],
    *,
    receive: Receive | None,
    deadline: float,
    close: Callable[[], Awaitable[None]],
    cleanup_s: float = CLEANUP_S_MAX,
) -> T:
    """Run `work` while its client waits, and until `deadline` on the loop's clock; then `close`.

    The client has gone once `receive` says so; without it, whoever awaits this has to be cancelled.
    Whoever gives up first, `work` is cancelled and has settled before `close` is called: a
    command may still have to write that it failed. Both have `cleanup_s` for that; what takes
    longer is logged, and goes on without anyone waiting for it.

    Raises:
        ClientDisconnect: nobody waits any more.
        Fault: 503 TIMEOUT.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(disconnected(receive))
    try:
        await asyncio.wait(
            {task, gone},
            timeout=max(deadline - asyncio.get_running_loop().time(), 0),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if task.done():
            with nobody_cancels():
                return task.result()
        if gone.done():
            raise ClientDisconnect
        raise Fault(503, "TIMEOUT", "the operation took too long", {"retry-after": "1"})
    finally:
        gone.cancel()
        task.cancel()
        await to_its_end(_settle(task, gone, close, cleanup_s))


async def _settle(
    task: asyncio.Task[T],
    gone: asyncio.Task[None],
    close: Callable[[], Awaitable[None]],
    cleanup_s: float,
) -> None:
    ended = asyncio.gather(task, gone, return_exceptions=True)
    await _within(cleanup_s, ended, "graphql.does_not_end")
    await _within(cleanup_s, asyncio.ensure_future(close()), "graphql.does_not_close")


async def _within(wait_s: float, work: asyncio.Future[Any], event: str) -> None:
    done, _ = await asyncio.wait({work}, timeout=wait_s)
    if done:
        work.result()
        return
    log.error(event, waited_s=wait_s)
    _left.add(work)
    work.add_done_callback(_left.discard)


async def disconnected(receive: Receive | None) -> None:
    if receive is None:
        await asyncio.get_running_loop().create_future()
        return
    while (await receive())["type"] != "http.disconnect":
        pass
