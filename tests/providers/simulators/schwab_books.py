"""What a customer has at Schwab, and how Schwab writes it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from itertools import count
from typing import Any

from adapters.providers.kit import raw_text

Record = dict[str, Any]
USD: Record = {
    "assetType": "CURRENCY",
    "status": "ACTIVE",
    "symbol": "CURRENCY_USD",
    "description": "USD currency",
    "instrumentId": 1,
    "closingPrice": 0,
}


def equity(symbol: str, name: str | None = None, **said: Any) -> Record:
    known = {"assetType": "EQUITY", "symbol": symbol, "description": name or f"{symbol} INC"}
    return {**known, "instrumentId": sum(symbol.encode()), **said}


def option(underlying: str, expires: str, side: str, strike: int, **said: Any) -> Record:
    """`expires` as YYMMDD."""
    long = "Call" if side == "C" else "Put"
    day = f"{expires[2:4]}/{expires[4:]}/20{expires[:2]}"
    return {
        "assetType": "OPTION",
        "cusip": f"0{underlying}.{expires[:2]}",
        "symbol": f"{underlying:<6}{expires}{side}{strike * 1000:08d}",
        "description": f"{underlying} INC {day} ${strike} {long}",
        "type": "VANILLA",
        "putCall": long.upper(),
        "underlyingSymbol": underlying,
        **said,
    }


def position(
    instrument: Record, quantity: str, average: str, value: str, *, per: int = 1
) -> Record:
    """A negative quantity is short; `per` is what of the underlying is in one contract."""
    number, worth = Decimal(quantity), Decimal(value)
    cost = number * Decimal(average) * per
    side, other = ("long", "short") if number > 0 else ("short", "long")
    return {
        f"{other}Quantity": Decimal(0),
        f"{side}Quantity": abs(number),
        "averagePrice": Decimal(average),
        "marketValue": worth,
        f"{side}OpenProfitLoss": worth - cost,
        "currentDayProfitLoss": Decimal("-3.30"),
        "settledLongQuantity": max(number, Decimal(0)),
        "settledShortQuantity": min(number, Decimal(0)),
        "instrument": instrument,
    }


def fee(kind: str | None, charged: str) -> Record:
    item = {"instrument": USD, "amount": Decimal(charged), "cost": -Decimal(charged)}
    return item if kind is None else {**item, "feeType": kind}


def paid(amount: str) -> Record:
    return {"instrument": USD, "amount": Decimal(amount), "cost": Decimal(0)}


def leg(
    instrument: Record, quantity: str, price: str, *, cost: str, effect: str | None = None
) -> Record:
    item = {
        "instrument": {"status": "ACTIVE", **instrument},
        "amount": Decimal(quantity),
        "cost": Decimal(cost),
        "price": Decimal(price),
    }
    return item if effect is None else {**item, "positionEffect": effect}


@dataclass(eq=False)
class Books:
    """One account. `cash` is what it is told to have, `debit` what was borrowed on margin, negative;
    the total is Schwab's own, so that it comes to cash and positions."""

    number: str
    hash: str
    type: str = "MARGIN"
    nickname: str | None = None
    cash: Decimal = Decimal("10000.00")
    debit: Decimal = Decimal(0)
    positions: list[Record] = field(default_factory=list)
    entries: list[Record] = field(default_factory=list)
    balances: Mapping[str, Decimal] | None = None  # instead of those that follow
    _ids: "count[int]" = field(default_factory=lambda: count(91_176_753_938))
    _written: dict[int, str] = field(default_factory=dict)

    @property
    def total(self) -> Decimal:
        worth: Decimal = sum((p["marketValue"] for p in self.positions), Decimal(0))
        return self.cash + self.debit + worth

    def told(self) -> Record:
        """As /accounts has it."""
        balances = self.balances or {
            "accruedInterest": Decimal("0.0"),
            "cashBalance": self.cash,
            "marginBalance": self.debit,
            "shortBalance": Decimal("0.0"),
            "liquidationValue": self.total,
            "availableFunds": self.cash,
        }
        return {
            "securitiesAccount": {
                "type": self.type,
                "accountNumber": self.number,
                "roundTrips": 0,
                "isDayTrader": False,
                "isClosingOnlyRestricted": False,
                "pfcbFlag": False,
                "positions": self.positions,
                "initialBalances": {"cashBalance": self.cash, "accountValue": self.total},
                "currentBalances": balances,
                "projectedBalances": {"availableFunds": self.cash},
            },
            "aggregatedBalance": {
                "currentLiquidationValue": self.total,
                "liquidationValue": self.total,
            },
        }

    def enter(
        self,
        type: str,
        at: datetime,
        net: str,
        *items: Record,
        description: str | None = None,
        status: str = "VALID",
        **said: Any,
    ) -> Record:
        """One activity, entered then, with its trade's day in the same form."""
        when = at.astimezone(UTC)
        entry: Record = {
            "activityId": next(self._ids),
            "time": f"{when:%Y-%m-%dT%H:%M:%S}+0000",
            "accountNumber": self.number,
            "type": type,
            "status": status,
            "subAccount": self.type,
            "tradeDate": f"{when:%Y-%m-%dT%H:%M:%S}+0000",
            "netAmount": Decimal(net),
            "transferItems": list(items),
            **said,
        }
        if description is not None:
            entry["description"] = description
        self.entries.append(entry)
        return entry

    def trade(
        self,
        at: datetime,
        instrument: Record,
        quantity: str,
        price: str,
        *fees: Record,
        effect: str = "OPENING",
        per: int = 1,
        **said: Any,
    ) -> Record:
        cost = -Decimal(quantity) * Decimal(price) * per
        net = cost + sum(f["cost"] for f in fees)
        item = leg(instrument, quantity, price, cost=str(cost), effect=effect)
        return self.enter("TRADE", at, str(net), *fees, item, **said)

    def within(self, begins: datetime, ends: datetime, types: Sequence[str]) -> list[Record]:
        """Newest first, as they come."""
        kept = [
            entry
            for entry in self.entries
            if entry["type"] in types and begins <= datetime.fromisoformat(entry["time"]) <= ends
        ]
        return sorted(kept, key=lambda entry: entry["time"], reverse=True)

    def written(self, entries: Sequence[Record]) -> str:
        """As JSON; what was written once is kept, for it is long."""
        for entry in entries:
            if entry["activityId"] not in self._written or entry["status"] == "PENDING":
                self._written[entry["activityId"]] = raw_text(entry)
        return f"[{', '.join(self._written[e['activityId']] for e in entries)}]"

    def settle(self, entry: Record, *, renumbered: bool = False) -> None:
        self._written.pop(entry["activityId"], None)
        entry["status"] = "VALID"
        if renumbered:
            entry["activityId"] = next(self._ids)


ESH25 = {
    "assetType": "OPTION",
    "symbol": "/ESH25_P5050:XCME",
    "description": "/ESH25 Mar 21 2025 5050.0 Put",
    "instrumentId": 215626295,
    "expirationDate": "2025-03-21T04:00:00+0000",
    "optionDeliverables": [{"rootSymbol": "/ESH25:XCME", "deliverableUnits": 1}],
    "optionPremiumMultiplier": 50,
    "putCall": "PUT",
    "strikePrice": 5050,
    "type": "VANILLA",
    "underlyingSymbol": ".ESH25:XCME",
}
SWEEP = {
    "assetType": "CASH_EQUIVALENT",
    "type": "SWEEP_VEHICLE",
    "symbol": "MMDA1",
    "description": "Schwab Bank Sweep",
}
FUND = {
    "assetType": "COLLECTIVE_INVESTMENT",
    "type": "EXCHANGE_TRADED_FUND",
    "symbol": "SCHD",
    "cusip": "808524797",
    "description": "SCHWAB US DIVIDEND EQUITY ETF",
}
BOND = {
    "assetType": "FIXED_INCOME",
    "symbol": "912828Z37",
    "cusip": "912828Z37",
    "description": "US TREASURY NOTE 0.125% 01/15/2030",
    "maturityDate": "2030-01-15T00:00:00.000+00:00",
    "factor": 1,
}


def household(at: datetime) -> list[Books]:
    """A margin account with options, a short sale and a debit, and an IRA with a sweep: 400 days of
    trades, payments and income."""
    margin = Books("71234567", "A1" * 32, nickname="Trading", cash=Decimal("1520.11"))
    margin.debit = Decimal("-4000.00")
    put, call = option("META", "270115", "P", 510), option("TSLA", "270115", "C", 340)
    apple = equity("AAPL", "APPLE INC", cusip="037833100")
    margin.positions = [
        position(apple, "33", "150.3333", "7577.13"),
        position(equity("GME"), "-20", "24.50", "-470.00"),
        position(put, "1", "1.7466", "44.50", per=100),
        position(call, "-2", "6.2832", "-880.00", per=100),
        position({**ESH25, "description": "/ESH27 Mar 19 2027 5050.0 Put"}, "1", "21", "587.5",
                 per=50),
    ]  # fmt: skip
    ira = Books("87654321", "B2" * 32, type="CASH", nickname="Contributory")
    ira.cash = Decimal("2500.00")
    ira.positions = [
        position(FUND, "120.5", "70.11", "3374.00"),
        position(BOND, "10000", "98.5", "9712.50"),
    ]
    ira.positions[1].pop("longOpenProfitLoss")
    _live(margin, ira, at, apple, put)
    return [margin, ira]


def _live(margin: Books, ira: Books, at: datetime, apple: Record, put: Record) -> None:
    def ago(days: float) -> datetime:
        return at - timedelta(days=days)

    margin.enter("ACH_RECEIPT", ago(399), "5000.00", paid("5000"), description="MoneyLink Deposit")
    for n in range(13):
        fees = (fee("SEC_FEE", "0.02"), fee("TAF_FEE", "0"))
        margin.trade(ago(395 - 30 * n), apple, "3", "150.10", orderId=1_000 + n)
        margin.trade(
            ago(390 - 30 * n), apple, "-1", "151.25", *fees, effect="CLOSING", orderId=2_000 + n
        )
        margin.enter("DIVIDEND_OR_INTEREST", ago(385 - 30 * n), "7.92", paid("7.92"),
                     description="Qualified Dividend APPLE INC")  # fmt: skip
        ira.enter("DIVIDEND_OR_INTEREST", ago(384 - 30 * n), "1.07", paid("1.07"),
                  description="SCHWAB1 INT 05/30-06/26")  # fmt: skip
    margin.trade(ago(40), put, "1", "1.74", fee("COMMISSION", "0.65"), fee(None, "0.01"), per=100)
    margin.trade(ago(39), equity("GME"), "-20", "24.50", orderId=3_001)
    margin.enter("DIVIDEND_OR_INTEREST", ago(33), "-21.40", paid("-21.40"),
                 description="MARGIN INTEREST CHARGED")  # fmt: skip
    margin.enter("WIRE_OUT", ago(20), "-1000.00", paid("-1000"), description="Wired Funds")
    margin.enter("JOURNAL", ago(19), "-25.00", paid("-25"), description="SERVICE FEE")
    ira.enter("RECEIVE_AND_DELIVER", ago(18), "0",
              leg(FUND, "20.5", "0", cost="0"), description="TRANSFER OF SECURITIES")  # fmt: skip
    ira.enter("JOURNAL", ago(17), "250.00", paid("250"), description="Journaled Funds")
    margin.trade(ago(0.2), apple, "1", "229.60", orderId=4_001, status="PENDING")
