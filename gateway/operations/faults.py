"""A request that is no GraphQL request, and what is said about it."""

from collections.abc import Mapping


class Fault(Exception):
    """Ends a request before its operation ran: an HTTP status, an error code, a sentence.

    `headers` go on the answer: `Allow`, `Retry-After`, `WWW-Authenticate`.
    """

    def __init__(
        self, status: int, code: str, message: str, headers: Mapping[str, str] | None = None
    ) -> None:
        super().__init__(message)
        self.status, self.code, self.message = status, code, message
        self.headers = dict(headers or {})


class Malformed(Fault):
    """What can be read and is no GraphQL request: 400, or 422 in the newer draft."""

    def __init__(self, message: str) -> None:
        super().__init__(400, "BAD_REQUEST", message)


def bad_request(message: str) -> Fault:
    return Fault(400, "BAD_REQUEST", message)


def bad_text() -> Fault:
    """PostgreSQL's text holds no NUL and UTF-8 no lone surrogate, so neither does ours."""
    return Fault(400, "BAD_USER_INPUT", "text holds no NUL and no lone surrogate")


def overloaded(message: str, *, retry_after_s: int) -> Fault:
    return Fault(503, "UNAVAILABLE", message, {"retry-after": str(retry_after_s)})
