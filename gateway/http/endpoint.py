"""GraphQL over HTTP: from a request to one operation and back.

Subscriptions are handed over to `streams`; `profiles` knows the statuses, `answers` what becomes of
a result.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Iterable
from contextlib import ExitStack
from typing import Any, Generic, TypeVar
from uuid import uuid4

from graphql import ExecutionResult, GraphQLError, GraphQLSchema, OperationType
from starlette.requests import ClientDisconnect, HTTPConnection, Request
from starlette.responses import Response
from starlette.types import Receive, Scope, Send

from domain.errors import Unavailable
from gateway.cost.pricing import Pricing
from gateway.documents.store import Documents
from gateway.http.answers import Answers, Asked
from gateway.http.body import Body, fits
from gateway.http.csrf import CsrfRules
from gateway.http.idempotency import KEY, Repeating
from gateway.http.negotiation import EVENTS, LEGACY, RESPONSE, negotiate, streams
from gateway.http.profiles import AUDITED, Profile
from gateway.http.reading import BY_URL, FORM, admitted, asked, offered, path_of
from gateway.http.responses import answer
from gateway.http.uploads import UploadPlaces
from gateway.operations.admission import Admission
from gateway.operations.clients import client_of
from gateway.operations.execution import CLEANUP_S_MAX, Engine, OperationContext, attended
from gateway.operations.faults import Fault, overloaded
from gateway.operations.guard import Refused
from gateway.operations.parameters import Parameters
from gateway.operations.places import Places
from gateway.operations.points import Meter, Unmetered
from gateway.operations.replies import fault_error, request_error
from gateway.operations.running import OPERATIONS_MAX, Operation, Operations, bug
from gateway.sse.endpoint import EventStreams

DEADLINE_S = 30.0
UPLOAD_MAX = (10 << 20) + (64 << 10)
UPLOADS_MAX = 8
LONG_BODIES_MAX = 64
STREAMED = ("GET", "POST")  # EventSource has no other than GET

C = TypeVar("C", bound=OperationContext)


async def _anyone(_: Request) -> Hashable:
    return object()  # each of its own


def _anywhere(_: HTTPConnection) -> Hashable:
    return None  # all together


async def _no_limits(_: Request, __: int) -> Iterable[tuple[str, str]]:
    return ()


def _nothing(*_: Any) -> Any:
    return ()


def _always(_: Any) -> bool:
    return True


async def _unversioned(_: Any) -> None:
    return None


class GraphQLOverHttp(Generic[C]):
    """One ASGI endpoint for POST, GET, HEAD and QUERY.

    `open_context` makes what the resolvers share; `request.state` then has `operation` and
    `trace_id`. `admit` is asked before a form is read: its answer is who sends it, each of whom
    has a few places. Both may raise `Fault`, and `Unavailable` like any resolver: the
    whole answer is then 503. `present` has the last word on each error of a field;
    errors of the request are written here. `headers` and `extensions` add to the answer of an
    operation that ran, `refused` to that of a request, by its status, whose operation never did;
    it may raise `Fault` 429, which is answered instead. `meter` is told of each that runs.
    `introspection` decides for each viewer. `version` says whose data
    is read, in which version, and all else that the answer of a versioned document depends on; None
    where it is nobody's. `repeats` runs mutations that come with a key.
    `whose` says by whom a request is counted that asks for one of the `places`.
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
        places: Admission | None = None,
        whose: Callable[[HTTPConnection], Hashable] = _anywhere,
        cleanup_s: float = CLEANUP_S_MAX,
        csrf: CsrfRules | None = None,
        admit: Callable[[Request], Awaitable[Hashable]] = _anyone,
        introspection: Callable[[C], bool] = _always,
        pricing: Pricing[C] | None = None,
        meter: Meter[C] | None = None,
        refused: Callable[[Request, int], Awaitable[Iterable[tuple[str, str]]]] = _no_limits,
        headers: Callable[[C], Iterable[tuple[str, str]]] = _nothing,
        extensions: Callable[[C], dict[str, Any]] = _nothing,
        version: Callable[[C], Awaitable[str | None]] = _unversioned,
        repeats: Repeating[C] | None = None,
        profile: Profile = AUDITED,
    ) -> None:
        self.streams: EventStreams[Any] | None = None  # once there is what carries them
        self._open_context = open_context
        self.operations: Operations[C] = Operations(
            documents=documents,
            engine=Engine(schema=schema, hide_suggestions=documents.hide_suggestions),
            present=present,
            places=places or Admission(OPERATIONS_MAX),
            introspection=introspection,
            pricing=pricing or Pricing(most=documents.limits.cost),
            extensions=extensions,
            meter=meter or Unmetered(),
        )
        self._refused = refused
        self.deadline_s, self._cleanup_s = deadline_s, cleanup_s
        self._csrf, self._admit = csrf or CsrfRules(), admit
        self._body_max = documents.limits.body if body_max is None else body_max
        self._upload_max = upload_max
        self._uploads, self._long_bodies = UploadPlaces(uploads_max), Places(long_bodies_max)
        self._headers, self._repeats, self._whose = headers, repeats, whose
        self.profile = profile
        self._answers = Answers(
            operations=self.operations,
            profile=profile,
            headers=headers,
            version=version,
        )

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
        media = negotiate(", ".join(request.headers.getlist("accept")))
        trace_id = request.state.trace_id
        try:
            return await self._operate(request, body, media)
        except (Fault, Unavailable) as error_:
            fault = error_ if isinstance(error_, Fault) else _away(error_)
            return await self._faulted(request, body, media, fault)
        except Refused as refused:
            try:
                limits = await self._refused(request, 400)
            except Fault as limited:
                return await self._faulted(request, body, media, limited)
            errors = [request_error(e, refused.code, trace_id) for e in refused.errors]
            said = self.profile.to_refusal(refused.code, media or LEGACY)
            return answer(*said, {"errors": errors}, limits)
        except ClientDisconnect:
            raise
        except Exception as found:  # noqa: BLE001 - `bug` logs it
            errors = [bug(found, trace_id)]
            return answer(*self.profile.to_bug(media or LEGACY), {"errors": errors})

    async def _faulted(
        self, request: Request, body: Body, media: str | None, fault: Fault
    ) -> Response:
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
        return answer(*self.profile.to_fault(fault, media), {"errors": errors}, headers)

    async def _operate(self, request: Request, body: Body, media: str | None) -> Response:
        if media is None:
            types = f"{RESPONSE}, {LEGACY} and {EVENTS}"
            raise Fault(406, "BAD_REQUEST", f"this endpoint speaks {types}")
        deadline = asyncio.get_running_loop().time() + self.deadline_s
        fits(request.scope)
        kind = admitted(request.method, path_of(request.scope), request.headers)
        if request.method == "OPTIONS":
            return Response(status_code=204, headers=offered(path_of(request.scope)))
        simple = request.method in BY_URL or kind == FORM
        if not self._csrf.permits(request.headers, simple=simple):
            raise Fault(403, "NOT_PERMITTED", "this site may not send requests here")
        self.check(request)
        whose = self._whose(request)
        with ExitStack() as places:
            if kind == FORM:
                places.enter_context(self._uploads.taken(await self._admit(request)))
            found = await self._read(request, body, deadline, places)
            request.state.operation = operation = await self._operation(request, found, whose)
            if self.streams and operation.kind is OperationType.SUBSCRIPTION:
                return await self.streams.opened(request, operation, self._headers)
            async with self.operations.places.taken(whose):
                return await self._run(request, Asked.of(request, operation, media), deadline)

    def check(self, connection: HTTPConnection) -> None:
        """Whether there is a place, or soon will be. Raises: Fault 503."""
        places = self.operations.places
        if places.is_full:
            places.check(self._whose(connection))

    async def _read(
        self, request: Request, body: Body, deadline: float, places: ExitStack
    ) -> Parameters:
        try:
            async with asyncio.timeout_at(deadline):
                return await asked(
                    request.method,
                    path_of(request.scope),
                    request.headers,
                    request.scope["query_string"],
                    body,
                    body_max=self._body_max,
                    upload_max=self._upload_max,
                    is_long=lambda: places.enter_context(self._long_bodies.taken()),
                )
        except TimeoutError:
            raise Fault(408, "TIMEOUT", "the request took too long to arrive") from None

    async def _operation(self, request: Request, found: Parameters, whose: Hashable) -> Operation:
        operation = await self.operations.chosen(found, client_of(request.headers), whose)
        if operation.kind is OperationType.SUBSCRIPTION:
            if not (self.streams and streams(", ".join(request.headers.getlist("accept")))):
                raise Fault(406, "BAD_REQUEST", f"subscribe over a WebSocket or {EVENTS}")
            if request.method not in STREAMED:
                allow = {"allow": ", ".join(STREAMED)}
                raise Fault(405, "BAD_REQUEST", "subscribe by GET or POST", allow)
        if operation.kind is OperationType.MUTATION and request.method != "POST":
            # QUERY is allowed here, but not for what is not safe (RFC 10008, 2).
            status = 422 if request.method == "QUERY" else 405
            raise Fault(status, "BAD_REQUEST", "mutations come by POST", {"allow": "POST"})
        return operation

    async def _run(self, request: Request, asked_: Asked, deadline: float) -> Response:
        opened: list[C] = []
        keys = self._keys(request, asked_.operation)

        async def work() -> Response | tuple[ExecutionResult, str | None]:
            opened.append(context := await self._open_context(request))
            if self._repeats is not None and keys:
                repeated = await self._repeats.answered(keys, asked_, self._answers, context)
                if repeated is not None:
                    return repeated
            tag = await self._answers.tag(asked_, context)
            if (known := await self._answers.known(asked_, tag, context)) is not None:
                return known
            return await self.operations.run(asked_.operation, context), tag

        async def close() -> None:
            for context in opened:
                await context.close()

        found = await attended(
            work(),
            receive=None if keys else request.receive,  # its repeat gets the answer
            deadline=deadline,
            close=close,
            cleanup_s=self._cleanup_s,
        )
        if isinstance(found, Response):
            return found
        result, tag = found
        return await self._answers.answer(asked_, result, tag, opened[0])

    def _keys(self, request: Request, operation: Operation) -> list[str]:
        is_mutation = self._repeats is not None and operation.kind is OperationType.MUTATION
        return request.headers.getlist(KEY) if is_mutation else []


def _away(unavailable: Unavailable) -> Fault:
    return overloaded(str(unavailable), retry_after_s=unavailable.retry_after_s)
