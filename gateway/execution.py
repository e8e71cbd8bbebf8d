"""One operation from document to result: done, late or abandoned, and always cleaned up after."""

import asyncio
from collections.abc import Awaitable, Callable, Coroutine
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import structlog
from graphql import DocumentNode, ExecutionResult, GraphQLSchema, execute
from graphql.execution import Executor
from starlette.requests import ClientDisconnect
from starlette.types import Receive
from strawberry.execution import optimized_is_awaitable

from gateway.faults import Fault
from gateway.parameters import Parameters

COERCION_ERRORS_MAX = 5
CLEANUP_S_MAX = 5.0

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
    executor_class: type[Executor[Any]] | None
    hide_suggestions: bool

    async def run(
        self, document: DocumentNode, asked: Parameters, context: OperationContext
    ) -> ExecutionResult:
        """Variables that do not coerce are errors of the result, without data."""
        result: Any = execute(
            self.schema,
            document,
            context_value=context,
            variable_values=asked.variables,
            operation_name=asked.operation_name,
            executor_class=self.executor_class,
            is_awaitable=optimized_is_awaitable,  # type: ignore[arg-type]  # a bool, no TypeGuard
            max_coercion_errors=COERCION_ERRORS_MAX,
            hide_suggestions=self.hide_suggestions,
        )
        return result if isinstance(result, ExecutionResult) else await result


async def attended(
    work: Coroutine[Any, Any, T],
    *,
    receive: Receive,
    deadline: float,
    close: Callable[[], Awaitable[None]],
    cleanup_s: float = CLEANUP_S_MAX,
) -> T:
    """Run `work` while its client waits, and until `deadline` on the loop's clock; then `close`.

    Whoever gives up first, `work` is cancelled and has settled before `close` is called: a
    command may still have to write that it failed. Both have `cleanup_s` for that; what takes
    longer is logged, and goes on without anyone waiting for it.

    Raises:
        ClientDisconnect: nobody waits any more.
        Fault: 503 TIMEOUT.
    """
    task = asyncio.create_task(work)
    gone = asyncio.create_task(_disconnected(receive))
    try:
        await asyncio.wait(
            {task, gone},
            timeout=max(deadline - asyncio.get_running_loop().time(), 0),
            return_when=asyncio.FIRST_COMPLETED,
        )
        if task.done():
            return task.result()
        if gone.done():
            raise ClientDisconnect
        raise Fault(503, "TIMEOUT", "the operation took too long", {"retry-after": "1"})
    finally:
        gone.cancel()
        task.cancel()
        await _to_its_end(_settle(task, gone, close, cleanup_s))


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


async def _disconnected(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


async def _to_its_end(work: Coroutine[Any, Any, None]) -> None:
    """Await `work` even while being cancelled, then let the cancellation go on."""
    task = asyncio.ensure_future(work)
    try:
        await asyncio.shield(task)
    except asyncio.CancelledError:
        await task
        raise
