"""Passwords, hashed with Argon2id in a few threads of their own.

One hash takes 19 MiB and about 30 ms of a core: without a bound of its own a flood of sign-ins
would starve everything else that the process does. So half of the cores hash, after everything else
that wants them and with rests between, and few wait.
"""

import asyncio
import os
import secrets
import unicodedata
from collections.abc import Callable
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from functools import partial
from threading import BoundedSemaphore, get_native_id
from time import perf_counter, sleep
from typing import TypeVar

from argon2 import PasswordHasher
from argon2.exceptions import VerifyMismatchError

from domain.errors import Unavailable
from domain.passwords import BYTES_MAX

WAITING_MAX = 16
KEPT = 8  # places more, for those who are known
NICENESS = 10
REST = 2  # for each second of hashing, so that a flood takes a third of a core, and not all of one

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
        workers: int | None = None,
        waiting_max: int = WAITING_MAX,
    ) -> None:
        workers = workers or max(1, (os.cpu_count() or 1) // 2)
        self._argon2 = PasswordHasher(
            memory_cost=memory_kib, time_cost=time_cost, parallelism=parallelism
        )
        self._room = BoundedSemaphore(workers + waiting_max)
        self._kept = BoundedSemaphore(KEPT)
        self._threads = ThreadPoolExecutor(
            workers, thread_name_prefix="argon2", initializer=_give_way
        )
        self._decoy = self._argon2.hash(secrets.token_bytes(32))

    async def hash(self, password: str) -> str:
        """Raises: ValueError for more than 1,024 bytes or a lone surrogate; Overloaded."""
        normal = _normal(password)
        if normal is None:
            raise ValueError(f"a password is at most {BYTES_MAX} bytes of Unicode")
        return await self._run(partial(self._argon2.hash, normal))

    def check(self, *, is_known: bool = False) -> None:
        """Whether there is room for one more, before anything is done for them.

        Raises: Overloaded.
        """
        self._enter(is_known=is_known).release()

    async def verify(self, password: str, hashed: str | None, *, is_known: bool = False) -> bool:
        """Whether it is the password; without a hash, False after the same work.

        So an unknown address takes as long as a wrong password. Places are kept for those who are
        known by their device, whom a flood of others then does not keep out.

        Raises:
            Overloaded: too many are waiting already.
            ValueError: `hashed` is no Argon2 hash.
        """
        normal = _normal(password)
        if normal is None or hashed is None:
            await self._run(partial(self._matches, self._decoy, normal or b""), is_known=is_known)
            return False
        return await self._run(partial(self._matches, hashed, normal), is_known=is_known)

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

    async def _run(self, work: Callable[[], T], *, is_known: bool = False) -> T:
        # A place is given back when the thread is done, not when the caller gives up: a caller
        # that hangs up would otherwise let the next one in while its hash still runs.
        place, done = self._enter(is_known=is_known), Future[T]()
        try:
            self._threads.submit(_hashed, work, done).add_done_callback(partial(_leave, place))
        except RuntimeError:
            place.release()
            raise
        return await asyncio.wrap_future(done)

    def _enter(self, *, is_known: bool) -> BoundedSemaphore:
        """Raises: Overloaded."""
        for place in (self._room, self._kept) if is_known else (self._room,):
            if place.acquire(blocking=False):
                return place
        raise Overloaded


def _hashed(work: Callable[[], T], done: "Future[T]") -> None:
    if not done.set_running_or_notify_cancel():
        return  # nobody waits for it any more
    begun = perf_counter()
    try:
        done.set_result(work())
    except BaseException as error:  # noqa: BLE001 - it is the caller's
        done.set_exception(error)
    sleep((perf_counter() - begun) * REST)


def _leave(place: BoundedSemaphore, _: Future[T]) -> None:
    place.release()


def _give_way() -> None:
    """To everything else, as far as the machine lets a thread do so by itself: Linux does."""
    with suppress(AttributeError, OSError):
        thread = get_native_id()
        os.setpriority(os.PRIO_PROCESS, thread, os.getpriority(os.PRIO_PROCESS, thread) + NICENESS)


def _normal(password: str) -> bytes | None:
    """The bytes that are hashed, or None for what cannot be a password of ours."""
    try:
        if len(password.encode()) > BYTES_MAX:
            return None
    except UnicodeEncodeError:
        return None
    return unicodedata.normalize("NFKC", password).encode()
