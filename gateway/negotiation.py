"""Which media type a client gets: RFC 9110 section 12.5.1 and GraphQL over HTTP section 4.2."""

import re
from typing import Final

RESPONSE: Final = "application/graphql-response+json"
LEGACY: Final = "application/json"

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_BREADTHS = {"application/*": 1, "*/*": 0}


def negotiate(accept: str | None) -> str | None:
    """The better of our two types by quality, then by how exactly it was named; None fits nothing.

    Each type has the quality of the most specific range that names it. Named exactly and
    alike, the newer type wins; reached by a wildcard alone, or with no header, it is
    `application/json`, as clients from before the specification expect.
    """
    if accept is None or not accept.strip():
        return LEGACY
    ranges = dict(_range(text) for text in accept.split(",") if text.strip())
    found = [fit for ours in (LEGACY, RESPONSE) if (fit := _fit(ours, ranges))]
    return max(found)[-1] if found else None


def _fit(ours: str, ranges: dict[str, float]) -> tuple[float, int, bool, str] | None:
    """How well `ours` is wanted: quality, breadth of the range (2 is its own name), preference."""
    for name, breadth in ((ours, 2), *_BREADTHS.items()):
        if name in ranges:
            quality = ranges[name]
            newer = ours == RESPONSE
            return (
                (quality, breadth, newer if breadth == 2 else not newer, ours) if quality else None
            )
    return None


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            # A quality that is none asks for nothing.
            return name, float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return name, 1.0
