"""One stream: a subscription, from the first byte of its answer to its end."""

import asyncio
import random
from collections.abc import AsyncGenerator, Hashable, Iterable
from contextlib import AsyncExitStack, suppress
from typing import Any

import structlog
from starlette.requests import Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.identity import SessionId
from gateway import telemetry
from gateway.auth import Admitted
from gateway.http.negotiation import EVENTS
from gateway.live.connections import SLOW, End
from gateway.live.subscription import Errors, ended, follow
from gateway.live.view import Live, LiveContext
from gateway.operations.execution import disconnected
from gateway.operations.replies import encode, error
from gateway.operations.running import Operation
from gateway.sse.messages import COMPLETE, HEARTBEAT, following, retry
from gateway.sse.transport import abort, prepare

FAREWELL_S_MAX = 1.0
RETRY_S = (1.0, 4.0)  # so that those who lost a process do not all come back at once
CODES = {End.SIGNED_OUT: "UNAUTHENTICATED", End.AWAY: "UNAVAILABLE", End.SLOW: "RATE_LIMITED"}
FOR_GOOD = {End.SIGNED_OUT}  # else it ends without `complete`, upon which clients come back
HEADERS = {
    "content-type": f"{EVENTS}; charset=utf-8",
    "cache-control": "no-store",
    "vary": "Accept",
    "x-accel-buffering": "no",  # nginx would keep what it has until its buffer is full
}

log = structlog.get_logger("dashtam.streams")


class EventStream(Response):
    """Made before the answer begins, so that whatever is refused until then has a status of HTTP;
    `begin` comes before it is sent.
    """

    def __init__(
        self, live: Live[Any], request: Request, operation: Operation, admitted: Admitted | None
    ) -> None:
        self.status_code, self.background = 200, None
        self.init_headers(HEADERS)
        self.whose: Hashable = live.whose(request, admitted)
        self._live, self._operation = live, operation
        self._watch = live.watch(request, None, admitted, self.over) if admitted else None
        loop = asyncio.get_running_loop()
        self._ending: asyncio.Future[tuple[End, str] | None] = loop.create_future()
        self._beating: asyncio.TimerHandle | None = None
        self._heartbeat: asyncio.Task[None] | None = None
        self._turn = asyncio.Lock()
        self._send: Send
        self._context: LiveContext
        self._events: AsyncGenerator[Any, None] | Errors
        self._held: AsyncExitStack

    # ── as the registry sees it ─────────────────────────────────────────────

    @property
    def session_id(self) -> SessionId | None:
        return self._watch.admitted.actor.session_id if self._watch else None

    def over(self, end: End, reason: str) -> None:
        if not self._ending.done():
            self._ending.set_result((end, reason))

    def look_again(self) -> None:
        if self._watch:
            self._watch.again()

    # ── before the answer ───────────────────────────────────────────────────

    def begin(
        self,
        context: LiveContext,
        events: AsyncGenerator[Any, None] | Errors,
        headers: Iterable[tuple[str, str]],
        held: AsyncExitStack,
    ) -> None:
        """`held` is given back once it has been sent."""
        self._context, self._events, self._held = context, events, held
        for name, value in headers:
            self.headers.append(name, value)

    async def close(self) -> None:
        """Also where the answer never begins."""
        if self._watch:
            await self._watch.close()

    # ── the answer ──────────────────────────────────────────────────────────

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        self._send = send
        async with self._held:
            prepare(scope)
            scope["state"]["is_stream"] = True
            watch = telemetry.current()
            if watch is not None:
                self._held.enter_context(watch.socket())
            start = {"type": "http.response.start", "status": 200, "headers": self.raw_headers}
            await send(start)
            self.raw_headers = []  # said; there may be thousands of streams
            await self._run(scope, receive)

    async def _run(self, scope: Scope, receive: Receive) -> None:
        tasks = [asyncio.create_task(disconnected(receive)), asyncio.create_task(self._work())]
        for task in tasks:
            task.add_done_callback(self._done)
        if self._watch:
            self._watch.again()
        self._beat_later()
        try:
            if (ending := await self._ending) is not None:
                gone, working = tasks
                working.cancel()
                if not await self._farewell(*ending) and abort(scope):
                    await gone
        finally:
            if self._beating is not None:
                self._beating.cancel()
            if self._heartbeat is not None:
                tasks.append(self._heartbeat)
            for task in tasks:
                task.cancel()
            # Until all has been given back; each of them limits the time that takes.
            await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, _: object) -> None:
        """With all that was to be said; or the client has gone."""
        if not self._ending.done():
            self._ending.set_result(None)

    def _beat_later(self) -> None:
        loop = asyncio.get_running_loop()
        self._beating = loop.call_later(self._live.limits.heartbeat_s, self._beat)

    def _beat(self) -> None:
        """Unless something else is being said."""
        self._beat_later()
        if not self._turn.locked() and not self._ending.done():
            self._heartbeat = asyncio.create_task(self._say(HEARTBEAT))

    async def _work(self) -> None:
        await self._say(retry(random.uniform(*RETRY_S)))  # noqa: S311 - to spread, not to hide
        said = await ended(self._errors(), self._live, self._context.trace_id)
        last = COMPLETE if said is None else following(encode({"errors": said})) + COMPLETE
        await self._say(last, more=False)

    async def _errors(self) -> Errors | None:
        """Raises: whatever `ended` puts into words."""
        if isinstance(self._events, list):
            return self._events
        return await follow(
            self._live, self._operation, self._context, self._events, self._say_reply
        )

    async def _say_reply(self, reply: dict[str, Any], cursor: str | None) -> None:
        await self._say(following(encode(reply), cursor))

    async def _say(self, message: bytes, *, more: bool = True) -> None:
        """Waits for the client to read, so that nothing piles up here."""
        body = {"type": "http.response.body", "body": message, "more_body": more}
        try:
            # The time of those before it is not its own: the first who waits too long ends it.
            async with self._turn, asyncio.timeout(self._live.limits.send_s):
                await self._send(body)
        except TimeoutError:
            self.over(End.SLOW, SLOW)
            await asyncio.get_running_loop().create_future()  # until `_run` has heard of it

    async def _farewell(self, end: End, reason: str) -> bool:
        """Whether it was taken."""
        message = b""
        if end in CODES:
            said = [error(reason, CODES[end], self._context.trace_id)]
            message = following(encode({"errors": said}))
        message += COMPLETE if end in FOR_GOOD else retry(random.uniform(*RETRY_S))  # noqa: S311
        within_s = self._live.limits.slow_s if end is End.SLOW else FAREWELL_S_MAX
        with suppress(TimeoutError):
            async with asyncio.timeout(within_s), self._turn:
                body = {"type": "http.response.body", "body": message, "more_body": False}
                await self._send(body)
                return True
        return False
