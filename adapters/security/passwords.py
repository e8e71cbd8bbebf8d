"""Passwords, hashed with Argon2id in a few threads of their own.

One hash takes 19 MiB and about 30 ms of a core: without a bound of its own a flood of sign-ins
would starve everything else that the process does.
"""

import asyncio
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from functools import partial
from threading import BoundedSemaphore
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from domain.errors import Unavailable
from domain.identity import PASSWORD_MAX_BYTES

WAITING_MAX = 32

T = TypeVar("T")


class Overloaded(Unavailable):
    """More people are signing in than the machine can hash for; try again shortly."""

    def __init__(self) -> None:
        super().__init__("too many people are signing in", retry_after_s=2)


class Argon2Passwords:
    """Hashes in PHC form (`$argon2id$v=19$m=…`); the defaults are OWASP's least.

    A password is at most 1,024 bytes of UTF-8, never truncated, and compared after NFKC (NIST SP
    800-63B §3.1.1.2), so that keyboards which compose differently agree.
    """

    def __init__(
        self,
        *,
        memory_kib: int = 19_456,
        time_cost: int = 2,
        parallelism: int = 1,
        workers: int = 2,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        self._argon2 = PasswordHasher(
            memory_cost=memory_kib, time_cost=time_cost, parallelism=parallelism
        )
        self._room = BoundedSemaphore(workers + waiting_max)
        self._threads = ThreadPoolExecutor(workers, thread_name_prefix="argon2")
        self._decoy = self._argon2.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """Raises: ValueError for more than 1,024 bytes or a lone surrogate; Overloaded."""
        normal = _normal(password)
        if normal is None:
            raise ValueError(f"a password is at most {PASSWORD_MAX_BYTES} bytes of Unicode")
        return await self._run(partial(self._argon2.hash, normal))

    async def verify(self, password: str, hashed: str | None) -> bool:
        """Whether it is the password; without a hash, False after the same work.

        So an unknown address takes as long as a wrong password.

        Raises:
            Overloaded: too many are waiting already.
            ValueError: `hashed` is no Argon2 hash.
        """
        normal = _normal(password)
        if normal is None or hashed is None:
            await self._run(partial(self._matches, self._decoy, normal or b""))
            return False
        return await self._run(partial(self._matches, hashed, normal))

    def needs_rehash(self, hashed: str) -> bool:
        """Whether it was made with other costs than today's."""
        return self._argon2.check_needs_rehash(hashed)

    def close(self) -> None:
        """Wait for the hashes under way and take no more."""
        self._threads.shutdown()

    def _matches(self, hashed: str, normal: bytes) -> bool:
        try:
            return self._argon2.verify(hashed, normal)
        except VerifyMismatchError:
            return False

    async def _run(self, work: Callable[[], T]) -> T:
        # A place is given back when the thread is done, not when the caller gives up: a caller
        # that hangs up would otherwise let the next one in while its hash still runs.
        if not self._room.acquire(blocking=False):
            raise Overloaded
        try:
            running = self._threads.submit(work)
        except RuntimeError:
            self._room.release()
            raise
        running.add_done_callback(self._leave)
        return await asyncio.wrap_future(running)

    def _leave(self, _: Future[T]) -> None:
        self._room.release()


def _normal(password: str) -> bytes | None:
    """The bytes that are hashed, or None for what cannot be a password of ours."""
    try:
        if len(password.encode()) > PASSWORD_MAX_BYTES:
            return None
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFKC", password).encode()
