"""Texts, numbers and times of an OFX file as the rest of the system may hold them."""

import re
from datetime import UTC, datetime, time
from decimal import Decimal

from adapters.ofx.errors import Illegible
from adapters.ofx.values import OfxDate
from domain import money
from domain.accounts import masked

# The tag and its text as the reader takes them: with attributes, CDATA, and "<" that opens no tag.
_NUMBERS = re.compile(
    r"(<(?:LOAN)?ACCTID(?:[\s/][^<>]*)?>)((?:[^<]+|<!\[CDATA\[.*?(?:\]\]>|\Z)|<(?![/A-Za-z]))+)",
    re.IGNORECASE | re.DOTALL,
)


def clean(text: str | None) -> str:
    """One line, without control characters; "" for None."""
    if not text:
        return ""
    if not text.isprintable():
        text = "".join(c if c.isprintable() else " " for c in text)
    return " ".join(text.split())


def storable(number: Decimal, name: str) -> Decimal:
    """Raises Illegible where it has more digits than are carried exactly."""
    try:
        return money.storable(number)
    except ValueError as fault:
        raise Illegible(f"{name}: {fault}") from None


def storable_or_none(number: Decimal | None, name: str) -> Decimal | None:
    return None if number is None else storable(number, name)


def without_numbers(raw: str) -> str:
    """A record's text with no more of any account number than may be shown."""
    return _NUMBERS.sub(lambda found: found[1] + masked(found[2]), raw)


def instant(when: OfxDate | None) -> datetime | None:
    """A date without a time is its first moment in UTC."""
    if when is None:
        return None
    return when.instant or datetime.combine(when.local_date, time.min, UTC)
