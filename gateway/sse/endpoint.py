"""Event streams: who may open one, and what is refused before it begins."""

from collections.abc import Callable, Iterable
from contextlib import AsyncExitStack
from typing import Generic, TypeVar

from starlette.requests import Request
from starlette.responses import Response

from gateway.live.subscription import subscribed
from gateway.live.view import Live, LiveContext, too_many
from gateway.operations.running import Operation
from gateway.sse.stream import EventStream

C = TypeVar("C", bound=LiveContext)


class EventStreams(Generic[C]):
    def __init__(self, live: Live[C]) -> None:
        self._live = live

    async def opened(
        self,
        request: Request,
        operation: Operation,
        headers: Callable[[C], Iterable[tuple[str, str]]],
    ) -> Response:
        """The answer to a subscription, which holds its places until it was sent.

        Raises: Refused; Fault 401, 429, 503; Unavailable.
        """
        live = self._live
        live.connections.check()
        admitted = await live.admit(request, None)
        stream = EventStream(live, request, operation, admitted)
        async with AsyncExitStack() as held:
            held.push_async_callback(stream.close)
            held.enter_context(live.connections.opened(stream))
            if not live.has_room_for(stream.whose):
                raise too_many()
            context = live.open_context(request, admitted, request.state.trace_id)
            events = await held.enter_async_context(subscribed(live, operation, context))
            stream.begin(context, events, headers(context), held.pop_all())
        return stream
