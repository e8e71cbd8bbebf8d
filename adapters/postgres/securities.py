"""Securities; they are few, and are read whole."""

from collections.abc import Iterable, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import select

from adapters.postgres.tables import holdings as t
from adapters.postgres.values import money
from adapters.postgres.writing import ME, Row, Values, Writing, among
from domain.merging import Merge
from domain.money import Currency
from domain.securities import AssetType, OptionSide, OptionTerms, Security, SecurityId

HIDDEN = ("user_id", "sort_key", "data_version")
COLUMNS = [c for c in t.securities.c if c.name not in HIDDEN]
ALL = select(*COLUMNS).where(t.securities.c.user_id == ME).order_by(t.securities.c.id)
BY_ID = ALL.where(among(t.securities.c.id, "ids"))

# Beside another table's columns, which have the same names.
BESIDE = [c.label(f"s_{c.name}") for c in COLUMNS]


class Securities:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def all(self) -> Sequence[Security]:
        return [security_of(row) for row in await self._db.rows(ALL)]

    async def write(self, merge: Merge[Security]) -> None:
        await self._db.write(t.securities, merge, _values)


async def securities_by_id(db: Writing, ids: Iterable[UUID]) -> dict[UUID, Security]:
    wanted = sorted(set(ids))
    if not wanted:
        return {}
    return {row["id"]: security_of(row) for row in await db.rows(BY_ID, ids=wanted)}


def security_of(row: Row, prefix: str = "") -> Security:
    def of(column: str) -> Any:
        return row[prefix + column]

    option = None
    strike = money(of("option_strike"), of("option_currency"))
    if strike is not None:
        option = OptionTerms(
            underlying=of("option_underlying"),
            side=OptionSide[of("option_side")],
            strike=strike,
            expires_on=of("option_expires_on"),
        )
    return Security(
        id=SecurityId(of("id")),
        name=of("name"),
        asset_type=AssetType[of("asset_type")],
        currency=Currency(of("currency")),
        symbol=of("symbol"),
        isin=of("isin"),
        cusip=of("cusip"),
        figi=of("figi"),
        multiplier=of("multiplier"),
        option=option,
        key=of("key"),
    )


def _values(security: Security) -> Values:
    option = security.option
    return {
        "id": security.id,
        "name": security.name,
        "symbol": security.symbol,
        "asset_type": security.asset_type.name,
        "currency": security.currency,
        "isin": security.isin,
        "cusip": security.cusip,
        "figi": security.figi,
        "key": security.key,
        "multiplier": security.multiplier,
        "option_underlying": option.underlying if option else None,
        "option_side": option.side.name if option else None,
        "option_strike": option.strike.amount if option else None,
        "option_currency": option.strike.currency if option else None,
        "option_expires_on": option.expires_on if option else None,
    }
