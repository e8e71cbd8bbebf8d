"""Idempotency keys: who holds one, who waits for what comes of it, and what is kept of that."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import AbstractContextManager, asynccontextmanager, contextmanager, suppress
from typing import Any, Protocol
from uuid import UUID

import structlog

from domain.cancellation import to_its_end
from domain.commands.attempts import user_of
from domain.errors import Unavailable
from domain.idempotency import IdempotencyKey, IdempotencyRecord
from domain.identity import Actor
from domain.limits import Limit
from domain.ports import App, Unsealable
from domain.sealing import Place, bound_to
from gateway.operations.faults import Fault

ANSWER_MAX = 1 << 20  # bytes that are kept
ANSWERS = Limit(name="answers", burst=64 << 10, per_seconds=86_400)
"""KiB of one person's that are kept: an answer of a megabyte may cost no more than a point."""
WAIT_S_MAX = 10.0
WAITING_MAX = 64  # of one person at once, here
PAUSE_S_MIN, PAUSE_S_MAX = 0.05, 1.0
RETRY_AFTER_S = 5

log = structlog.get_logger("dashtam.graphql")


class Keep(Protocol):
    """For repeats; `if_done` only where something was committed."""

    async def __call__(self, reply: bytes, *, if_done: bool) -> None: ...


class HeldKeys:
    """Of whoever runs here, for repeats that come to this process; of others the table tells."""

    def __init__(self, app: App) -> None:
        self._app = app
        self._running: dict[tuple[UUID, UUID], asyncio.Event] = {}  # by whose, and the key's id
        self._waiting: Counter[UUID] = Counter()

    async def first(
        self,
        viewer: Actor,
        key: IdempotencyKey,
        fingerprint: bytes,
        lent: Callable[[], AbstractContextManager[None]],
    ) -> bytes | None:
        """The answer of the first, waited for, with `lent` around that; None where this request is
        the first, which has the key from now on and says so by `held`.

        Raises: Fault 409 CONFLICT, Unavailable.
        """
        loop, pause_s, waited = asyncio.get_running_loop(), PAUSE_S_MIN, False
        give_up_at = loop.time() + WAIT_S_MAX
        while True:
            known, running = None, self._running.get((key.user_id, key.id))
            if running is None:
                known = await self._looked_up(viewer, key) if waited else None
                if known is None or self._is_free(known, fingerprint):
                    if await self._taken(viewer, key, fingerprint):
                        return None
                    known = await self._looked_up(viewer, key)
            if known is not None and self._has_answer(known, fingerprint):
                return self._opened(key, known)
            left_s = give_up_at - loop.time()
            with self._waits(key, left_s), lent(), suppress(TimeoutError):
                async with asyncio.timeout(left_s if running else min(pause_s, left_s)):
                    await (running or asyncio.Event()).wait()
            pause_s, waited = min(pause_s * 2, PAUSE_S_MAX), True

    @contextmanager
    def _waits(self, key: IdempotencyKey, left_s: float) -> Iterator[None]:
        """Raises: Fault 409."""
        if left_s <= 0 or self._waiting[key.user_id] >= WAITING_MAX:
            raise conflict("this is still being done; ask again", retry_after_s=RETRY_AFTER_S)
        self._waiting[key.user_id] += 1
        try:
            yield
        finally:
            self._waiting -= Counter({key.user_id: 1})  # who has none left is forgotten

    def _is_free(self, known: IdempotencyRecord, fingerprint: bytes) -> bool:
        """Whether its holder died before anything was done."""
        is_over = known.until <= self._app.now() and not known.is_done
        return is_over and known.fingerprint == fingerprint

    def _has_answer(self, known: IdempotencyRecord, fingerprint: bytes) -> bool:
        """Not yet, while its holder may give one. Raises: Fault 409."""
        if known.fingerprint != fingerprint:
            raise conflict("this key came with another request; take a new one for each")
        if known.is_done and not known.is_answered and known.until <= self._app.now():
            raise conflict("this was done, and its answer is lost: look at what there is")
        return known.is_answered

    async def _taken(self, viewer: Actor, key: IdempotencyKey, fingerprint: bytes) -> bool:
        """Where it is, others here wait for it from now on. Not while another here takes it, or
        has it: of those who waited for one that came to nothing, several come at once.
        """
        if (key.user_id, key.id) in self._running:
            return False
        self._running[key.user_id, key.id] = asyncio.Event()
        try:
            async with self._app.store.begin(viewer, None) as work:
                taken = await work.idempotency_keys.take(key, fingerprint, self._app.now())
        except BaseException:  # nobody knows whether it was committed
            await self._let_go(viewer, key)
            raise
        if not taken:
            self._ended(key)
        return taken

    async def _looked_up(self, viewer: Actor, key: IdempotencyKey) -> IdempotencyRecord | None:
        async with self._app.store.begin(viewer, None) as work:
            return await work.idempotency_keys.known(key.id)

    def _opened(self, key: IdempotencyKey, known: IdempotencyRecord) -> bytes:
        """Raises: Fault 409."""
        if known.sealed is None:
            raise conflict("this was done, and its answer is not kept: look at what there is")
        try:
            return self._app.vault.open(known.sealed, context=_place(key))
        except Unsealable:
            raise conflict("this was done, and its answer cannot be read any more") from None

    # ── by whoever holds it ─────────────────────────────────────────────────

    @asynccontextmanager
    async def held(self, viewer: Actor, key: IdempotencyKey) -> AsyncIterator[Keep]:
        """For as long as the request runs that `first` said is the first, which then keeps its
        answer. Where none is kept the key is let go: a repeat runs, where nothing was done.
        """
        kept = False

        async def keep(reply: bytes, *, if_done: bool) -> None:
            nonlocal kept
            kept = await to_its_end(self._keep(viewer, key, reply, if_done=if_done))

        try:
            yield keep
        finally:
            if kept:
                self._ended(key)
            else:
                await self._let_go(viewer, key)

    async def _keep(
        self, viewer: Actor, key: IdempotencyKey, reply: bytes, *, if_done: bool
    ) -> bool:
        try:
            sealed = None
            if len(reply) <= ANSWER_MAX and await self._has_room(viewer, reply):
                sealed = self._app.vault.seal(reply, context=_place(key))
            async with self._app.store.begin(viewer, None) as work:
                return await work.idempotency_keys.answer(
                    key, sealed, self._app.now(), if_done=if_done
                )
        except Unavailable:  # whoever asked first is answered all the same
            log.warning("repeats.not_kept")
            return False

    async def _has_room(self, viewer: Actor, reply: bytes) -> bool:
        whose, size_kib = user_of(viewer.user_id), -(-len(reply) // 1024)
        return (await self._app.limits.take(whose, ANSWERS, size_kib)).allowed

    async def _let_go(self, viewer: Actor, key: IdempotencyKey) -> None:
        try:
            await to_its_end(self._give_up(viewer, key))
        finally:
            self._ended(key)

    async def _give_up(self, viewer: Actor, key: IdempotencyKey) -> None:
        try:
            async with self._app.store.begin(viewer, None) as work:
                await work.idempotency_keys.give_up(key, self._app.now())
        except Unavailable:  # it is over by itself, a little later
            log.warning("repeats.not_given_up")

    def _ended(self, key: IdempotencyKey) -> None:
        """Which others here wait for."""
        self._running.pop((key.user_id, key.id)).set()


def _place(key: IdempotencyKey) -> Any:
    return bound_to(Place.ANSWER, key.user_id, key.id)


def conflict(message: str, *, retry_after_s: int | None = None) -> Fault:
    headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return Fault(409, "CONFLICT", message, headers)
