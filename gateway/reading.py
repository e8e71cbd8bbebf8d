"""From an HTTP request to the parameters of a GraphQL request, by method and media type."""

import asyncio
from collections.abc import Callable
from contextlib import aclosing

from starlette.datastructures import Headers

from gateway import multipart, parameters
from gateway.body import Body
from gateway.faults import Fault
from gateway.parameters import Parameters

JSON = "application/json"
FORM = "multipart/form-data"
LONG = 64 << 10  # bytes: a megabyte of small objects takes 0.1 s, kept off the event loop
METHODS = "GET, POST, QUERY"


def admitted(method: str, headers: Headers) -> str:
    """The media type of the request's body, or "" for a GET without one.

    Raises:
        Fault: 405 for other methods, 415 for other types than JSON in UTF-8 and, by POST, a form.
    """
    if method not in METHODS.split(", "):
        raise Fault(405, "BAD_REQUEST", f"use one of {METHODS}", {"allow": METHODS})
    media, _, rest = headers.get("content-type", "").partition(";")
    media = media.strip().lower()
    if media == FORM and method == "POST":
        return media
    charset = rest.lower().partition("charset=")[2].partition(";")[0].strip(' "')
    if media == JSON and charset in ("", "utf-8", "utf8"):
        return media
    if media == "" and method == "GET":
        return media
    # A GET with a form's content type is a form of another site; Apollo's has JSON's.
    raise Fault(415, "BAD_REQUEST", f"send {JSON} in UTF-8, or {FORM} for uploads")


async def asked(
    method: str,
    headers: Headers,
    query_string: bytes,
    body: Body,
    *,
    body_max: int,
    upload_max: int,
    is_long: Callable[[], object],
) -> Parameters:
    """`is_long` is called while a JSON body is being read that is over LONG, and may refuse it.

    Raises: Fault, PersistedOnly, ClientDisconnect.
    """
    if method == "GET":
        return parameters.parameters(parameters.from_query_string(query_string))
    if admitted(method, headers) == JSON:
        raw = await body.read(size_max=body_max, long=LONG, is_long=is_long)
        if len(raw) > LONG:
            return parameters.parameters(await asyncio.to_thread(parameters.from_json, raw))
        return parameters.parameters(parameters.from_json(raw))
    async with aclosing(body.chunks(size_max=upload_max)) as chunks:
        form = await multipart.read(chunks, headers["content-type"], operations_max=body_max)
    return parameters.parameters(form)
