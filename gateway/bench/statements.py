"""Statements as they go from the gateway's recording to the raw handler's process."""

from datetime import date, datetime
from typing import TypeAlias

import msgspec


class Viewer(msgspec.Struct, tag=True, frozen=True):
    """The argument is who asks."""


class Accounts(msgspec.Struct, tag=True, frozen=True):
    """The argument are the ids of the accounts that the first statement found."""


class Whole(msgspec.Struct, tag=True, frozen=True):
    value: int


class Instant(msgspec.Struct, tag=True, frozen=True):
    value: datetime


class Day(msgspec.Struct, tag=True, frozen=True):
    value: date


Argument: TypeAlias = Viewer | Accounts | Whole | Instant | Day


class Statement(msgspec.Struct, frozen=True):
    sql: str
    arguments: list[Argument]


Recorded: TypeAlias = dict[str, list[Statement]]
ENCODED = msgspec.json.Decoder(Recorded)
