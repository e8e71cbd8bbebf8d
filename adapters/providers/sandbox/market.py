"""The sandbox's market: what can be held, and a price for every day, computed from the day alone.

Prices are whole cents, quantities whole units of 1e-8. A price swings around its base in three
waves, so that it is known for any day without walking there from another.
"""

from dataclasses import dataclass
from datetime import date, timedelta
from decimal import Decimal
from functools import lru_cache

from adapters.providers.sandbox.dice import Dice, half_even

UNIT = 10**8
CONTRACT = 100
_WAVES = ((97, 60), (29, 30), (7, 10))  # days, and share of the swing in percent


@dataclass(frozen=True, slots=True, kw_only=True)
class Asset:
    """`base` is in cents (of percent of par for a bond), `swing` in basis points.

    `dividend` is cents a share each quarter; `isin` of a US security holds its CUSIP.
    """

    symbol: str
    name: str
    kind: str
    base: int
    swing: int
    isin: str | None = None
    dividend: int = 0

    @property
    def cusip(self) -> str | None:
        return self.isin[2:11] if self.isin else None


@dataclass(frozen=True, slots=True)
class Contract:
    """A call on `underlying`; `strike` in cents."""

    underlying: str
    strike: int
    expires: date

    @property
    def symbol(self) -> str:
        """As the Options Clearing Corporation writes it: six for the root, eight for the strike."""
        return f"{self.underlying:<6}{self.expires:%y%m%d}C{self.strike * 10:08d}"


def _assets(*rows: tuple[str, str, str, int, int, str | None, int]) -> dict[str, Asset]:
    return {
        symbol: Asset(
            symbol=symbol,
            name=name,
            kind=kind,
            base=base,
            swing=swing,
            isin=isin,
            dividend=dividend,
        )
        for symbol, name, kind, base, swing, isin, dividend in rows
    }


ASSETS = _assets(
    ("AAPL", "Apple Inc.", "equity", 212_40, 2200, "US0378331005", 26),
    ("MSFT", "Microsoft Corporation", "equity", 428_10, 1900, "US5949181045", 83),
    ("NVDA", "NVIDIA Corporation", "equity", 128_75, 3200, "US67066G1040", 1),
    ("AMZN", "Amazon.com, Inc.", "equity", 196_30, 2400, "US0231351067", 0),
    ("JNJ", "Johnson & Johnson", "equity", 158_20, 1100, "US4781601046", 124),
    ("KO", "The Coca-Cola Company", "equity", 67_85, 900, "US1912161007", 51),
    ("JPM", "JPMorgan Chase & Co.", "equity", 231_60, 1700, "US46625H1005", 140),
    ("COST", "Costco Wholesale Corporation", "equity", 905_15, 1500, "US22160K1051", 116),
    ("TSLA", "Tesla, Inc.", "equity", 264_90, 3500, "US88160R1014", 0),
    ("V", "Visa Inc.", "equity", 289_45, 1300, "US92826C8394", 59),
    ("PG", "The Procter & Gamble Company", "equity", 167_30, 900, "US7427181091", 101),
    ("XOM", "Exxon Mobil Corporation", "equity", 114_25, 1600, "US30231G1022", 99),
    ("VTI", "Vanguard Total Stock Market ETF", "etf", 284_70, 1200, "US9229087690", 94),
    ("VXUS", "Vanguard Total International Stock ETF", "etf", 63_95, 1100, "US9219097683", 38),
    ("SCHD", "Schwab U.S. Dividend Equity ETF", "etf", 28_15, 900, "US8085247976", 25),
    ("QQQ", "Invesco QQQ Trust", "etf", 489_55, 1600, "US46090E1038", 72),
    ("BND", "Vanguard Total Bond Market ETF", "etf", 73_60, 350, "US9219378356", 67),
    ("VNQ", "Vanguard Real Estate ETF", "etf", 90_35, 1200, "US9229085538", 83),
    ("GLD", "SPDR Gold Shares", "etf", 241_80, 1400, "US78463V1070", 0),
    ("FXAIX", "Fidelity 500 Index Fund", "mutual_fund", 201_35, 1200, "US3159117502", 62),
    ("VTSAX", "Vanguard Total Stock Market Index Fund", "mutual_fund", 138_20, 1200,
     "US9229087286", 44),
    ("T 4.75 11/53", "United States Treasury 4.75% 11/15/2053", "bond", 98_60, 600,
     "US912810TV08", 0),
    ("BTC", "Bitcoin", "crypto", 64_850_00, 3800, None, 0),
    ("ETH", "Ether", "crypto", 3_120_00, 4200, None, 0),
)  # fmt: skip
BOND, COUPON_BASIS_POINTS = "T 4.75 11/53", 475


class Market:
    """Prices as one seed has them."""

    def __init__(self, seed: str) -> None:
        self._seed = seed
        self._level = lru_cache(maxsize=50_000)(self._drawn)
        self.price = lru_cache(maxsize=50_000)(self._price)

    def option_price(self, contract: Contract, day: date) -> int:
        """Intrinsic value and what time is left, in cents a share; 5 at least."""
        spot = self.price(contract.underlying, day)
        left = max((contract.expires - day).days, 0)
        return max(spot - contract.strike, 0) + half_even(spot * left, 5_000) + 5

    def value(self, holding: "str | Contract", units: int, day: date) -> int:
        """Cents, rounded half-even; negative for a short position."""
        price = self.quote(holding, day)
        return value(holding, units, price)

    def quote(self, holding: "str | Contract", day: date) -> int:
        if isinstance(holding, Contract):
            return self.option_price(holding, day)
        return self.price(holding, day)

    def _price(self, symbol: str, day: date) -> int:
        asset = ASSETS[symbol]
        if asset.kind != "crypto":
            day -= timedelta(days=max(day.weekday() - 4, 0))  # the market's last day
        number = day.toordinal()
        swing = 0
        for days, share in _WAVES:
            at, into = divmod(number, days)
            here, there = self._level(symbol, days, at), self._level(symbol, days, at + 1)
            swing += asset.swing * share * (here * (days - into) + there * into) // days
        return max(half_even(asset.base * (100 * 10_000 * 1_000 + swing), 100 * 10_000 * 1_000), 1)

    def _drawn(self, symbol: str, days: int, at: int) -> int:
        """Thousandths of the wave's height, up or down."""
        return Dice(self._seed, symbol, days, at).between(-1_000, 1_000)


def value(holding: str | Contract, units: int, price: int) -> int:
    """Cents of `units` (1e-8 each) at `price`: an option's is a share's, a bond's is percent."""
    if isinstance(holding, Contract):
        return half_even(units * price * CONTRACT, UNIT)
    if ASSETS[holding].kind == "bond":
        return half_even(units * price, UNIT * 100)
    return half_even(units * price, UNIT)


def third_friday(year: int, month: int) -> date:
    first = date(year, month, 1)
    return first + timedelta(days=(4 - first.weekday()) % 7 + 14)


def cents(amount: int) -> Decimal:
    return Decimal(amount).scaleb(-2)


def shares(units: int) -> str:
    """Without an exponent, and without the zeros that nobody writes."""
    return f"{Decimal(units).scaleb(-8).normalize():f}"
