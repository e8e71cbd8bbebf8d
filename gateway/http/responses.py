"""What goes back over HTTP: who may keep it, and in which form."""

from collections.abc import Iterable
from typing import Any

from starlette.responses import Response

from gateway.http.negotiation import EVENTS, LEGACY
from gateway.operations.replies import encode
from gateway.sse.messages import only

NOT_KEPT = "no-store"
REVALIDATED = "private, no-cache"  # by the client itself, which asks each time whether it still is
VARY = "Accept, Accept-Encoding"


def answer(
    media: str,
    status: int,
    body: dict[str, Any],
    headers: Iterable[tuple[str, str]] = (),
    *,
    kept: str = NOT_KEPT,
) -> Response:
    """What is refused with a status is JSON, also to who would have read events."""
    content = encode(body)
    if media == EVENTS:
        media, status, content = (
            (EVENTS, 200, only(content)) if status < 300 else (LEGACY, status, content)
        )
    response = Response(content, status)
    response.headers["content-type"] = f"{media}; charset=utf-8"
    return _with(response, kept, headers)


def unchanged(etag: str, kept: str, headers: Iterable[tuple[str, str]]) -> Response:
    """What the client has is the answer: RFC 9110 section 15.4.5."""
    return _with(Response(status_code=304, headers={"etag": etag}), kept, headers)


def _with(response: Response, kept: str, headers: Iterable[tuple[str, str]]) -> Response:
    response.headers["cache-control"], response.headers["vary"] = kept, VARY
    for name, value in headers:
        response.headers.append(name, value)
    return response
