"""Holdings."""

from collections.abc import Sequence

from sqlalchemy import select

from adapters.postgres.securities import BESIDE, security_of
from adapters.postgres.tables import holdings as t
from adapters.postgres.values import amount, currency_of, money
from adapters.postgres.writing import ME, Row, Values, Writing, among
from domain.accounts import AccountId
from domain.holdings import Holding, HoldingId
from domain.merging import Merge
from domain.money import Currency, Money
from domain.securities import Security

HOLDINGS = (
    select(*(c for c in t.holdings.c if c.name != "user_id"), *BESIDE)
    .join(
        t.securities,
        (t.securities.c.user_id == t.holdings.c.user_id)
        & (t.securities.c.id == t.holdings.c.security_id),
    )
    .where(t.holdings.c.user_id == ME, among(t.holdings.c.account_id, "accounts"))
    .order_by(t.holdings.c.id)
)


class Holdings:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def of_accounts(self, accounts: Sequence[AccountId]) -> Sequence[Holding]:
        if not accounts:
            return []
        rows = await self._db.rows(HOLDINGS, accounts=accounts)
        return [holding_of(row, security_of(row, "s_")) for row in rows]

    async def write(self, merge: Merge[Holding]) -> None:
        await self._db.write(t.holdings, merge, holding_values)

    async def delete(self, ids: Sequence[HoldingId]) -> None:
        await self._db.bury(t.holdings, "holding", ids)


def holding_of(row: Row, security: Security) -> Holding:
    return Holding(
        id=row["id"],
        account_id=row["account_id"],
        security=security,
        quantity=row["quantity"],
        market_value=Money(row["market_value"], Currency(row["currency"])),
        as_of=row["as_of"],
        market_price=money(row["market_price"], row["price_currency"]),
        average_price=money(row["average_price"], row["price_currency"]),
        cost_basis=money(row["cost_basis"], row["cost_currency"]),
        is_active=row["is_active"],
        data_version=row["data_version"],
    )


def holding_values(holding: Holding) -> Values:
    price_currency = currency_of(holding.market_price, holding.average_price)
    return {
        "id": holding.id,
        "account_id": holding.account_id,
        "security_id": holding.security.id,
        "is_short": holding.quantity < 0,
        "quantity": holding.quantity,
        "currency": holding.market_value.currency,
        "market_value": holding.market_value.amount,
        "market_price": amount(holding.market_price, price_currency),
        "average_price": amount(holding.average_price, price_currency),
        "price_currency": price_currency,
        "cost_basis": holding.cost_basis.amount if holding.cost_basis else None,
        "cost_currency": currency_of(holding.cost_basis),
        "as_of": holding.as_of,
        "is_active": holding.is_active,
    }
