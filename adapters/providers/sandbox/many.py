"""The scenario `large`: 100 accounts with exactly 100 transactions a year each.

Amounts come in rounds of twenty that add up to nothing, so that a balance of any day is known
without walking there from another.
"""

from datetime import date, timedelta
from functools import lru_cache

from adapters.providers.sandbox.books import Entry, Ledger, Position
from adapters.providers.sandbox.dice import Dice
from adapters.providers.sandbox.market import ASSETS, UNIT, Market

ACCOUNTS = 100
DAYS = 365
ROUND = 20
# 100 entries in any 365 days: entry n falls on day (73 n + offset) // 20.
_NUMERATOR, _DENOMINATOR = 73, 20

# Kind, name, opening cents, the kind and text of nineteen entries, those of the twentieth.
_KINDS = (
    ("checking", "Checking", 5_000_00, -1, "purchase", "CARD PURCHASE", "ach_in", "PAYROLL"),
    ("savings", "Savings", 8_000_00, 1, "deposit", "MOBILE DEPOSIT", "withdrawal", "WITHDRAWAL"),
    ("credit_card", "Card", -300_00, -1, "purchase", "PURCHASE", "internal", "PAYMENT"),
    ("brokerage", "Brokerage", 2_000_00, 1, "dividend", "DIVIDEND", "ach_out", "TRANSFER OUT"),
)
_PATTERN = (0, 0, 0, 0, 1, 1, 1, 2, 2, 3)  # of ten accounts
_SYMBOLS = tuple(s for s, a in ASSETS.items() if a.kind in ("equity", "etf") and a.dividend)


def ledgers(seed: str, day: date) -> tuple[list[Ledger], Market]:
    market = Market(seed)
    return [_ledger(seed, number, day, market) for number in range(ACCOUNTS)], market


def _ledger(seed: str, number: int, day: date, market: Market) -> Ledger:
    of_kind = _PATTERN[number % len(_PATTERN)]
    kind, name, opening, sign, each, text, last, last_text = _KINDS[of_kind]
    ledger = Ledger(
        key=f"{kind}-{number:03d}",
        name=f"{name} {number:03d}",
        kind=kind,
        limit=20_000_00 if kind == "credit_card" else None,
    )
    held = None
    if kind == "brokerage":
        for at in range(5):
            symbol = _SYMBOLS[(number // 10 + at * 3) % len(_SYMBOLS)]
            units = (5 + at * 7 + number) * UNIT
            cost = market.value(symbol, units, date(2020, 1, 2))
            ledger.positions[symbol] = Position(units, cost)
        held = next(iter(ledger.positions))
    begins = day.toordinal() - DAYS + 1
    offset = number * 11 % _NUMERATOR
    first = -((offset - _DENOMINATOR * begins) // _NUMERATOR)  # rounded up
    month_ends = _month_ends(day)
    worth = opening + sign * _before(seed, number, first)
    for n in range(first, first + 100):
        on = date.fromordinal((_NUMERATOR * n + offset) // _DENOMINATOR)
        while month_ends and month_ends[0] < on:
            _record(ledger, month_ends.pop(0), worth, market)
        at = n % ROUND
        closing = at == ROUND - 1
        amounts = _round(seed, number, n // ROUND)
        amount = sign * (-sum(amounts) if closing else amounts[at])
        worth += amount
        ledger.entries.append(
            Entry(
                id=f"{ledger.key}-{n}",
                day=on,
                kind=last if closing else each,
                amount=amount,
                text=f"{last_text if closing else text} {n % 1_000:03d}",
                settles=on,
                held=None if closing else held,
            )
        )
    while month_ends:
        _record(ledger, month_ends.pop(0), worth, market)
    ledger.cash = worth
    _record(ledger, day, worth, market)
    return ledger


def _record(ledger: Ledger, day: date, worth: int, market: Market) -> None:
    ledger.cash = worth
    ledger.close_day(day, market)


def _before(seed: str, number: int, n: int) -> int:
    """What the entries of its round before entry n add up to."""
    return sum(_round(seed, number, n // ROUND)[: n % ROUND])


@lru_cache(maxsize=1_024)
def _round(seed: str, number: int, at: int) -> list[int]:
    dice = Dice(seed, "round", number, at)
    return [dice.between(4_00, 90_00) for _ in range(ROUND - 1)]


def _month_ends(day: date) -> list[date]:
    """Of the year before `day`, oldest first."""
    found: list[date] = []
    last = day.replace(day=1) - timedelta(days=1)
    while last >= day - timedelta(days=DAYS):
        found.append(last)
        last = last.replace(day=1) - timedelta(days=1)
    return found[::-1]
