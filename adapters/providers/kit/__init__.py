"""What every provider's adapter is made of: asking, paging, and reading records."""

from adapters.providers.kit.answers import Explain
from adapters.providers.kit.breaker import Breaker
from adapters.providers.kit.decoding import NotJson, decode, raw_text
from adapters.providers.kit.egress import Blocked, Egress, checked
from adapters.providers.kit.faults import Fault, Said
from adapters.providers.kit.http import Http, Policy
from adapters.providers.kit.outside import Outside
from adapters.providers.kit.paging import PAGES_MAX, pages, progress, windows
from adapters.providers.kit.reading import (
    NEW_YORK,
    Malformed,
    Record,
    as_record,
    choice,
    currency_of,
    day,
    day_or_none,
    decimal,
    decimal_or_none,
    inner_or_none,
    instant,
    key,
    list_of,
    money,
    money_or_none,
    read_rows,
    reading_answer,
    record_of,
    rows_of,
    text,
    text_or_none,
    text_or_nothing,
    unread,
)
from adapters.providers.kit.timing import Deadline, Timing

__all__ = [
    "NEW_YORK",
    "PAGES_MAX",
    "Blocked",
    "Breaker",
    "Deadline",
    "Egress",
    "Explain",
    "Fault",
    "Http",
    "Malformed",
    "NotJson",
    "Outside",
    "Policy",
    "Record",
    "Said",
    "Timing",
    "as_record",
    "checked",
    "choice",
    "currency_of",
    "day",
    "day_or_none",
    "decimal",
    "decimal_or_none",
    "decode",
    "inner_or_none",
    "instant",
    "key",
    "list_of",
    "money",
    "money_or_none",
    "pages",
    "progress",
    "raw_text",
    "read_rows",
    "reading_answer",
    "record_of",
    "rows_of",
    "text",
    "text_or_none",
    "text_or_nothing",
    "unread",
    "windows",
]
