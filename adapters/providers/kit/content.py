"""The content of an answer, of which no more is held than was agreed."""

import zlib

import httpx2

from adapters.providers.kit.answers import Failed

ENCODINGS = "gzip, deflate"  # the only ones that we ask for
_ANY_ZLIB = zlib.MAX_WBITS | 32  # finds out which of the two it is


async def content_of(response: httpx2.Response, bytes_max: int) -> bytes:
    """All of it, decompressed. Raises Failed where it is more than `bytes_max`.

    A gigabyte may be a megabyte when it is compressed, so that what comes out is bounded also
    within one part.
    """
    if response.is_stream_consumed:  # of a transport without sockets: it is all there, and open
        if len(response.content) > bytes_max:
            raise _too_much()
        return response.content
    opened = _opened(response.headers.get("content-encoding", ""))
    parts: list[bytes] = []
    room = raw_room = bytes_max
    async for raw in response.aiter_raw():
        part = raw if opened is None else _decompressed(opened, raw, room + 1)
        room -= len(part)
        raw_room -= len(raw)
        if room < 0 or raw_room < 0:
            raise _too_much()
        parts.append(part)
    if opened is not None and not opened.eof and raw_room < bytes_max:  # nothing may be empty
        raise Failed("answered with half of an answer")
    return b"".join(parts)


def _decompressed(opened: "zlib._Decompress", raw: bytes, most: int) -> bytes:
    is_over = opened.eof
    try:
        part = b"" if is_over else opened.decompress(raw, most)
    except zlib.error:
        raise Failed("answered with what cannot be decompressed") from None
    if is_over or opened.unused_data:
        raise Failed("answered with more than one answer")
    return part


def _too_much() -> Failed:
    return Failed("answered too much", again=False)


def _opened(encoding: str) -> "zlib._Decompress | None":
    said = encoding.strip().lower()
    if said in ("", "identity"):
        return None
    if said in ("gzip", "x-gzip", "deflate"):
        return zlib.decompressobj(_ANY_ZLIB)
    raise Failed("answered in an encoding that nobody asked for", again=False)
