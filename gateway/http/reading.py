"""From an HTTP request to the parameters of a GraphQL request, by method and media type."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing
from urllib.parse import unquote_to_bytes

from starlette.datastructures import Headers
from starlette.types import Scope

from gateway.http import multipart
from gateway.http.body import Body
from gateway.operations import parameters, strict_json
from gateway.operations.faults import Fault, Malformed, bad_text
from gateway.operations.parameters import Parameters

JSON = "application/json"
FORM = "multipart/form-data"
LONG = 64 << 10  # bytes: a megabyte takes up to 20 ms, kept off the event loop
METHODS = ("GET", "HEAD", "POST", "QUERY", "OPTIONS")
METHODS_OF_A_NAME = ("GET", "HEAD", "OPTIONS")  # where the path names the document
BY_URL = frozenset({"GET", "HEAD"})


def path_of(scope: Scope) -> bytes:
    """As it came."""
    raw: bytes | None = scope.get("raw_path")
    return scope["path"].encode() if raw is None else raw


def allowed(path: bytes) -> tuple[str, ...]:
    return METHODS_OF_A_NAME if named(path) else METHODS


def offered(path: bytes) -> dict[str, str]:
    """What may be asked for here, and by QUERY in which types (RFC 10008, 3)."""
    methods = allowed(path)
    headers = {"allow": ", ".join(methods)}
    return {**headers, "accept-query": JSON} if "QUERY" in methods else headers


def named(path: bytes) -> dict[str, str]:
    """The parameters in the path: `/graphql/{documentId}[/{operationName}]`. It is the one that
    came, so that an encoded slash separates nothing.

    Raises: Fault 400, 404.
    """
    endpoint, *parts = path[1:].split(b"/")
    if b"/" in unquote_to_bytes(endpoint):
        raise _nothing_there()
    if parts in ([], [b""]):
        return {}
    texts = [unquote_to_bytes(part).decode("utf-8", "replace") for part in parts]
    if not all(map(strict_json.storable, texts)):
        raise bad_text()
    if len(texts) > 2 or not all(texts):
        raise _nothing_there()
    return dict(zip(("documentId", "operationName"), texts, strict=False))


def _nothing_there() -> Fault:
    return Fault(404, "NOT_FOUND", "there is /graphql/{documentId}[/{operationName}]")


def admitted(method: str, path: bytes, headers: Headers) -> str:
    """The media type of the request's body, or "" for a GET without one.

    Raises:
        Fault: 404 for other paths, 405 for other methods, 415 for other types than JSON in UTF-8
            and, by POST, a form.
    """
    if method not in allowed(path):
        offer = offered(path)
        raise Fault(405, "BAD_REQUEST", f"use one of {offer['allow']}", offer)
    media, _, rest = headers.get("content-type", "").partition(";")
    media = media.strip().lower()
    if media == FORM and method == "POST":
        return media
    charset = rest.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if media == JSON and charset in ("", "utf-8", "utf8"):
        return media
    if media == "" and method in (*BY_URL, "OPTIONS"):
        return media
    # A GET with a form's content type is a form of another site; Apollo's has JSON's.
    message = f"send {JSON} in UTF-8, or {FORM} for uploads"
    raise Fault(415, "BAD_REQUEST", message, offered(path))


async def asked(
    method: str,
    path: bytes,
    headers: Headers,
    query_string: bytes,
    body: Body,
    *,
    body_max: int,
    upload_max: int,
    is_long: Callable[[], object],
) -> Parameters:
    """`is_long` is called while a JSON body is being read that is over LONG, and may refuse it.

    Raises: Fault, ClientDisconnect.
    """
    if method in BY_URL:
        found, in_path = parameters.from_query_string(query_string), named(path)
        if in_path and (found.keys() & {*in_path, "query", "doc_id"}):
            raise Malformed("what the path says is not said again")
        return parameters.parameters(found | in_path)
    if admitted(method, path, headers) == JSON:
        raw = await body.read(size_max=body_max, long=LONG, is_long=is_long)
        if len(raw) > LONG:
            return parameters.parameters(await asyncio.to_thread(parameters.from_json, raw))
        return parameters.parameters(parameters.from_json(raw))
    async with aclosing(body.chunks(size_max=upload_max)) as chunks:
        form = await multipart.read(chunks, headers["content-type"], operations_max=body_max)
    return parameters.parameters(form)
