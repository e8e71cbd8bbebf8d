"""Reading a provider's records field by field; what cannot be read is kept, not dropped."""

import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from datetime import UTC, date, datetime
from decimal import Decimal, InvalidOperation
from typing import TypeAlias, TypeVar
from zoneinfo import ZoneInfo

from adapters.providers.kit.decoding import NonFinite, raw_text, shown
from adapters.providers.kit.names import named
from domain.accounts import masked
from domain.errors import ProviderUnavailable
from domain.money import Currency, Money, currency, storable
from domain.sync import SyncScope, Unreadable

T = TypeVar("T")
Record: TypeAlias = Mapping[str, object]

TEXT_CHARS_MAX = 2_000
KEY_CHARS_MAX = 255
YEAR_MIN, YEAR_MAX = 1900, 2199
NEW_YORK = ZoneInfo("America/New_York")  # where the days of American brokers are

_CONTROL = re.compile(r"[\x00-\x1f\x7f-\x9f]+")
_SURROGATE = re.compile(r"[\ud800-\udfff]")
_NUMBER = re.compile(r"[+-]?(?:[0-9]+(?:\.[0-9]*)?|\.[0-9]+)(?:[eE][+-]?[0-9]{1,3})?")
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")


class Malformed(ValueError):
    """A record cannot be read; `reason` says which field, for its owner's eyes."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


def text_or_none(record: Record, name: str) -> str | None:
    """Without control characters and lone surrogates; None where absent, null or blank."""
    value = record.get(name)
    if value is None:
        return None
    if type(value) is not str:  # nor NonFinite, which is one
        raise Malformed(f"{name} is not text: {shown(value)}")
    if not value.isprintable():
        value = _SURROGATE.sub("\ufffd", _CONTROL.sub(" ", value))
    if len(value) > TEXT_CHARS_MAX:
        raise Malformed(f"{name} is longer than {TEXT_CHARS_MAX} characters")
    return value.strip() or None


def text_or_nothing(record: Record, name: str) -> str | None:
    """Of what is only told beside: where it is no text, it is as if it were not told."""
    try:
        return text_or_none(record, name)
    except Malformed:
        return None


def text(record: Record, name: str) -> str:
    return _required(text_or_none(record, name), name)


def key(record: Record, name: str) -> str:
    """An id, exactly as it came; numbers are ids of some providers."""
    value = record.get(name)
    if isinstance(value, Decimal) and value.is_finite() and value == value.to_integral_value():
        value = f"{value:f}"
    if not isinstance(value, str) or isinstance(value, NonFinite) or not value:
        raise Malformed(f"{name} is not an id: {shown(value)}")
    if not value.isprintable() or len(value) > KEY_CHARS_MAX:
        raise Malformed(f"{name} cannot be an id: {shown(value)}")
    return value


def decimal_or_none(record: Record, name: str) -> Decimal | None:
    """A number, or a text that is one; exact, finite and not longer than we store."""
    value = record.get(name)
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    if isinstance(value, str) and not isinstance(value, NonFinite):
        if not _NUMBER.fullmatch(value.strip()):
            raise Malformed(f"{name} is not a number: {shown(value)}")
        value = Decimal(value.strip())
    if not isinstance(value, Decimal):
        raise Malformed(f"{name} is not a number: {shown(value)}")
    try:
        return storable(value)
    except (ValueError, InvalidOperation) as fault:
        raise Malformed(f"{name}: {fault}: {shown(value)}") from None


def decimal(record: Record, name: str) -> Decimal:
    return _required(decimal_or_none(record, name), name)


def money(record: Record, name: str, of: Currency) -> Money:
    return Money(decimal(record, name), of)


def money_or_none(record: Record, name: str, of: Currency) -> Money | None:
    amount = decimal_or_none(record, name)
    return None if amount is None else Money(amount, of)


def currency_of(record: Record, name: str) -> Currency:
    """Of a currency or crypto asset that we know; miles and points are none."""
    said = text(record, name).upper()
    try:
        return currency(said)
    except ValueError:
        raise Malformed(f"{name} is no currency that we know: {shown(said)}") from None


def day_or_none(record: Record, name: str) -> date | None:
    """A calendar date, YYYY-MM-DD, as the institution wrote it."""
    value = record.get(name)
    if value is None or value == "":
        return None
    if not isinstance(value, str) or not _DAY.fullmatch(value):
        raise Malformed(f"{name} is not a date: {shown(value)}")
    try:
        found = date.fromisoformat(value)
    except ValueError:
        raise Malformed(f"{name} is not a date of the calendar: {shown(value)}") from None
    if not YEAR_MIN <= found.year <= YEAR_MAX:
        raise Malformed(f"{name} is not between {YEAR_MIN} and {YEAR_MAX}: {shown(value)}")
    return found


def day(record: Record, name: str) -> date:
    return _required(day_or_none(record, name), name)


def instant(record: Record, name: str) -> datetime:
    """An ISO 8601 time with its offset, in UTC."""
    said = text(record, name)
    try:
        found = datetime.fromisoformat(said)
        if found.tzinfo is None:
            raise Malformed(f"{name} has no offset from UTC: {shown(said)}")
        found = found.astimezone(UTC)
    except (ValueError, OverflowError) as fault:
        if isinstance(fault, Malformed):
            raise
        raise Malformed(f"{name} is not a time: {shown(said)}") from None
    if not YEAR_MIN <= found.year <= YEAR_MAX:
        raise Malformed(f"{name} is not between {YEAR_MIN} and {YEAR_MAX}: {shown(said)}")
    return found


def choice(record: Record, name: str, known: Mapping[str, T]) -> T:
    """What the provider's word means in ours."""
    said = text(record, name)
    if said not in known:
        raise Malformed(f"{name} is none of those we know: {shown(said)}")
    return known[said]


def inner_or_none(record: Record, name: str) -> Record | None:
    value = record.get(name)
    return None if value is None else as_record(value, name)


def as_record(value: object, name: str) -> Record:
    if not isinstance(value, Mapping):
        raise Malformed(f"{name} is not an object: {shown(value)}")
    return value


def record_of(answer: object, provider: str) -> Record:
    """A whole answer that ought to be an object. Raises ProviderUnavailable."""
    if not isinstance(answer, Mapping):
        raise ProviderUnavailable(
            f"{named(provider)} did not answer with an object", provider=provider
        )
    return answer


def list_of(answer: object, provider: str) -> list[object]:
    """A whole answer that ought to be a list. Raises ProviderUnavailable."""
    if not isinstance(answer, list):
        raise ProviderUnavailable(
            f"{named(provider)} did not answer with a list", provider=provider
        )
    return answer


def rows_of(answer: Record, name: str, provider: str) -> list[object]:
    """A list that an answer ought to have. Raises ProviderUnavailable."""
    found = answer.get(name)
    if not isinstance(found, list):
        raise ProviderUnavailable(f"{named(provider)} answered without {name}", provider=provider)
    return found


@contextmanager
def reading_answer(provider: str) -> Iterator[None]:
    """For what an answer is as a whole, such as where it goes on: Malformed in here is
    ProviderUnavailable."""
    try:
        yield
    except Malformed as fault:
        raise ProviderUnavailable(
            f"{named(provider)} answered with what cannot be read: {fault.reason}",
            provider=provider,
        ) from fault


def read_rows(
    rows: Iterable[object],
    read: Callable[[Record], T],
    *,
    scope: SyncScope,
    account: Callable[[Record], str | None] | str | None = None,
    number: str | None = None,
) -> tuple[list[T], list[Unreadable]]:
    """Each row read, or kept as it came with the reason; `account` tells whose a row is.

    Of account numbers in fields called `number` only the end is kept.
    """
    found: list[T] = []
    unreadable: list[Unreadable] = []
    for row in rows:
        try:
            found.append(read(as_record(row, "the record")))
        except Malformed as fault:
            whose = account
            if callable(whose):
                whose = whose(row) if isinstance(row, Mapping) else None
            unreadable.append(
                unread(row, fault.reason, scope=scope, account_key=whose, number=number)
            )
    return found, unreadable


def unread(
    row: object,
    reason: str,
    *,
    scope: SyncScope,
    account_key: str | None = None,
    number: str | None = None,
) -> Unreadable:
    """A row as it came, but of the account numbers in fields `number`, however deep, the end."""
    numbers: set[str] = set()
    kept = row if number is None else _masked(row, number, numbers)
    for whole in numbers:
        reason = reason.replace(whole, masked(whole))
    return Unreadable(scope=scope, reason=reason, raw=raw_text(kept), account_key=account_key)


def _masked(value: object, name: str, found: set[str]) -> object:
    """It, with the fields called `name` masked, which are added to those `found`."""
    if isinstance(value, list):
        return [_masked(each, name, found) for each in value]
    if not isinstance(value, Mapping):
        return value
    kept = {key: _masked(inner, name, found) for key, inner in value.items()}
    if whole := value.get(name):
        found.add(str(whole))
        kept[name] = masked(str(whole))
    return kept


def _required(value: T | None, name: str) -> T:
    if value is None:
        raise Malformed(f"{name} is missing")
    return value
