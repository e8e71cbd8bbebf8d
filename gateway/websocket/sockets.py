"""The open sockets of this process: how many there may be, and what ends them from outside."""

import asyncio
import random
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from typing import Protocol

from domain.identity import SessionId, UserId
from gateway.faults import overloaded
from gateway.websocket.messages import RESTARTING, UNAUTHORIZED

RETRY_AFTER_S = 5
DRAINED_S_MAX = 6.0  # the last words of one, and its farewell


class Open(Protocol):
    @property
    def session_id(self) -> SessionId | None: ...

    @property
    def whose(self) -> Hashable: ...

    def end(self, code: int, reason: str) -> None:
        """Close it soon; whatever was first is the reason."""

    def look_again(self) -> None:
        """Whoever it belongs to may no longer be signed in."""


class Sockets:
    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Open] = set()
        self._draining = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def of(self, whose: Hashable) -> int:
        return sum(socket.whose == whose for socket in self._open)

    def check(self) -> None:
        """Raises: Fault 503."""
        if self._draining:
            raise overloaded("this process is ending", retry_after_s=1)
        if len(self._open) >= self._most:
            raise overloaded("too many sockets", retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def opened(self, socket: Open) -> Iterator[None]:
        self._open.add(socket)
        try:
            yield
        finally:
            self._open.discard(socket)
            self._changed.set()

    def ended(self, session_id: SessionId | None) -> None:
        """A session has; or with None, any may have."""
        for socket in [*self._open]:
            if session_id is None:
                socket.look_again()
            elif socket.session_id == session_id:
                socket.end(UNAUTHORIZED, "the session is over")

    def ask_again(self, user_id: UserId) -> None:
        """They may no longer be signed in, or are to be known anew."""
        for socket in [*self._open]:
            if socket.whose == user_id:
                socket.look_again()

    async def drained(self) -> None:
        """After `drain`: until the last has gone, which may first be answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_S_MAX):
                while self._draining and self._open:
                    self._changed.clear()
                    await self._changed.wait()

    def drain(self, within_s: float) -> None:
        """Close them all, spread over a while, so that their clients do not all come back at once.

        1012 is what graphql-ws and browsers' clients take as a reason to come back.
        """
        self._draining = True
        loop = asyncio.get_running_loop()
        for socket in self._open:
            wait_s = random.uniform(0, within_s)  # noqa: S311 - to spread, not to hide
            loop.call_later(wait_s, socket.end, RESTARTING, "this process is ending")
