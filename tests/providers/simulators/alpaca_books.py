"""The books of one simulated account at Alpaca: entries, what they leave, and how they are told."""

from bisect import bisect_left, bisect_right, insort
from collections.abc import Iterator
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, time, timedelta
from decimal import Decimal
from uuid import NAMESPACE_DNS, UUID, uuid5
from zoneinfo import ZoneInfo

NEW_YORK = ZoneInfo("America/New_York")
BELL = time(9, 30)  # in New York
ZERO = Decimal(0)
CENT = Decimal("0.01")
EXCHANGES = {"crypto": "CRYPTO", "us_option": "", "us_equity": "NASDAQ"}


@dataclass(order=True)
class Entry:
    """An activity. It is told from `entered_at` on, in the order of its id; what it did to cash
    and units counts from its day on."""

    id: str
    row: dict[str, str] = field(compare=False)
    entered_at: datetime = field(compare=False)
    day: date = field(compare=False)
    cash: Decimal = field(compare=False, default=ZERO)
    units: Decimal = field(compare=False, default=ZERO)
    price: Decimal | None = field(compare=False, default=None)

    @property
    def is_paid(self) -> bool:
        """Shares of a split are not."""
        return not self.row["activity_type"].startswith("S")


@dataclass
class Held:
    units: Decimal = ZERO
    paid: Decimal = ZERO  # for all of it, its multiplier included
    price: Decimal = ZERO


@dataclass
class Left:
    """Cash and what is held, after some entries."""

    cash: Decimal = ZERO
    held: dict[str, Held] = field(default_factory=dict)

    @property
    def equity(self) -> Decimal:
        worth = sum((_value(symbol, one) for symbol, one in self.held.items()), self.cash)
        return worth.quantize(CENT)

    def take(self, entry: Entry) -> None:
        self.cash += entry.cash
        if "symbol" not in entry.row or not entry.units:
            return
        symbol = entry.row["symbol"].replace("/", "")
        one = self.held.setdefault(symbol, Held())
        if entry.price is not None:
            one.price = entry.price
        after = one.units + entry.units
        if not after or (one.units and (one.units > 0) != (after > 0)):
            one.paid = after * one.price * _multiplier(symbol)
        elif abs(after) < abs(one.units):
            one.paid *= after / one.units
        elif entry.is_paid:
            one.paid += entry.units * one.price * _multiplier(symbol)
        one.units = after


@dataclass
class Books:
    """One account. Everything that is said of it follows from its entries."""

    number: str
    opened_at: datetime
    currency: str = "USD"
    entries: list[Entry] = field(default_factory=list)

    @property
    def id(self) -> str:
        return str(uuid5(NAMESPACE_DNS, self.number))

    # ── what happens ────────────────────────────────────────────────────────

    def fill(
        self,
        side: str,
        symbol: str,
        qty: str,
        price: str,
        at: datetime,
        *,
        leaves: str = "0",
        entered_at: datetime | None = None,
    ) -> Entry:
        """An execution of an order, or of a part of it."""
        units = Decimal(qty) if side.startswith("buy") else -Decimal(qty)
        worth = units * Decimal(price) * _multiplier(symbol)
        row = {
            "activity_type": "FILL",
            "transaction_time": at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "type": "partial_fill" if Decimal(leaves) else "fill",
            "price": price,
            "qty": qty,
            "side": side,
            "symbol": symbol,
            "leaves_qty": leaves,
            "order_id": str(self._uuid("order")),
            "cum_qty": qty,
            "order_status": "partially_filled" if Decimal(leaves) else "filled",
        }
        local = at.astimezone(NEW_YORK)
        stamp = f"{local:%Y%m%d%H%M%S}{local.microsecond // 1000:03}"
        return self._enter(
            row, stamp, entered_at or at, local.date(), -worth, units, Decimal(price)
        )

    def enter(
        self,
        kind: str,
        day: date,
        net: str = "0",
        *,
        entered_at: datetime | None = None,
        **said: str,
    ) -> Entry:
        """Anything else. Alpaca makes its id of the day alone, whenever it is entered."""
        row = {
            "activity_type": kind,
            "date": str(day),
            "net_amount": net,
            "description": "",
            "status": "executed",
            **said,
        }
        at = entered_at or datetime.combine(day, time(9), NEW_YORK)
        moves = not kind.startswith("DIV")
        return self._enter(
            row,
            f"{day:%Y%m%d}000000000",
            at,
            day,
            Decimal(net) if row["status"] != "canceled" else ZERO,
            Decimal(said["qty"]) if moves and "qty" in said else ZERO,
            Decimal(said["price"]) if "price" in said else None,
        )

    def _enter(
        self,
        row: dict[str, str],
        stamp: str,
        at: datetime,
        day: date,
        cash: Decimal,
        units: Decimal,
        price: Decimal | None,
    ) -> Entry:
        id = f"{stamp}::{self._uuid('activity')}"
        entry = Entry(id, {"id": id, **row}, at.astimezone(UTC), day, cash, units, price)
        insort(self.entries, entry)
        return entry

    def _uuid(self, what: str) -> UUID:
        return uuid5(NAMESPACE_DNS, f"{self.number} {what} {len(self.entries)}")

    # ── what is told ────────────────────────────────────────────────────────

    def activities(
        self, at: datetime, *, after: str = "", before: str = "~", newest_first: bool = False
    ) -> Iterator[dict[str, str]]:
        """Those whose id is between these two, which are not told themselves."""
        first = bisect_right(self.entries, after, key=_id)
        last = bisect_left(self.entries, before, key=_id)
        order = range(last - 1, first - 1, -1) if newest_first else range(first, last)
        known = (self.entries[n] for n in order)
        return (entry.row for entry in known if entry.entered_at <= at)

    def positions(self, at: datetime) -> list[dict[str, object]]:
        held = self._left(at).held
        return [self._position(symbol, one) for symbol, one in held.items() if one.units]

    def account(self, at: datetime) -> dict[str, object]:
        left = self._left(at)
        cash = left.cash.quantize(CENT)
        values = [_value(symbol, one) for symbol, one in left.held.items()]
        long, short = sum(v for v in values if v > 0), sum(v for v in values if v < 0)
        equity = _plain(cash + long + short)
        return {
            "id": self.id,
            "account_number": self.number,
            "status": "ACTIVE",
            "crypto_status": "ACTIVE",
            "currency": self.currency,
            "cash": _plain(cash),
            "portfolio_value": equity,
            "equity": equity,
            "last_equity": equity,
            "long_market_value": _plain(Decimal(long)),
            "short_market_value": _plain(Decimal(short)),
            "non_marginable_buying_power": _plain(max(cash, ZERO)),
            "buying_power": _plain(max(cash, ZERO) * 4),
            "multiplier": "4",
            "created_at": self.opened_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "shorting_enabled": True,
            "pattern_day_trader": False,
            "trading_blocked": False,
            "account_blocked": False,
        }

    def equities(self, since: date, until: date, at: datetime) -> Iterator[tuple[int, Decimal]]:
        """Of each business day from before the opening on, when there was nothing yet."""
        entries = iter([*self.entries, None])
        coming, left = next(entries), Left()
        for n in range((until - since).days + 1):
            day = since + timedelta(days=n)
            while coming is not None and coming.day <= day:  # an id begins with its day
                if coming.entered_at <= at:
                    left.take(coming)
                coming = next(entries)
            if day.weekday() < 5:
                opens = datetime.combine(day, BELL, NEW_YORK)
                yield int(opens.timestamp()), left.equity

    def _left(self, at: datetime) -> "Left":
        """What is there after all that was entered by then."""
        left = Left()
        for entry in self.entries:
            if entry.entered_at <= at:
                left.take(entry)
        return left

    def _position(self, symbol: str, held: Held) -> dict[str, object]:
        """A short one has its signs, as Alpaca tells it."""
        value, asset_class = _value(symbol, held), _class(symbol)
        average = held.paid / held.units / _multiplier(symbol)
        gain = value - held.paid
        return {
            "asset_id": str(uuid5(NAMESPACE_DNS, symbol)),
            "symbol": symbol,
            "exchange": EXCHANGES[asset_class],
            "asset_class": asset_class,
            "asset_marginable": False,
            "qty": _plain(held.units),
            "qty_available": _plain(held.units),
            "avg_entry_price": _plain(average.quantize(Decimal("0.000001"))),
            "side": "short" if held.units < 0 else "long",
            "market_value": _plain(value),
            "cost_basis": _plain(held.paid.quantize(CENT)),
            "unrealized_pl": _plain(gain),
            "unrealized_plpc": "0",
            "unrealized_intraday_pl": "0",
            "unrealized_intraday_plpc": "0",
            "current_price": _plain(held.price),
            "lastday_price": _plain(held.price),
            "change_today": "0",
        }


def _id(entry: Entry) -> str:
    return entry.id


def _class(symbol: str) -> str:
    if len(symbol) > 15:
        return "us_option"
    return "crypto" if len(symbol) > 5 and symbol.endswith(("USD", "USDT")) else "us_equity"


def _multiplier(symbol: str) -> int:
    return 100 if _class(symbol) == "us_option" else 1


def _value(symbol: str, held: Held) -> Decimal:
    return (held.units * held.price * _multiplier(symbol)).quantize(CENT)


def _plain(number: Decimal) -> str:
    return f"{number.normalize():f}" if number else "0"
