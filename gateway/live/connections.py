"""The open connections of this process: how many there may be, and what ends them from outside."""

import asyncio
import random
from collections.abc import Hashable, Iterator
from contextlib import contextmanager, suppress
from enum import Enum, auto
from typing import Protocol

from domain.identity import SessionId, UserId
from gateway.operations.faults import overloaded

RETRY_AFTER_S = 5
SLOW = "the client does not read what it is sent"
DRAINED_S_MAX = 6.0  # the last words of one, and its farewell


class End(Enum):
    """Why a connection is over, other than that its client has gone."""

    SIGNED_OUT = auto()
    RESTARTING = auto()  # come back: another process answers
    AWAY = auto()  # come back later: nobody can tell whether you are signed in
    SLOW = auto()  # the client does not read


class Open(Protocol):
    """A WebSocket, or an event stream."""

    @property
    def session_id(self) -> SessionId | None: ...

    @property
    def whose(self) -> Hashable: ...

    def over(self, end: End, reason: str) -> None:
        """End it soon; whatever was first is the reason."""

    def look_again(self) -> None:
        """Whoever it belongs to may no longer be signed in."""


class Connections:
    def __init__(self, most: int) -> None:
        self._most = most
        self._open: set[Open] = set()
        self._draining = False
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._open)

    def of(self, whose: Hashable) -> int:
        return sum(connection.whose == whose for connection in self._open)

    def check(self) -> None:
        """Raises: Fault 503."""
        if self._draining:
            raise overloaded("this process is ending", retry_after_s=1)
        if len(self._open) >= self._most:
            raise overloaded("too many open connections", retry_after_s=RETRY_AFTER_S)

    @contextmanager
    def opened(self, connection: Open) -> Iterator[None]:
        """Raises: Fault 503, where something has happened since it was checked."""
        self.check()
        self._open.add(connection)
        try:
            yield
        finally:
            self._open.discard(connection)
            self._changed.set()

    def ended(self, session_id: SessionId | None) -> None:
        """A session has; or with None, any may have."""
        for connection in [*self._open]:
            if session_id is None:
                connection.look_again()
            elif connection.session_id == session_id:
                connection.over(End.SIGNED_OUT, "the session is over")

    def ask_again(self, user_id: UserId) -> None:
        """They may no longer be signed in, or are to be known anew."""
        for connection in [*self._open]:
            if connection.whose == user_id:
                connection.look_again()

    async def drained(self) -> None:
        """After `drain`: until the last has gone, which may first be answered."""
        with suppress(TimeoutError):
            async with asyncio.timeout(DRAINED_S_MAX):
                while self._draining and self._open:
                    self._changed.clear()
                    await self._changed.wait()

    def drain(self, within_s: float) -> None:
        """End them all, spread over a while, so that their clients do not all come back at once."""
        self._draining = True
        loop = asyncio.get_running_loop()
        for connection in self._open:
            wait_s = random.uniform(0, within_s)  # noqa: S311 - to spread, not to hide
            loop.call_later(wait_s, connection.over, End.RESTARTING, "this process is ending")
