"""What became of a simulated account at Alpaca: a bit of everything, over fourteen months."""

from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal

from adapters.providers.alpaca import Alpaca
from adapters.providers.configuration import Client
from domain.providers import Budgets
from domain.sync import PullRequest, SyncScope
from tests.providers.fakes import Clock
from tests.providers.simulators.alpaca import (
    CLIENT_ID,
    CLIENT_SECRET,
    LIVE_KEY,
    SECRET,
    AlpacaSimulator,
)
from tests.providers.simulators.alpaca_books import NEW_YORK, Books

AT = datetime(2026, 3, 17, 15, 30, tzinfo=UTC)
COINS = "0.123456789012345678"
CALL, PUT, EXPIRED = "ACME260619C00105000", "ACME260619P00090000", "ACME260116C00120000"


def in_new_york(day: date, hour: int, minute: int = 0) -> datetime:
    return datetime(day.year, day.month, day.day, hour, minute, tzinfo=NEW_YORK)


def lived(books: Books) -> None:
    """A live account with shares, a short position, options and coins."""
    start = date(2025, 1, 6)
    books.enter("CSD", start, "50000", description="Deposit")
    books.enter("JNLC", start + timedelta(days=1), "25.5", description="Promotion")
    for n in range(60):
        day = start + timedelta(days=2 + 7 * n)
        books.fill("buy", "ACME", "1.5", str(Decimal(100) + n % 7), in_new_york(day, 10, n))
    books.fill("buy", "ACME", "3", "104", in_new_york(date(2025, 6, 2), 11), leaves="2")
    books.fill("buy", "ACME", "2", "104.5", in_new_york(date(2025, 6, 2), 11, 1))
    books.fill("sell_short", "ZORK", "40", "25", in_new_york(date(2025, 7, 1), 15, 59))
    books.fill("buy", CALL, "2", "1.5", in_new_york(date(2026, 1, 5), 10))
    books.fill("sell_short", PUT, "1", "2.25", in_new_york(date(2026, 1, 5), 10, 1))
    books.fill("buy", EXPIRED, "1", "0.4", in_new_york(date(2026, 1, 6), 10))
    books.enter("OPEXP", date(2026, 1, 16), qty="-1", symbol=EXPIRED, description="Option Expiry")
    books.fill("buy", "BTC/USD", COINS, "50000", in_new_york(date(2026, 2, 1), 23, 30))
    books.enter(
        "CFEE", date(2026, 2, 1), qty="-0.000308641972530864", symbol="BTCUSD", price="50000"
    )
    books.enter("DIV", date(2025, 9, 15), "12.5", symbol="ACME", qty="25", per_share_amount="0.5")
    books.enter("DIVNRA", date(2025, 9, 15), "-3.75", symbol="ACME")
    books.enter("INT", date(2025, 10, 31), "1.23", description="Interest on cash")
    books.enter("INT", date(2025, 11, 28), "-4.56", description="Margin interest")
    books.enter("FEE", date(2026, 1, 5), "-0.06", description="REG fee")
    books.enter("CSW", date(2026, 2, 10), "-1000")
    books.enter("SSP", date(2026, 2, 20), qty="40", symbol="WIDG", price="5")
    books.enter("NEWTYPE", date(2026, 3, 2), "-0.5", description="Something new")


def a_simulator(at: datetime = AT) -> AlpacaSimulator:
    sim = AlpacaSimulator(now=lambda: at)
    lived(sim.live)
    return sim


def a_client(sim: AlpacaSimulator) -> Client:
    return Client(base_url=sim.url, id=CLIENT_ID, secret=CLIENT_SECRET)


def in_process(
    sim: AlpacaSimulator, clock: Clock | None = None, *, budgets: Budgets | None = None
) -> Alpaca:
    outside = sim.inside(clock or Clock())
    if budgets is not None:
        outside = replace(outside, budgets=budgets)
    return Alpaca(outside, a_client(sim))


def a_request(sim: AlpacaSimulator, **said: object) -> PullRequest:
    credentials = {
        "api_key": LIVE_KEY,
        "api_secret": SECRET,
        "environment": "live",
        "account": sim.live.id,
    }
    request = PullRequest(credentials=credentials, scopes=frozenset(SyncScope), at=AT)
    return PullRequest(**{**_values(request), **said})  # type: ignore[arg-type]


def _values(request: PullRequest) -> dict[str, object]:
    return {name: getattr(request, name) for name in PullRequest.__slots__}
