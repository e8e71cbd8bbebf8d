"""The currency of one record, where it is not its statement's."""

from dataclasses import dataclass
from decimal import Decimal

from adapters.ofx.errors import Illegible
from adapters.ofx.tree import Node


@dataclass(frozen=True, slots=True, kw_only=True)
class CurrencyOf:
    """The currency of a record's amounts.

    `rate` is units of the statement's currency for one of `symbol`. `converted` is true for
    ORIGCURRENCY: amounts were already converted into the statement's currency; false for
    CURRENCY: they are in `symbol`.
    """

    symbol: str
    rate: Decimal | None
    converted: bool


def currency_of(*nodes: Node) -> CurrencyOf | None:
    """What the first of these aggregates that names a currency says.

    Raises:
        Illegible: the aggregate is there without a symbol.
    """
    for node in nodes:
        for tag, converted in (("CURRENCY", False), ("ORIGCURRENCY", True)):
            if symbol := node.text(tag):  # some banks write it as a leaf
                return CurrencyOf(symbol=symbol.upper(), rate=None, converted=converted)
            if (found := node.kid(tag)) is None or not found.leaves:
                continue
            symbol = found.text("CURSYM")
            if symbol is None:
                raise Illegible(f"{tag}: CURSYM is missing")
            rate = found.decimal("CURRATE")
            return CurrencyOf(symbol=symbol.upper(), rate=rate, converted=converted)
    return None
