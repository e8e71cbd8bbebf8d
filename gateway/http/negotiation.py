"""Which media type a client gets: RFC 9110 section 12.5.1 and GraphQL over HTTP section 4.2."""

import re
from typing import Final

RESPONSE: Final = "application/graphql-response+json"
LEGACY: Final = "application/json"
EVENTS: Final = "text/event-stream"

_QUALITY = re.compile(r"0(\.\d{0,3})?|1(\.0{0,3})?")
_JSON_RANGES = ("application/*", "*/*")
_RANGES = {RESPONSE: _JSON_RANGES, LEGACY: _JSON_RANGES, EVENTS: ("text/*", "text/*")}
_NAMED = (EVENTS, LEGACY, RESPONSE)  # the better, the later
_BY_WILDCARD = (EVENTS, RESPONSE, LEGACY)


def negotiate(accept: str | None) -> str | None:
    """The best of our types by quality, then by how exactly it was named; None fits nothing.

    Each type has the quality of the most specific range that names it. Named exactly and
    alike, the newer type of JSON wins; reached by a wildcard alone, or with no header, it is
    `application/json`, as clients from before the specification expect. Events come before neither,
    and `*/*` alone does not ask for them.
    """
    if accept is None or not accept.strip():
        return LEGACY
    ranges = _ranges(accept)
    found = [fit for ours in _NAMED if (fit := _fit(ours, ranges))]
    return max(found)[-1] if found else None


def streams(accept: str | None) -> bool:
    """Whether events are among what is wanted; nothing else can answer a subscription."""
    return _fit(EVENTS, _ranges(accept or "")) is not None


def _ranges(accept: str) -> dict[str, float]:
    return dict(_range(text) for text in accept.split(",") if text.strip())


def _fit(ours: str, ranges: dict[str, float]) -> tuple[float, int, int, str] | None:
    """How well `ours` is wanted: quality, breadth of the range (2 is its own name), preference."""
    some, any_ = _RANGES[ours]
    for name, breadth in ((ours, 2), (some, 1), (any_, 0)):
        if name in ranges:
            preferred = _NAMED if breadth == 2 else _BY_WILDCARD
            quality = ranges[name]
            return (quality, breadth, preferred.index(ours), ours) if quality else None
    return None


def _range(text: str) -> tuple[str, float]:
    name, *parameters = (part.strip().lower() for part in text.split(";"))
    for parameter in parameters:
        key, _, value = parameter.partition("=")
        if key.strip() == "q":
            # A quality that is none asks for nothing.
            return name, float(value) if _QUALITY.fullmatch(value.strip()) else 0.0
    return name, 1.0
