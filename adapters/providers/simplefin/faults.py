"""What a SimpleFIN server's own words mean, and what of them its owner is shown."""

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

from adapters.providers.kit import (
    Fault,
    Malformed,
    Record,
    as_record,
    text_or_none,
)

NAME = "SimpleFIN"
SHOWN_MAX = 200  # characters of a message
NAME_CHARS_MIN = 3  # of what a message of version 1 is found to be about
ERRORS_MAX = 200

# Version 2, "Codes". One with an unknown end is read as its beginning.
CODES: Mapping[str, Fault] = {
    "gen.": Fault.DOWN,
    "gen.api": Fault.MISTAKEN,
    "gen.auth": Fault.EXPIRED,
    "con.": Fault.DOWN,
    "con.auth": Fault.EXPIRED,
    "act.": Fault.DOWN,
    "act.failed": Fault.DOWN,
    "act.missingdata": Fault.NOT_READY,
}
_WORDS: Mapping[str, str] = {
    "con.auth": "needs you to sign in again at SimpleFIN",
    "act.missingdata": "did not give all of its transactions",
}

# An angle bracket begins no sentence that its owner has to read.
_TAG = re.compile(r"<[^>]{0,1000}>?")
_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f\u200b-\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]+")


@dataclass(frozen=True, slots=True, kw_only=True)
class Trouble:
    """One error of an answer. Of neither a connection nor an account: of all of it."""

    code: str
    said: str
    connection: str | None = None
    account: str | None = None

    @property
    def fault(self) -> Fault:
        return CODES[self.code]

    @property
    def reason(self) -> str:
        words = _WORDS.get(self.code, "could not be read")
        return f"{words} ({self.said or self.code})"


def troubles_of(answer: Record) -> list[Trouble]:
    """Of version 2 where it is told, else the sentences of version 1."""
    told = answer.get("errlist")
    if told is None:
        told = answer.get("errors")
    if told is None:
        return []
    if not isinstance(told, Sequence) or isinstance(told, str):
        told = [told]
    return [_trouble(one) for one in told[:ERRORS_MAX]]


def sanitized(said: str) -> str:
    """One short line without markup or anything that steers how it is shown."""
    plain = " ".join(_CONTROL.sub(" ", _TAG.sub(" ", said)).split())
    return plain if len(plain) <= SHOWN_MAX else f"{plain[:SHOWN_MAX]}..."


def about(said: str, names: Mapping[str, Sequence[str | None]]) -> list[str]:
    """The keys of those that a sentence of version 1 names, each by one of its names."""
    folded = said.casefold()
    return [key for key, given in names.items() if any(_names(given, folded))]


def _names(given: Sequence[str | None], folded: str) -> Iterator[bool]:
    for name in given:
        if name is not None and len(name) >= NAME_CHARS_MIN:
            found = re.search(rf"(?<!\w){re.escape(name.casefold())}(?!\w)", folded)
            yield found is not None


def _trouble(one: object) -> Trouble:
    if isinstance(one, str):
        return Trouble(code="gen.", said=sanitized(one))
    try:
        record = as_record(one, "the error")
        code = text_or_none(record, "code") or "gen."
        # The description's table says msg, its examples message.
        said = text_or_none(record, "msg") or text_or_none(record, "message") or ""
        return Trouble(
            code=_known(code),
            said=sanitized(said),
            connection=text_or_none(record, "conn_id"),
            account=text_or_none(record, "account_id"),
        )
    except Malformed:
        return Trouble(code="gen.", said="it told an error that cannot be read")


def _known(code: str) -> str:
    prefix = f"{code.partition('.')[0]}."
    return code if code in CODES else prefix if prefix in CODES else "gen."
