"""Strict scalars: what they print is what they take, and nothing else."""

import re
from collections.abc import Callable
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any, NewType, Protocol, runtime_checkable

import strawberry
from graphql import GraphQLError, StringValueNode, ValueNode

from domain.money import Currency, currency

DECIMAL = re.compile(r"-?(0|[1-9][0-9]{0,27})(\.[0-9]{1,28})?")
INSTANT = re.compile(
    r"\d{4}-\d\d-\d\d[Tt]([01]\d|2[0-3]):[0-5]\d:[0-5]\d(\.\d{1,6})?([Zz]|[+-]\d\d:\d\d)",
    re.ASCII,
)
DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)
CODE = re.compile(r"[A-Z0-9]{2,12}")


@runtime_checkable
class UploadedFile(Protocol):
    """A file of a multipart request; what its client says of it is not to be believed."""

    @property
    def filename(self) -> str: ...
    @property
    def content_type(self) -> str: ...
    @property
    def content(self) -> bytes: ...


Upload = NewType("Upload", object)  # in a scalar map, the name by which it is found


def _strict(
    pattern: re.Pattern[str], form: str, make: Callable[[str], Any]
) -> Callable[[object], Any]:
    def parse(value: object) -> Any:
        if not isinstance(value, str) or not pattern.fullmatch(value):
            raise GraphQLError(f"expected a string such as {form}")
        try:
            return make(value)
        except (ValueError, OverflowError):
            raise GraphQLError(f"there is no such value; expected one such as {form}") from None

    return parse


def _literal(parse: Callable[[object], Any]) -> Callable[..., Any]:
    """Only a string is taken: not the bare word that an enum's value would be, nor a number."""

    def parse_literal(node: ValueNode, _: object = None) -> Any:
        try:
            return parse(node.value if isinstance(node, StringValueNode) else None)
        except GraphQLError as error:
            raise GraphQLError(error.message, node) from None  # with its place in the document

    return parse_literal


def decimal(value: Decimal) -> str:
    if not value.is_finite():
        raise ValueError("not a finite number")
    return format(value or value.copy_abs(), "f")  # no negative zero


def instant(value: datetime) -> str:
    if value.tzinfo is None:
        raise ValueError("an instant has a zone")
    return value.astimezone(UTC).isoformat().replace("+00:00", "Z")


def _utc(value: str) -> datetime:
    return datetime.fromisoformat(value.upper()).astimezone(UTC)


def _file(value: object) -> UploadedFile:
    if not isinstance(value, UploadedFile):
        raise GraphQLError("a file comes as a part of a multipart/form-data request")
    return value


def _no_output(_: object) -> str:
    raise TypeError("a file is never an output")


def _scalar(
    name: str, description: str, serialize: Callable[[Any], str], parse: Callable[[object], Any]
) -> Any:
    return strawberry.scalar(
        name=name,
        description=description,
        serialize=serialize,
        parse_value=parse,
        parse_literal=_literal(parse),
    )


SCALARS: dict[object, Any] = {
    Decimal: _scalar(
        "Decimal",
        "An exact decimal number as a string, such as 1234.56: at most 28 digits before and after "
        "the point, never a float, never an exponent.",
        decimal,
        _strict(DECIMAL, '"1234.56"', Decimal),
    ),
    datetime: _scalar(
        "DateTime",
        "An instant in UTC by RFC 3339, such as 2026-11-21T20:59:00Z. Other offsets are taken and "
        "converted.",
        instant,
        _strict(INSTANT, '"2026-11-21T20:59:00Z"', _utc),
    ),
    date: _scalar(
        "Date",
        "A calendar date by ISO 8601, such as 2026-11-21.",
        date.isoformat,
        _strict(DAY, '"2026-11-21"', date.fromisoformat),
    ),
    Currency: _scalar(
        "Currency",
        "An ISO 4217 currency code, or the code of a crypto asset, in upper case.",
        str,
        _strict(CODE, '"USD"', currency),
    ),
    Upload: _scalar(
        "Upload",
        "A file, by the GraphQL multipart request specification.",
        _no_output,
        _file,
    ),
}
