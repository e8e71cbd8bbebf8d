"""Requests that may be repeated: a mutation with an `Idempotency-Key` is answered once.

A repeat, by the same person of the same operation with the same key within 24 hours, gets the first
answer, byte for byte; the same key with another request is a CONFLICT. What is guaranteed:

* It is never done twice. The transaction that commits anything of it marks the key as done, and
  commits only while the key is held.
* Whoever dies before that leaves it undone, and a repeat does it, once its 45 s are over.
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

A repeat that comes while the first still runs waits for its answer, for 10 s at most, and holds
nobody else up; of one person, 64 may. The client of the first need not: what has a key is not given
up when it hangs up.
"""

import asyncio
from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol, TypeVar
from uuid import uuid4

import msgspec
from graphql import ExecutionResult
from starlette.responses import Response

from domain.idempotency import IdempotencyKey
from domain.ports import App
from gateway.http.answers import Answers, Asked
from gateway.http.fingerprints import fingerprint_of, id_of, key_of
from gateway.http.responses import answer
from gateway.operations.execution import OperationContext
from gateway.operations.idempotency import HeldKeys, Keep
from gateway.operations.replies import encode
from schema.context import Context

C = TypeVar("C", bound=OperationContext)

KEY = "idempotency-key"
REPLAYED = "idempotency-replayed"


class Repeating(Protocol[C]):
    """What `Repeats` does, whatever the context is."""

    async def answered(
        self, keys: Sequence[str], asked: Asked, answers: Answers[C], context: C
    ) -> Response | None: ...


class Repeats:
    """`alone` are the mutations that ignore keys."""

    def __init__(self, app: App, alone: Collection[str]) -> None:
        self._keys, self._alone = HeldKeys(app), frozenset(alone)

    async def answered(
        self, keys: Sequence[str], asked: Asked, answers: Answers[Context], context: Context
    ) -> Response | None:
        """None for what ignores keys.

        Raises: Fault 400 for a malformed key, 409 CONFLICT; Refused, Unavailable as running does.
        """
        viewer, operation = context.viewer, asked.operation
        if viewer is None or operation.root_fields & self._alone:
            return None
        said = key_of(keys)
        await answers.operations.spare(context)  # what it takes to remember, and then to answer
        key = IdempotencyKey(user_id=viewer.user_id, id=id_of(operation, said), holder=uuid4())
        fingerprint = await asyncio.to_thread(fingerprint_of, operation, said)
        raw = await self._keys.first(viewer, key, fingerprint, context.lent)
        if raw is None:
            async with self._keys.held(viewer, key) as keep:
                context.viewer = replace(viewer, idempotency_key=key)
                return await _run(asked, answers, context, keep)
        reply = msgspec.json.decode(raw, type=dict[str, msgspec.Raw])
        extensions = answers.operations.extensions(context) or None
        response = _said(asked, answers, context, reply, extensions)
        response.headers[REPLAYED] = "true"
        return response


async def _run(asked: Asked, answers: Answers[Context], context: Context, keep: Keep) -> Response:
    result = await answers.operations.run(asked.operation, context)
    if not _has_run(result):
        return await answers.answer(asked, result, None, context)
    reply = answers.operations.reply(result, context.trace_id)
    extensions = reply.pop("extensions", None)
    raw = {name: msgspec.Raw(encode(part)) for name, part in reply.items()}
    await keep(encode(raw), if_done="errors" in reply or context.limited is not None)
    return _said(asked, answers, context, raw, extensions)


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
