"""Requests that may be repeated: a mutation with an `Idempotency-Key` is answered once.

A repeat, by the same person of the same operation with the same key within 24 hours, gets the first
answer, byte for byte; the same key with another request is a CONFLICT. What is guaranteed:

* It is never done twice. The transaction that commits anything of it marks the key as done, and
  commits only while the key is held.
* Whoever dies before that leaves it undone, and a repeat does it, once the claim of 45 s is over.
  Whoever dies, or is timed out, after that and before the answer is kept has done it: a repeat is a
  CONFLICT that says so, and says to look.
* A refusal in `errors` is an answer. What is not done for being too often is none, nor are errors
  of the request, 5xx and timeouts: a repeat runs. Nor is an error of a field, before which nothing
  was done.
* What a provider was asked for meanwhile is its own affair; and what an administrator does to
  another person commits as that person, and is done again where the first died in between.
* Answers over a megabyte, and of one person over 64 in a day, are not kept: a repeat is a CONFLICT
  that says so.
* Identity mutations are never repeated so, since their answers hold tokens and secrets that nothing
  may keep: they ignore the key. So does whoever is signed out.

A repeat that comes while the first still runs waits for its answer, for 10 s at most. The client of
the first need not: what has a key is not given up when it hangs up.
"""

import asyncio
import hashlib
import hmac
import json
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from uuid import UUID, uuid4

import msgspec
import structlog
from graphql import ExecutionResult
from starlette.responses import Response

from domain.cancellation import to_its_end
from domain.claims import Claim, Known
from domain.commands.attempts import user_of
from domain.errors import Unavailable
from domain.identity import Actor
from domain.limits import Limit
from domain.ports import App, Unsealable
from domain.sealing import Place, bound_to
from gateway.http.answers import Answers, Asked
from gateway.http.multipart import Upload
from gateway.http.responses import answer, encode
from gateway.operations.execution import OperationContext
from gateway.operations.faults import Fault, bad_request
from gateway.operations.running import Operation
from schema.context import Context

C = TypeVar("C", bound=OperationContext)

KEY = "idempotency-key"
REPLAYED = "idempotency-replayed"
KEY_MAX = 255
ANSWER_MAX = 1 << 20  # bytes that are kept
ANSWERS = Limit(name="answers", burst=64 << 10, per_seconds=86_400)
"""KiB of one person's that are kept: an answer of a megabyte may cost no more than a point."""
WAIT_S_MAX = 10.0
PAUSE_S_MIN, PAUSE_S_MAX = 0.05, 1.0
RETRY_AFTER_S = 5

log = structlog.get_logger("dashtam.graphql")


class Repeating(Protocol[C]):
    """What `Repeats` does, whatever the context is."""

    async def answered(
        self, keys: Sequence[str], asked: Asked, answers: Answers[C], context: C
    ) -> Response | None: ...


class Repeats:
    """`alone` are the mutations that ignore keys."""

    def __init__(self, app: App, alone: Collection[str]) -> None:
        self._app, self._alone = app, frozenset(alone)
        self._running: dict[UUID, asyncio.Event] = {}  # here; others are asked for in the table

    async def answered(
        self, keys: Sequence[str], asked: Asked, answers: Answers[Context], context: Context
    ) -> Response | None:
        """None for what ignores keys.

        Raises: Fault 400 for a malformed key, 409 CONFLICT; Refused, Unavailable as running does.
        """
        viewer, operation = context.viewer, asked.operation
        if viewer is None or operation.root_fields & self._alone:
            return None
        key = key_of(keys)
        await answers.operations.spare(context)  # what it takes to remember, and then to answer
        claim = Claim(user_id=viewer.user_id, id=id_of(operation, key), holder=uuid4())
        fingerprint = await asyncio.to_thread(fingerprint_of, operation, key)
        known = await self._known(viewer, claim, fingerprint)
        if known is None:
            return await self._run(viewer, claim, asked, answers, context)
        raw = self._opened(claim, known)
        reply = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        extensions = answers.operations.extensions(context) or None
        response = _said(asked, answers, context, reply, extensions)
        response.headers[REPLAYED] = "true"
        return response

    async def _known(self, viewer: Actor, claim: Claim, fingerprint: bytes) -> Known | None:
        """The answer of the first, waited for; None where this one is the first.

        Raises: Fault 409.
        """
        loop, pause_s, waited = asyncio.get_running_loop(), PAUSE_S_MIN, False
        give_up_at = loop.time() + WAIT_S_MAX
        while True:
            known, running = None, self._running.get(claim.id)
            if running is None:
                known = await self._looked_up(viewer, claim) if waited else None
                if known is None or self._is_free(known, fingerprint):
                    if await self._taken(viewer, claim, fingerprint):
                        return None
                    known = await self._looked_up(viewer, claim)
            if known is not None and self._has_answer(known, fingerprint):
                return known
            left_s = give_up_at - loop.time()
            if left_s <= 0:
                raise conflict("this is still being done; ask again", retry_after_s=RETRY_AFTER_S)
            with suppress(TimeoutError):
                async with asyncio.timeout(left_s if running else min(pause_s, left_s)):
                    await (running or asyncio.Event()).wait()
            pause_s, waited = min(pause_s * 2, PAUSE_S_MAX), True

    def _is_free(self, known: Known, fingerprint: bytes) -> bool:
        """Whether its holder died before anything was done."""
        is_over = known.until <= self._app.now() and not known.is_done
        return is_over and known.fingerprint == fingerprint

    def _has_answer(self, known: Known, fingerprint: bytes) -> bool:
        """Not yet, while its holder may give one. Raises: Fault 409."""
        if known.fingerprint != fingerprint:
            raise conflict("this key came with another request; take a new one for each")
        if known.is_done and not known.is_answered and known.until <= self._app.now():
            raise conflict("this was done, and its answer is lost: look at what there is")
        return known.is_answered

    async def _taken(self, viewer: Actor, claim: Claim, fingerprint: bytes) -> bool:
        """Where it is, others here wait for it from now on."""
        self._running[claim.id] = asyncio.Event()
        try:
            async with self._app.store.begin(viewer, None) as work:
                taken = await work.claims.take(claim, fingerprint, self._app.now())
        except BaseException:  # nobody knows whether it was committed
            await self._let_go(viewer, claim)
            raise
        if not taken:
            self._ended(claim)
        return taken

    async def _looked_up(self, viewer: Actor, claim: Claim) -> Known | None:
        async with self._app.store.begin(viewer, None) as work:
            return await work.claims.known(claim.id)

    async def _let_go(self, viewer: Actor, claim: Claim) -> None:
        try:
            await to_its_end(self._give_up(viewer, claim))
        finally:
            self._ended(claim)

    def _ended(self, claim: Claim) -> None:
        """Which others here wait for."""
        self._running.pop(claim.id).set()

    async def _run(
        self,
        viewer: Actor,
        claim: Claim,
        asked: Asked,
        answers: Answers[Context],
        context: Context,
    ) -> Response:
        context.viewer, kept = replace(viewer, claim=claim), False
        try:
            result = await answers.operations.run(asked.operation, context)
            if not _has_run(result):
                return await answers.answer(asked, result, None, context)
            reply = answers.operations.reply(result, context.trace_id)
            extensions = reply.pop("extensions", None)
            raw = {name: msgspec.Raw(encode(part)) for name, part in reply.items()}
            if_done = "errors" in reply or context.limited is not None
            kept = await to_its_end(self._keep(viewer, claim, encode(raw), if_done=if_done))
            return _said(asked, answers, context, raw, extensions)
        finally:
            if kept:
                self._ended(claim)
            else:
                await self._let_go(viewer, claim)

    async def _keep(self, viewer: Actor, claim: Claim, reply: bytes, *, if_done: bool) -> bool:
        try:
            sealed = None
            if len(reply) <= ANSWER_MAX and await self._has_room(viewer, reply):
                sealed = self._app.vault.seal(reply, context=_place(claim))
            async with self._app.store.begin(viewer, None) as work:
                return await work.claims.answer(claim, sealed, self._app.now(), if_done=if_done)
        except Unavailable:  # whoever asked first is answered all the same
            log.warning("repeats.not_kept")
            return False

    async def _has_room(self, viewer: Actor, reply: bytes) -> bool:
        whose, size_kib = user_of(viewer.user_id), -(-len(reply) // 1024)
        return (await self._app.limits.take(whose, ANSWERS, size_kib)).allowed

    async def _give_up(self, viewer: Actor, claim: Claim) -> None:
        try:
            async with self._app.store.begin(viewer, None) as work:
                await work.claims.give_up(claim, self._app.now())
        except Unavailable:  # it is over by itself, a little later
            log.warning("repeats.not_given_up")

    def _opened(self, claim: Claim, known: Known) -> bytes:
        """Raises: Fault 409."""
        if known.sealed is None:
            raise conflict("this was done, and its answer is not kept: look at what there is")
        try:
            return self._app.vault.open(known.sealed, context=_place(claim))
        except Unsealable:
            raise conflict("this was done, and its answer cannot be read any more") from None


def _has_run(result: ExecutionResult) -> bool:
    """Not where its variables did not coerce."""
    return result.data is not None or any(e.path is not None for e in result.errors or ())


def _said(
    asked: Asked,
    answers: Answers[Context],
    context: Context,
    reply: dict[str, msgspec.Raw],
    extensions: dict[str, Any] | None,
) -> Response:
    said = answers.profile.to_result(asked.media, has_errors="errors" in reply)
    body: dict[str, Any] = {**reply, "extensions": extensions} if extensions else {**reply}
    return answer(*said, body, answers.headers(context))


def key_of(said: Sequence[str]) -> str:
    """Raises: Fault 400."""
    if len(said) != 1:
        raise bad_request("one Idempotency-Key, not several")
    [key] = said
    if not 0 < len(key) <= KEY_MAX or not (key.isascii() and key.isprintable()):
        raise bad_request(f"an Idempotency-Key has 1 to {KEY_MAX} printable ASCII characters")
    return key


def id_of(operation: Operation, key: str) -> UUID:
    """Of the key, among those of one person and operation: what it does, however it is called."""
    said = json.dumps([sorted(operation.root_fields), key])
    return UUID(bytes=hashlib.sha256(said.encode()).digest()[:16])


def fingerprint_of(operation: Operation, key: str) -> bytes:
    """Of all that makes one request another: document, operation, variables and files.

    By the client's key, which is not kept: so nobody who finds it can try what a bank's password
    among the variables may have been.
    """
    asked = operation.asked
    said = [operation.document.sha256, asked.operation_name, asked.variables]
    text = json.dumps(said, sort_keys=True, default=_of_file)
    return hmac.digest(key.encode(), text.encode(), hashlib.sha256)


def _of_file(upload: Any) -> Any:
    if not isinstance(upload, Upload):
        raise TypeError(type(upload))
    # No text of a request holds a NUL, so that nothing else looks like it.
    digest = hashlib.sha256(upload.content).hexdigest()
    return ["\0", upload.filename, upload.content_type, digest]


def _place(claim: Claim) -> Any:
    return bound_to(Place.ANSWER, claim.user_id, claim.id)


def conflict(message: str, *, retry_after_s: int | None = None) -> Fault:
    headers = {} if retry_after_s is None else {"retry-after": str(retry_after_s)}
    return Fault(409, "CONFLICT", message, headers)
