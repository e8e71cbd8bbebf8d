"""One operation over a connection that stays open: a subscription with all its events, too."""

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from contextlib import aclosing, asynccontextmanager
from typing import Any, TypeAlias, TypeVar

from graphql import ExecutionResult, GraphQLError

from domain.errors import Unavailable
from gateway.live.view import Live, LiveContext
from gateway.operations.execution import attended, nobody_cancels
from gateway.operations.faults import Fault
from gateway.operations.guard import Refused
from gateway.operations.replies import error, fault_error, request_error
from gateway.operations.running import Operation, bug

T = TypeVar("T")
Errors: TypeAlias = list[dict[str, Any]]
Say: TypeAlias = Callable[[dict[str, Any], str | None], Awaitable[None]]
"""A reply, and after what a client resumes that has seen it."""


async def executed(
    live: Live[Any], operation: Operation, context: LiveContext, event: Any = None
) -> ExecutionResult:
    """A query or mutation, or one event. Raises: Refused, Fault 429, 503 TIMEOUT."""
    return await attended(
        live.operations.run(operation, context, event=event),
        receive=None,
        deadline=asyncio.get_running_loop().time() + live.limits.deadline_s,
        close=context.close,
    )


async def _within(live: Live[Any], work: Awaitable[T]) -> T:
    """Raises: Fault 503 TIMEOUT."""
    try:
        async with asyncio.timeout(live.limits.deadline_s) as limit:
            return await work
    except TimeoutError:
        if not limit.expired():
            raise
        raise Fault(503, "TIMEOUT", "it took too long to begin", {"retry-after": "1"}) from None


@asynccontextmanager
async def subscribed(
    live: Live[Any], operation: Operation, context: LiveContext
) -> AsyncIterator[AsyncGenerator[Any, None] | Errors]:
    """The events, or why there are none; they have one of the places of this process.

    Raises: Refused, Fault 429, 503.
    """
    operations, trace_id = live.operations, context.trace_id
    try:
        with live.subscriptions.taken():
            with nobody_cancels():
                found = await _within(live, operations.subscribe(operation, context))
            if isinstance(found, ExecutionResult):
                never = operations.never_ran(found, trace_id)
                yield never or [operations.present(e, trace_id) for e in found.errors or ()]
                return
            async with aclosing(found):  # also where nobody follows them
                yield found
    finally:
        await context.close()


async def follow(
    live: Live[Any],
    operation: Operation,
    context: LiveContext,
    events: AsyncGenerator[Any, None],
    say: Say,
) -> Errors | None:
    """Each event is executed once the one before it was taken, in a context of its own.

    Raises: Refused, Fault, Unavailable; GraphQLError of the field that makes the events.
    """
    operations = live.operations
    with nobody_cancels():
        async with aclosing(events):  # in the task that asked for them
            async for event in events:
                result = await executed(live, operation, context.event(), event)
                if (never := operations.never_ran(result, context.trace_id)) is not None:
                    return never
                await say(operations.reply(result, context.trace_id), live.cursor_of(event))
    return None


async def ended(work: Awaitable[Errors | None], live: Live[Any], trace_id: str) -> Errors | None:
    """What ended it, or None where it came to its end."""
    try:
        return await work
    except Refused as refused:
        return [request_error(e, refused.code, trace_id) for e in refused.errors]
    except Fault as fault:
        return [fault_error(fault, trace_id)]
    except Unavailable as away:
        return [error(str(away), "UNAVAILABLE", trace_id)]
    except GraphQLError as refusal:  # of the field that makes the events
        return [live.operations.present(refusal, trace_id)]
    except Exception as found:  # noqa: BLE001 - `bug` logs it
        return [bug(found, trace_id)]
