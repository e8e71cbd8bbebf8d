"""GraphQL over HTTP: from a request to one operation and back.

Not here: persisted documents, subscriptions, the newer draft's status codes. Statuses are those
that the audit suite of graphql-http checks: a request error is 400 under
`application/graphql-response+json` and 200 under `application/json`.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Callable, Hashable, Iterable, Iterator
from contextlib import ExitStack, contextmanager
from typing import Any, Generic, TypeVar
from uuid import uuid4

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from starlette.requests import ClientDisconnect, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import Unavailable
from gateway.body import Body, fits
from gateway.csrf import CsrfRules
from gateway.documents.store import Documents
from gateway.execution import CLEANUP_S_MAX, Engine, OperationContext, attended
from gateway.faults import Fault, overloaded
from gateway.guard import Refused
from gateway.negotiation import LEGACY, RESPONSE, negotiate
from gateway.operations import (
    OPERATIONS_MAX,
    RETRY_AFTER_S,
    Operation,
    Operations,
    Places,
    bug,
    not_persisted,
)
from gateway.parameters import Parameters, PersistedOnly
from gateway.points import Meter, Unmetered
from gateway.reading import FORM, admitted, asked
from gateway.responses import answer, fault_error, request_error

__all__ = ["CsrfRules", "Fault", "GraphQLOverHttp", "Operation", "OperationContext"]

DEADLINE_S = 30.0
UPLOAD_MAX = (10 << 20) + (64 << 10)
UPLOADS_MAX = 8
UPLOADS_EACH_MAX = 2
LONG_BODIES_MAX = 64

C = TypeVar("C", bound=OperationContext)


async def _anyone(_: Request) -> Hashable:
    return object()  # each of its own


async def _no_limits(_: Request, __: int) -> Iterable[tuple[str, str]]:
    return ()


def _nothing(*_: Any) -> Any:
    return ()


def _always(_: Any) -> bool:
    return True


class GraphQLOverHttp(Generic[C]):
    """One ASGI endpoint for POST, GET and QUERY.

    `open_context` makes what the resolvers share; `request.state` then has `operation` and
    `trace_id`. `admit` is asked before a form is read: its answer is who sends it, each of whom
    has UPLOADS_EACH_MAX places. Both may raise `Fault`, and `Unavailable` like any resolver: the
    whole answer is then 503. `present` has the last word on each error of a field;
    errors of the request are written here. `headers` and `extensions` add to the answer of an
    operation that ran, `refused` to that of a request, by its status, whose operation never did;
    it may raise `Fault` 429, which is answered instead. `meter` is told of each that runs.
    `introspection` decides for each viewer, where the documents allow it.
    """

    def __init__(
        self,
        *,
        schema: GraphQLSchema,
        documents: Documents,
        open_context: Callable[[Request], Awaitable[C]],
        present: Callable[[GraphQLError, str], dict[str, Any]],
        deadline_s: float = DEADLINE_S,
        body_max: int | None = None,
        upload_max: int = UPLOAD_MAX,
        uploads_max: int = UPLOADS_MAX,
        long_bodies_max: int = LONG_BODIES_MAX,
        operations_max: int = OPERATIONS_MAX,
        cleanup_s: float = CLEANUP_S_MAX,
        csrf: CsrfRules | None = None,
        admit: Callable[[Request], Awaitable[Hashable]] = _anyone,
        introspection: Callable[[C], bool] = _always,
        meter: Meter[C] | None = None,
        refused: Callable[[Request, int], Awaitable[Iterable[tuple[str, str]]]] = _no_limits,
        headers: Callable[[C], Iterable[tuple[str, str]]] = _nothing,
        extensions: Callable[[C], dict[str, Any]] = _nothing,
    ) -> None:
        self._open_context = open_context
        self.operations: Operations[C] = Operations(
            documents=documents,
            engine=Engine(schema=schema, hide_suggestions=documents.hide_suggestions),
            present=present,
            places=Places(operations_max),
            introspection=introspection,
            meter=meter or Unmetered(),
        )
        self._refused = refused
        self._deadline_s, self._cleanup_s = deadline_s, cleanup_s
        self._csrf, self._admit = csrf or CsrfRules(), admit
        self._body_max = documents.limits.body if body_max is None else body_max
        self._upload_max = upload_max
        self._uploads, self._long_bodies = Places(uploads_max), Places(long_bodies_max)
        self._uploads_of: Counter[Hashable] = Counter()
        self._headers, self._extensions = headers, extensions

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = Body(scope, receive)
        request = Request(scope, body.receive)
        if not hasattr(request.state, "trace_id"):
            request.state.trace_id = uuid4().hex
        try:
            response = await self._respond(request, body)
        except ClientDisconnect:
            return
        await response(scope, receive, send)

    async def _respond(self, request: Request, body: Body) -> Response:
        """Raises: ClientDisconnect."""
        media = negotiate(request.headers.get("accept"))
        trace_id = request.state.trace_id
        try:
            return await self._operate(request, body, media)
        except (Fault, Unavailable) as error_:
            fault = error_ if isinstance(error_, Fault) else _away(error_)
            return await self._faulted(request, body, media or LEGACY, fault)
        except Refused as refused:
            try:
                limits = await self._refused(request, 400)
            except Fault as limited:
                return await self._faulted(request, body, media or LEGACY, limited)
            errors = [request_error(e, refused.code, trace_id) for e in refused.errors]
            ok = media == LEGACY and refused.code != "BAD_USER_INPUT"
            return answer(media or LEGACY, 200 if ok else 400, {"errors": errors}, limits)
        except ClientDisconnect:
            raise
        except Exception as found:  # noqa: BLE001 - `bug` logs it
            return answer(media or LEGACY, 500, {"errors": [bug(found, trace_id)]})

    async def _faulted(self, request: Request, body: Body, media: str, fault: Fault) -> Response:
        """Raises: ClientDisconnect."""
        limits: Iterable[tuple[str, str]] = ()
        if "ratelimit" not in fault.headers:
            try:
                limits = await self._refused(request, fault.status)
            except Fault as limited:
                fault = limited
        headers = [*fault.headers.items(), *limits]
        if fault.status == 408 or not await body.drain():
            headers.append(("connection", "close"))
        errors = [fault_error(fault, request.state.trace_id)]
        return answer(media, fault.status, {"errors": errors}, headers)

    async def _operate(self, request: Request, body: Body, media: str | None) -> Response:
        if media is None:
            raise Fault(406, "BAD_REQUEST", f"this endpoint speaks {RESPONSE} and {LEGACY}")
        deadline = asyncio.get_running_loop().time() + self._deadline_s
        fits(request.scope)
        kind = admitted(request.method, request.headers)
        simple = request.method == "GET" or kind == FORM
        if not self._csrf.permits(request.headers, simple=simple):
            raise Fault(403, "NOT_PERMITTED", "this site may not send requests here")
        self.operations.places.check()
        with ExitStack() as places:
            if kind == FORM:
                places.enter_context(self._upload_of(await self._admit(request)))
            found = await self._read(request, body, deadline, places)
            request.state.operation = operation = await self._operation(request.method, found)
            with self.operations.places.taken():
                return await self._run(request, operation, media, deadline)

    @contextmanager
    def _upload_of(self, sender: Hashable) -> Iterator[None]:
        """Raises: Fault 429, 503."""
        if self._uploads_of[sender] >= UPLOADS_EACH_MAX:
            message = f"at most {UPLOADS_EACH_MAX} uploads at once"
            raise Fault(429, "RATE_LIMITED", message, {"retry-after": str(RETRY_AFTER_S)})
        with self._uploads.taken():
            self._uploads_of[sender] += 1
            try:
                yield
            finally:
                self._uploads_of -= Counter({sender: 1})  # who has none left is forgotten

    async def _read(
        self, request: Request, body: Body, deadline: float, places: ExitStack
    ) -> Parameters:
        try:
            async with asyncio.timeout_at(deadline):
                return await asked(
                    request.method,
                    request.headers,
                    request.scope["query_string"],
                    body,
                    body_max=self._body_max,
                    upload_max=self._upload_max,
                    is_long=lambda: places.enter_context(self._long_bodies.taken()),
                )
        except PersistedOnly:
            raise not_persisted() from None
        except TimeoutError:
            raise Fault(408, "TIMEOUT", "the request took too long to arrive") from None

    async def _operation(self, method: str, found: Parameters) -> Operation:
        operation = await self.operations.chosen(found)
        if operation.kind is OperationType.SUBSCRIPTION:
            raise Fault(406, "BAD_REQUEST", "subscribe over a WebSocket or text/event-stream")
        if operation.kind is OperationType.MUTATION and method != "POST":
            raise Fault(405, "BAD_REQUEST", "mutations come by POST", {"allow": "POST"})
        return operation

    async def _run(
        self, request: Request, operation: Operation, media: str, deadline: float
    ) -> Response:
        opened: list[C] = []

        async def work() -> ExecutionResult:
            opened.append(context := await self._open_context(request))
            return await self.operations.run(operation, context)

        async def close() -> None:
            for context in opened:
                await context.close()

        result = await attended(
            work(),
            receive=request.receive,
            deadline=deadline,
            close=close,
            cleanup_s=self._cleanup_s,
        )
        return self._result(media, result, opened[0])

    def _result(self, media: str, result: ExecutionResult, context: C) -> Response:
        """Raises: Unavailable, where any field failed of it: half a snapshot is no answer."""
        if (said := self.operations.never_ran(result, context.trace_id)) is not None:
            status = 200 if media == LEGACY else 400
            return answer(media, status, {"errors": said}, self._headers(context))
        reply = self.operations.reply(result, context.trace_id)
        if extensions := self._extensions(context):
            reply["extensions"] = extensions
        return answer(media, 200, reply, self._headers(context))


def _away(unavailable: Unavailable) -> Fault:
    return overloaded(str(unavailable), retry_after_s=unavailable.retry_after_s)
