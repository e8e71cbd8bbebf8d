"""What the sandbox's institution has to tell on one day, as the records that it sends.

Its own conventions, which the adapter has to translate: a debt is a positive `balance` of an
account with `owed`, words are lower case, numbers are JSON numbers, quantities are text.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date
from decimal import Decimal
from functools import lru_cache

from adapters.providers.sandbox import hostile, many
from adapters.providers.sandbox.books import Entry, Held, Ledger, Position
from adapters.providers.sandbox.dice import Dice
from adapters.providers.sandbox.household import DAYS, Household
from adapters.providers.sandbox.market import (
    ASSETS,
    CONTRACT,
    Contract,
    Market,
    cents,
    shares,
    value,
)

Row = dict[str, object]

INSTITUTION = "Sandbox Financial"
SCENARIOS = ("default", "large", "empty", "flaky", "down", "expired", "hostile")
WORLDS_MAX = 6  # kept in memory
_OWED = ("credit_card", "mortgage")


@dataclass(frozen=True, slots=True, kw_only=True)
class World:
    """Transactions and balances oldest first; `voided` are what an account's holds were."""

    accounts: list[object] = field(default_factory=list)
    balances: list[object] = field(default_factory=list)
    holdings: Mapping[str, list[object]] = field(default_factory=dict)
    transactions: Mapping[str, list[object]] = field(default_factory=dict)
    voided: Mapping[str, list[tuple[str, str]]] = field(default_factory=dict)  # day, id


@lru_cache(maxsize=WORLDS_MAX)
def world(scenario: str, seed: str, day: date) -> World:
    """The same for the same scenario, seed and day."""
    if scenario == "empty":
        return World()
    if scenario == "large":
        ledgers, market = many.ledgers(seed, day)
    else:
        household = Household(seed, day).lived()
        ledgers, market = household.ledgers, household.market
    told = _told(scenario, seed, day, ledgers, market)
    if scenario == "hostile":
        hostile.spoil(told.accounts, told.balances, told.holdings, told.transactions, day)
    return told


def _told(scenario: str, seed: str, day: date, ledgers: list[Ledger], market: Market) -> World:
    first = day.toordinal() - DAYS
    balances: list[object] = []
    for ledger in ledgers:
        past = (p for p in ledger.history if first <= p[0].toordinal() < day.toordinal())
        balances += [_balance(ledger, *point) for point in past]
    return World(
        accounts=[_account(scenario, seed, day, n, one) for n, one in enumerate(ledgers)],
        balances=balances,
        holdings={
            one.key: [_holding(one, held, p, day, market) for held, p in one.positions.items()]
            for one in ledgers
            if one.positions
        },
        transactions={
            one.key: [_transaction(one, e) for e in one.entries if e.day.toordinal() > first]
            for one in ledgers
        },
        voided={
            one.key: [(d.isoformat(), id) for d, id in one.voided if d < day]
            for one in ledgers
            if one.voided
        },
    )


def _account(scenario: str, seed: str, day: date, number: int, ledger: Ledger) -> Row:
    dice = Dice(scenario, seed, "number", number)
    _, cash, worth = ledger.history[-1]
    owed = ledger.kind in _OWED
    balance = cash + worth
    pending = sum(e.amount for e in ledger.entries if e.pending)
    available = cash + pending
    if ledger.limit is not None:
        available += ledger.limit
    return {
        "object": "account",
        "id": ledger.key,
        "institution": INSTITUTION,
        "name": ledger.name,
        "kind": ledger.kind,
        "number": f"{dice.between(10_000, 99_999)}{dice.between(10, 99)}{number:03d}",
        "currency": "USD",
        "owed": owed,
        "balance": cents(-balance if owed else balance),
        "available": None if ledger.kind == "mortgage" else cents(available),
        "limit": None if ledger.limit is None else cents(ledger.limit),
        "cash": cents(cash) if ledger.positions else None,
        "as_of": f"{day.isoformat()}T00:00:00+00:00",
    }


def _balance(ledger: Ledger, day: date, cash: int, worth: int) -> Row:
    invested = bool(ledger.positions)
    owed = ledger.kind in _OWED
    return {
        "object": "balance",
        "account_id": ledger.key,
        "currency": "USD",
        "day": day.isoformat(),
        "owed": owed,
        "balance": cents(-cash if owed else cash + worth),
        "positions": cents(worth) if invested else None,
        "cash": cents(cash) if invested else None,
    }


def _holding(ledger: Ledger, held: Held, position: Position, day: date, market: Market) -> Row:
    price = market.quote(held, day)
    # The cost on the scale on which the price is quoted: a share's, or percent of par.
    average = Decimal(position.cost * 10**8) / value(held, position.units, 10**10)
    return {
        "object": "holding",
        "account_id": ledger.key,
        "currency": "USD",
        "security": _security(held),
        "quantity": shares(position.units),
        "price": cents(price),
        "value": cents(value(held, position.units, price)),
        "cost_basis": cents(position.cost),
        "average_price": average.quantize(Decimal("0.0001")),
        "as_of": f"{day.isoformat()}T00:00:00+00:00",
    }


def _transaction(ledger: Ledger, entry: Entry) -> Row:
    row: Row = {
        "object": "transaction",
        "id": entry.id,
        "account_id": ledger.key,
        "type": entry.kind,
        "status": "pending" if entry.pending else "settled",
        "date": entry.day.isoformat(),
        "amount": cents(entry.amount),
        "currency": "USD",
        "description": entry.text,
    }
    if entry.merchant is not None:
        row["merchant"] = entry.merchant
    if entry.category is not None:
        row["category"] = entry.category
    if entry.settles is not None:
        row["settles_on"] = entry.settles.isoformat()
    if entry.replaces is not None:
        row["replaces"] = entry.replaces
    if entry.held is not None:
        row["security"] = _security(entry.held)
    if entry.units is not None and entry.price is not None:
        row["quantity"] = shares(entry.units)
        row["unit_price"] = cents(entry.price)
    if entry.commission is not None:
        row["commission"] = cents(entry.commission)
    return row


@lru_cache(maxsize=1_024)
def _security(held: Held) -> Row:
    if isinstance(held, Contract):
        strike = cents(held.strike)
        return {
            "name": f"{held.underlying} {held.expires:%b %d %Y} {strike} Call",
            "kind": "option",
            "symbol": held.symbol,
            "currency": "USD",
            "multiplier": CONTRACT,
            "option": {
                "underlying": held.underlying,
                "side": "call",
                "strike": strike,
                "expires_on": held.expires.isoformat(),
            },
        }
    asset = ASSETS[held]
    return {
        "name": asset.name,
        "kind": asset.kind,
        "symbol": None if asset.kind == "bond" else asset.symbol,
        "isin": asset.isin,
        "cusip": asset.cusip,
        "currency": "USD",
    }
