"""Securities, by themselves and as a part of what refers to them."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from adapters.postgres.reads.statements import Statements
from domain.money import Money
from domain.securities import AssetType, OptionSide, OptionTerms, Security, SecurityId

COLUMNS = """s.id, s.name, s.symbol, s.asset_type, s.currency, s.isin, s.cusip, s.figi, s.key,
    s.multiplier, s.option_underlying, s.option_side, s.option_strike, s.option_currency,
    s.option_expires_on"""
BY_ID = f"""
SELECT {COLUMNS} FROM securities AS s WHERE s.user_id = $1 AND s.id = ANY($2::uuid[])
ORDER BY s.sort_key, s.id"""

ASSET_TYPES = dict(AssetType.__members__)
SIDES = dict(OptionSide.__members__)


class SecurityReads(Statements):
    async def securities_by_id(self, ids: Sequence[SecurityId]) -> list[Security]:
        """By symbol, or name where there is none, then id."""
        if not ids:
            return []
        return [security_of(row) for row in await self.fetch(BY_ID, self._viewer, ids)]


class SecuritiesOfRows:
    """The securities that rows end with, each made once, however many rows have it."""

    def __init__(self) -> None:
        self._made: dict[UUID, Security] = {}

    def of(self, columns: Sequence[Any]) -> Security | None:
        """`columns` are COLUMNS; None where there is none."""
        id = columns[0]
        if id is None:
            return None
        return self._made.get(id) or self._made.setdefault(id, security_of(columns))


def security_of(columns: Sequence[Any]) -> Security:
    id, name, symbol, asset_type, currency, isin, cusip, figi, key, multiplier, *option = columns
    return Security(
        id=id,
        name=name,
        symbol=symbol,
        asset_type=ASSET_TYPES[asset_type],
        currency=currency,
        isin=isin,
        cusip=cusip,
        figi=figi,
        key=key,
        multiplier=multiplier,
        option=_option_of(*option),
    )


def _option_of(
    underlying: str | None, side: str | None, strike: Any, currency: Any, expires_on: Any
) -> OptionTerms | None:
    if underlying is None or side is None:
        return None
    return OptionTerms(
        underlying=underlying,
        side=SIDES[side],
        strike=Money(strike, currency),
        expires_on=expires_on,
    )
