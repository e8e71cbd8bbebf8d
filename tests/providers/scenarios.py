"""Twelve things that happen to money, and what every provider has to make of them.

All on DAY, in USD; XYZ is a share. A provider says each in its own words and signs; what we make of
it is the same for all: money in is positive, out negative, a sold quantity and a commission too.

scene          what happened                                                             cash effect
PURCHASE       a card, or an account, paid a shop 25.40                                       -25.40
PAYMENT        300.00 arrived on the card to pay it off                                      +300.00
REFUND         a shop gave 25.40 back                                                         +25.40
DEPOSIT        1500.00 came in                                                              +1500.00
FEE            the institution took 35.00                                                     -35.00
INTEREST       it paid 1.23 of interest                                                        +1.23
DIVIDEND       XYZ paid 12.50                                                                 +12.50
BUY            10 XYZ at 100.00, and a commission of 1.00                                   -1001.00
SELL           10 XYZ at 110.00, and a commission of 1.00                                   +1099.00
SHORT          10 XYZ sold short at 50.00, then bought back at 45.00               +500.00, -450.00
OPTION         2 contracts of calls on XYZ (strike 105.00, until 2026-06-19) at 1.50         -300.00
CRYPTO         0.123456789012345678 BTC at 50000.00; what is paid is rounded to the cent    -6172.84
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import ClassVar

import pytest

from domain.money import Currency
from domain.securities import AssetType
from domain.sync import Page, ReceivedTransaction
from domain.transactions import TransactionSubtype as S
from domain.transactions import TransactionType

DAY = date(2026, 3, 2)
COINS = Decimal("0.123456789012345678")


class Scene(Enum):
    PURCHASE = "PURCHASE"
    PAYMENT = "PAYMENT"
    REFUND = "REFUND"
    DEPOSIT = "DEPOSIT"
    FEE = "FEE"
    INTEREST = "INTEREST"
    DIVIDEND = "DIVIDEND"
    BUY = "BUY"
    SELL = "SELL"
    SHORT = "SHORT"
    OPTION = "OPTION"
    CRYPTO = "CRYPTO"


@dataclass(frozen=True, kw_only=True)
class Row:
    """One row of ours. A trade is exactly its subtype; of the rest `subtypes` are those that a
    provider may know, and OTHER is for one that says no more than an amount."""

    cash: str
    subtypes: frozenset[S]
    symbol: str | None = None
    quantity: Decimal | None = None
    price: str | None = None
    commission: str | None = None
    asset_type: AssetType | None = None
    multiplier: int = 1


def _row(cash: str, *subtypes: S, **facts: object) -> Row:
    return Row(cash=cash, subtypes=frozenset(subtypes), **facts)  # type: ignore[arg-type]


def _trade(cash: str, subtype: S, quantity: str, price: str, **facts: object) -> Row:
    said: dict[str, object] = {"symbol": "XYZ", **facts}
    return _row(cash, subtype, quantity=Decimal(quantity), price=price, **said)


MEANS: Mapping[Scene, Sequence[Row]] = {
    Scene.PURCHASE: [_row("-25.40", S.PURCHASE, S.OTHER)],
    Scene.PAYMENT: [
        _row("300.00", S.BILL_PAYMENT, S.DEPOSIT, S.ACH_IN, S.INTERNAL, S.OTHER)
    ],
    Scene.REFUND: [_row("25.40", S.REFUND, S.OTHER)],
    Scene.DEPOSIT: [_row("1500.00", S.DEPOSIT, S.ACH_IN, S.WIRE_IN, S.OTHER)],
    Scene.FEE: [_row("-35.00", S.ACCOUNT_FEE, S.OTHER)],
    Scene.INTEREST: [_row("1.23", S.INTEREST, S.OTHER)],
    Scene.DIVIDEND: [_row("12.50", S.DIVIDEND, symbol="XYZ")],
    Scene.BUY: [_trade("-1001.00", S.BUY, "10", "100.00", commission="-1.00")],
    Scene.SELL: [_trade("1099.00", S.SELL, "-10", "110.00", commission="-1.00")],
    Scene.SHORT: [
        _trade("500.00", S.SHORT_SELL, "-10", "50.00"),
        _trade("-450.00", S.BUY_TO_COVER, "10", "45.00"),
    ],
    Scene.OPTION: [
        _trade(
            "-300.00", S.BUY, "2", "1.50", symbol=None, asset_type=AssetType.OPTION, multiplier=100
        )
    ],
    Scene.CRYPTO: [
        _trade(
            "-6172.84", S.BUY, str(COINS), "50000.00", symbol="BTC",
            asset_type=AssetType.CRYPTOCURRENCY,
        )
    ],
}  # fmt: skip


class Scenarios:
    """Subclass it, for each provider; pytest then asks for each scene.

    `unsaid` names the scenes that the provider has no words for, each with why; `told` is a pull in
    which its simulator says this one, with whatever accounts that takes, and no other transaction.
    """

    unsaid: ClassVar[Mapping[Scene, str]] = {}

    async def told(self, scene: Scene) -> Sequence[Page]:
        raise AssertionError(f"nobody said how {scene} is said")

    @pytest.mark.parametrize("scene", Scene, ids=lambda scene: scene.value)
    async def test_it_means_the_same_at_every_provider(self, scene: Scene) -> None:
        if scene in self.unsaid:
            assert len(self.unsaid[scene].split()) > 2, f"{scene} is left out without a reason"
            return
        pages = await self.told(scene)
        rows = [row for page in pages for row in page.transactions]
        assert not [u.reason for page in pages for u in page.unreadable]
        assert {row.date for row in rows} == {DAY}
        assert {row.amount.currency for row in rows} == {Currency("USD")}
        expected = MEANS[scene]
        assert sum(row.amount.amount for row in rows) == sum(Decimal(r.cash) for r in expected)
        # Of a provider that books it by itself, a commission is a row of its own.
        fees = [row for row in rows if row.subtype.type is TransactionType.FEE]
        rows = [row for row in rows if row not in fees or scene is Scene.FEE]
        assert len(rows) == len(expected)
        for row, meant in zip(sorted(rows, key=_sold_first), expected, strict=True):
            _check(row, meant, fees)


def _sold_first(row: ReceivedTransaction) -> bool:
    return row.subtype is not S.SHORT_SELL


def _check(row: ReceivedTransaction, meant: Row, fees: Sequence[ReceivedTransaction]) -> None:
    assert row.subtype in meant.subtypes
    cash = Decimal(meant.cash)
    if meant.commission is not None:
        charged = row.commission or (fees[0].amount if fees else None)
        assert charged is not None
        assert charged.amount == Decimal(meant.commission)
        cash -= 0 if row.commission else Decimal(meant.commission)
    assert row.amount.amount == cash
    if meant.quantity is None:
        assert row.quantity is None or meant.symbol is not None
    else:
        assert row.quantity == meant.quantity
    if meant.price is not None:
        assert row.unit_price is not None
        assert row.unit_price.amount == Decimal(meant.price)
    security = row.security
    if meant.symbol is not None:
        assert security is not None
        assert (security.symbol or "").startswith(meant.symbol)
    if meant.asset_type is not None:
        assert security is not None
        assert security.asset_type is meant.asset_type
        assert security.multiplier == meant.multiplier
    if meant.asset_type is AssetType.OPTION:
        assert security is not None
        assert security.option is not None
        assert security.option.underlying == "XYZ"
        assert security.option.strike.amount == 105
        assert security.option.expires_on == date(2026, 6, 19)
