"""The sandbox's ledger: accounts, what is held in them, and what was entered day by day."""

from dataclasses import dataclass, field
from datetime import date, timedelta

from adapters.providers.sandbox.market import ASSETS, Contract, Market, value

Held = str | Contract


@dataclass(slots=True)
class Position:
    """`units` of 1e-8 each; `cost` in cents, negative for a short position."""

    units: int
    cost: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """`amount` and `commission` in cents, `units` of 1e-8, `price` in cents."""

    id: str
    day: date
    kind: str
    amount: int
    text: str
    pending: bool = False
    merchant: str | None = None
    category: str | None = None
    settles: date | None = None
    held: Held | None = None
    units: int | None = None
    price: int | None = None
    commission: int | None = None
    replaces: str | None = None


@dataclass(slots=True, kw_only=True)
class Ledger:
    """One account's books. `cash` is what it is worth without its positions, in cents."""

    key: str
    name: str
    kind: str
    cash: int = 0
    limit: int | None = None
    positions: dict[Held, Position] = field(default_factory=dict)
    entries: list[Entry] = field(default_factory=list)
    history: list[tuple[date, int, int]] = field(default_factory=list)  # day, cash, positions
    voided: list[tuple[date, str]] = field(default_factory=list)
    _numbered: tuple[date, int] = (date.min, 0)

    def next_id(self, day: date) -> str:
        """The account, the day and the number within it: the same whenever it is told again."""
        number = self._numbered[1] + 1 if self._numbered[0] == day else 1
        self._numbered = (day, number)
        return f"{self.key}-{day:%Y%m%d}-{number}"

    def enter(
        self,
        day: date,
        kind: str,
        amount: int,
        text: str,
        *,
        merchant: str | None = None,
        category: str | None = None,
        replaces: str | None = None,
        held: Held | None = None,
    ) -> None:
        self.cash += amount
        self.entries.append(
            Entry(
                id=self.next_id(day),
                day=day,
                kind=kind,
                amount=amount,
                text=text,
                merchant=merchant,
                category=category,
                settles=day,
                replaces=replaces,
                held=held,
            )
        )

    def trade(
        self, day: date, kind: str, held: Held, units: int, price: int, *, fee: int = 0
    ) -> None:
        """Buy, or with negative `units` sell; cash and cost follow."""
        gross = value(held, units, price)
        amount = -gross - fee
        self.cash += amount
        self._hold(held, units, -amount)
        name = _name(held)
        self.entries.append(
            Entry(
                id=self.next_id(day),
                day=day,
                kind=kind,
                amount=amount,
                text=f"{kind.replace('_', ' ').upper()} {name}",
                category="Investments",
                settles=business_day_after(day),
                held=held,
                units=units,
                price=price,
                commission=-fee if fee else None,
            )
        )

    def close_day(self, day: date, market: Market) -> None:
        worth = sum(market.value(held, p.units, day) for held, p in self.positions.items())
        self.history.append((day, self.cash, worth))

    def _hold(self, held: Held, units: int, cost: int) -> None:
        """Adding raises the cost by what was paid; reducing takes the same share of it away."""
        position = self.positions.setdefault(held, Position(0, 0))
        before = position.units
        position.units += units
        if position.units == 0:
            del self.positions[held]
        elif before == 0 or (before > 0) == (units > 0):
            position.cost += cost
        else:
            position.cost = position.cost * position.units // before


def _name(held: Held) -> str:
    if isinstance(held, Contract):
        strike = f"{held.strike // 100}.{held.strike % 100:02d}"
        return f"{held.underlying} {held.expires:%m/%d/%Y} {strike} C"
    return ASSETS[held].name.upper()


def business_day_after(day: date) -> date:
    return day + timedelta(days={4: 3, 5: 2}.get(day.weekday(), 1))


def is_due(day: date, of_month: int) -> bool:
    """The first weekday from that day of the month on; `of_month` is 26 at most."""
    late = day.day - of_month
    return (day.weekday() < 5 and late == 0) or (day.weekday() == 0 and late in (1, 2))
