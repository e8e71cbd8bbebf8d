"""From the result of an operation to the answer over HTTP: its status, its tag, its coding.

Only answers to queries are compressed. Tokens, recovery codes and the secrets of second factors
come by mutations alone; and nobody can have a browser ask what they chose with the cookies of
another, since `CsrfRules` refuses it before anything is read.
"""

from collections.abc import Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from graphql import ExecutionResult, OperationType
from starlette.requests import Request
from starlette.responses import Response

from gateway.http.compression import accepted, compress
from gateway.http.conditions import IfNoneMatch, etag, tag_of
from gateway.http.negotiation import EVENTS
from gateway.http.profiles import Profile
from gateway.http.reading import BY_URL
from gateway.http.responses import NOT_KEPT, REVALIDATED, answer, unchanged
from gateway.operations import sql_report
from gateway.operations.execution import OperationContext
from gateway.operations.running import Operation, Operations

REPORT = "dashtam-cost"  # asks for the cost, which is never the same again

C = TypeVar("C", bound=OperationContext)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """An operation, and in what form its answer is wanted."""

    operation: Operation
    media: str
    method: str
    codings: Sequence[str]
    if_none_match: IfNoneMatch
    reports: bool

    @classmethod
    def of(cls, request: Request, operation: Operation, media: str) -> "Asked":
        headers = request.headers
        is_long = operation.kind is OperationType.QUERY and media != EVENTS
        return cls(
            operation=operation,
            media=media,
            method=request.method,
            codings=accepted(", ".join(headers.getlist("accept-encoding"))) if is_long else (),
            if_none_match=IfNoneMatch(headers.getlist("if-none-match")),
            reports=REPORT in headers or sql_report.REPORT in headers,
        )

    @property
    def is_tagged(self) -> bool:
        """Whether the same answer may come again (RFC 10008, 2.6 has it for QUERY)."""
        is_safe = self.method in (*BY_URL, "QUERY") and self.media != EVENTS
        return is_safe and self.operation.document.is_versioned and not self.reports

    @property
    def kept(self) -> str:
        """By whom: the client itself, where the URL alone names the document."""
        is_named = self.method in BY_URL and self.operation.asked.query is None
        return REVALIDATED if is_named and self.media != EVENTS else NOT_KEPT


@dataclass(frozen=True, slots=True, kw_only=True)
class Answers(Generic[C]):
    """See `GraphQLOverHttp`, whose parts these are."""

    operations: Operations[C]
    profile: Profile
    headers: Callable[[C], Iterable[tuple[str, str]]]
    version: Callable[[C], Awaitable[str | None]]

    async def tag(self, asked: Asked, context: C) -> str | None:
        """Of the answer, should it be one without errors. Raises: Unavailable."""
        if not asked.is_tagged or (version := await self.version(context)) is None:
            return None
        operation = asked.operation
        return tag_of(version, operation.document.sha256, operation.asked, asked.media)

    async def known(self, asked: Asked, tag: str | None, context: C) -> Response | None:
        """That the client has the answer. Raises: Fault 429."""
        known = None if tag is None else asked.if_none_match.has(tag, asked.codings)
        if known is None:
            return None
        await self.operations.spare(context)
        return unchanged(known, asked.kept, self.headers(context))

    async def answer(
        self, asked: Asked, result: ExecutionResult, tag: str | None, context: C
    ) -> Response:
        """Raises: Unavailable, where any field failed of it: half a snapshot is no answer."""
        headers = self.headers(context)
        if (errors := self.operations.never_ran(result, context.trace_id)) is not None:
            return answer(*self.profile.to_variables(asked.media), {"errors": errors}, headers)
        reply = self.operations.reply(result, context.trace_id)
        said = self.profile.to_result(asked.media, has_errors=bool(result.errors))
        if result.errors:
            return await self._sent(asked, answer(*said, reply, headers), None)
        if tag is not None and asked.if_none_match.is_any:
            return unchanged(etag(tag), asked.kept, headers)
        return await self._sent(asked, answer(*said, reply, headers, kept=asked.kept), tag)

    async def _sent(self, asked: Asked, response: Response, tag: str | None) -> Response:
        coding = None
        if asked.codings and await compress(response, asked.codings[0]):
            coding = asked.codings[0]
        if tag is not None:
            response.headers["etag"] = etag(tag, coding)
        return response
