"""Content codings of answers: RFC 9110 section 8.4, zstd by RFC 8878.

Compressing what is secret beside what a stranger chose tells, by its length, how alike they are
(BREACH, CVE-2013-3587). So whoever compresses sees to it that the answer has no secret, and that no
stranger chose any of it: see `GraphQLOverHttp`.
"""

import asyncio
import gzip
import re
import sys
from collections.abc import Callable, Mapping

from starlette.responses import Response

if sys.version_info >= (3, 14):
    from compression import zstd
else:
    from backports import zstd

LEAST = 1 << 10  # bytes: less fits into one packet with its headers
LONG = 64 << 10  # bytes: gzip takes most of a millisecond for as much
GZIP_LEVEL, ZSTD_LEVEL = 4, 3  # 4: half the time of the usual 6, for 6 % more; 3 is the usual one
IDENTITY = "identity"

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")


def _gzipped(content: bytes) -> bytes:
    return gzip.compress(content, GZIP_LEVEL, mtime=0)  # equal contents stay equal


def _zstd(content: bytes) -> bytes:
    return zstd.compress(content, ZSTD_LEVEL)  # its window is 2 MiB, of 8 that RFC 9659 allows


CODINGS: Mapping[str, Callable[[bytes], bytes]] = {"zstd": _zstd, "gzip": _gzipped}


def accepted(header: str) -> list[str]:
    """Which of CODINGS the client takes and wants at least as much as none, the best first."""
    wanted = dict(_weighed(part) for part in header.split(","))
    others = wanted.get("*", 0.0)
    plain = wanted.get(IDENTITY, 0.0)
    qualities = {name: wanted.get(name, wanted.get(f"x-{name}", others)) for name in CODINGS}
    taken = [name for name, quality in qualities.items() if quality > 0 and quality >= plain]
    return sorted(taken, key=qualities.__getitem__, reverse=True)


async def compress(response: Response, coding: str) -> bool:
    """Whether it was worth it: only then is `response` another. Long ones are compressed beside
    the event loop."""
    content = bytes(response.body)
    if len(content) < LEAST:
        return False
    of = CODINGS[coding]
    shorter = await asyncio.to_thread(of, content) if len(content) > LONG else of(content)
    if len(shorter) >= len(content):
        return False
    response.body = shorter
    response.headers["content-length"] = str(len(shorter))
    response.headers["content-encoding"] = coding
    return True


def _weighed(text: str) -> tuple[str, float]:
    """A coding and its quality; one that is none asks for nothing."""
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            found = value.strip()
            return name, float(found) if _QUALITY.fullmatch(found) else 0.0
    return name, 1.0
