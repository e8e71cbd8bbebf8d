"""Holdings: how much of a security an account holds, and what it is worth."""

from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import NewType
from uuid import UUID

from domain.accounts import AccountId
from domain.money import Money, percent
from domain.securities import AssetType, Security

HoldingId = NewType("HoldingId", UUID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Holding:
    """`quantity`, `market_value` and `cost_basis` are negative for a short position."""

    id: HoldingId
    account_id: AccountId
    security: Security
    quantity: Decimal
    market_value: Money
    as_of: datetime
    market_price: Money | None = None
    average_price: Money | None = None
    cost_basis: Money | None = None
    is_active: bool = True
    data_version: int = 0

    @property
    def unrealized_gain(self) -> Money | None:
        """Value less cost: for a short position the proceeds less what buying back costs."""
        if self.cost_basis is None or self.cost_basis.currency != self.market_value.currency:
            return None
        return self.market_value - self.cost_basis

    @property
    def unrealized_gain_percent(self) -> Decimal | None:
        gain = self.unrealized_gain
        if gain is None or self.cost_basis is None:
            return None
        return percent(gain.amount, self.cost_basis.amount)


@dataclass(frozen=True, slots=True, kw_only=True)
class HoldingFilter:
    """None does not restrict; an empty tuple matches nothing. `symbol` is compared whole, whatever
    the case. Hashable, so that pages that ask the same can be counted together."""

    account_ids: tuple[AccountId, ...] | None = None
    asset_types: tuple[AssetType, ...] | None = None
    symbol: str | None = None
    include_closed: bool = False


@dataclass(frozen=True, slots=True)
class HoldingKey:
    """Where a page of holdings begins: after this symbol and id."""

    symbol: str
    id: UUID
