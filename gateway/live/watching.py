"""Whose a connection is, asked again for as long as it is open."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime

import structlog

from domain.errors import Unavailable
from gateway.auth import Admitted
from gateway.live.connections import End
from gateway.operations.faults import Fault

NOBODY_KNOWS = "nobody can tell whether you are signed in"

log = structlog.get_logger("dashtam.live")


class Watch:
    """Ends a connection as soon as whoever opened it is no longer signed in.

    `look` says who that is now, as when it was opened. It is asked at once, since the session may
    have ended while it was being looked for; then when there may be news, when what was presented
    ends, and every `look_s`; every `look_deaf_s` where news do not arrive. Between two looks there
    is no task, of which thousands would take megabytes.
    """

    def __init__(
        self,
        admitted: Admitted,
        *,
        look: Callable[[], Awaitable[Admitted | None]],
        over: Callable[[End, str], None],
        hears: Callable[[], bool],
        look_s: float,
        look_deaf_s: float,
    ) -> None:
        self.admitted = admitted
        self._look, self._over, self._hears = look, over, hears
        self._look_s, self._look_deaf_s = look_s, look_deaf_s
        self._has_news = self._is_over = False
        self._timer: asyncio.TimerHandle | None = None
        self._looking: asyncio.Task[None] | None = None

    def again(self) -> None:
        """Now; once more, if it is just being asked."""
        self._has_news = True
        if self._is_over or (self._looking and not self._looking.done()):
            return
        self._wait_no_more()
        self._looking = asyncio.create_task(self._ask())

    async def close(self) -> None:
        """Nothing is asked any more."""
        self._is_over = True
        self._wait_no_more()
        if self._looking is not None:
            self._looking.cancel()
            await asyncio.gather(self._looking, return_exceptions=True)

    def _wait_no_more(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    async def _ask(self) -> None:
        while self._has_news and not self._is_over:
            self._has_news = False
            left_s = self._left_s()
            try:
                found = await self._look()
            except Fault as fault:
                self._end(End.SIGNED_OUT, fault.message)
            except Unavailable:  # the database is away, where nobody can end a session either
                if left_s <= 0:
                    self._end(End.AWAY, NOBODY_KNOWS)
                self._ask_in(self._look_deaf_s)
                return
            except Exception:
                log.exception("live.bug")
                self._end(End.AWAY, NOBODY_KNOWS)
            else:
                if found is None or found.actor.user_id != self.admitted.actor.user_id:
                    self._end(End.SIGNED_OUT, "the session is over")
                else:
                    self.admitted = found
        every_s = self._look_s if self._hears() else self._look_deaf_s
        self._ask_in(max(min(self._left_s(), every_s), 0))

    def _left_s(self) -> float:
        return (self.admitted.until - datetime.now(UTC)).total_seconds()

    def _end(self, end: End, reason: str) -> None:
        self._is_over = True
        self._over(end, reason)

    def _ask_in(self, wait_s: float) -> None:
        if not self._is_over:
            self._timer = asyncio.get_running_loop().call_later(wait_s, self._due)

    def _due(self) -> None:
        self._timer = self._looking = None
        self.again()
