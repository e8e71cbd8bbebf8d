"""The two investment accounts of the sandbox's household: what they hold, and how they trade."""

from datetime import date

from adapters.providers.sandbox.books import Held, Ledger, Position, is_due
from adapters.providers.sandbox.dice import Dice, half_even
from adapters.providers.sandbox.market import (
    ASSETS,
    BOND,
    COUPON_BASIS_POINTS,
    UNIT,
    Contract,
    Market,
    third_friday,
)

CASH_KEPT, IDLE_CASH, IRA_IDLE_CASH = 250_00, 9_000_00, 3_000_00
CONTRACTS, CONTRACT_FEE = 2, 1_30
BORROWING_BASIS_POINTS = 225
SWEEP_BASIS_POINTS = 45

# Held when the books opened: symbol, least and most units (whole, but for crypto in 1/1000).
_BROKERAGE = (
    ("AAPL", 60, 90), ("MSFT", 25, 45), ("NVDA", 80, 140), ("AMZN", 30, 60), ("JNJ", 20, 50),
    ("KO", 80, 150), ("JPM", 20, 40), ("COST", 8, 16), ("VTI", 60, 110), ("VXUS", 150, 260),
    ("SCHD", 200, 360),
)  # fmt: skip
_IRA = (
    ("FXAIX", 180, 320), ("VTSAX", 150, 280), ("QQQ", 20, 45), ("BND", 120, 240),
    ("VNQ", 60, 110), ("GLD", 20, 45), ("V", 15, 30), ("PG", 20, 45), ("XOM", 30, 60),
)  # fmt: skip
_COINS = (("BTC", 150, 400), ("ETH", 1_500, 4_000))
_SHORT, _SHORT_UNITS, _SHORT_STEP = "TSLA", -20, 5
_BOND_PAR = 10_000
_BOUGHT_IN_TURN = ("AAPL", "JNJ", "KO", "JPM", "SCHD", "VXUS")
_IRA_IN_TURN = ("FXAIX", "BND", "VTSAX", "VNQ")


class Investor:
    def __init__(self, seed: str, market: Market) -> None:
        self._market = market
        self._dice = Dice(seed, "portfolio")
        self.brokerage = Ledger(
            key="brokerage", name="Individual Brokerage", kind="brokerage", cash=6_420_55
        )
        self.ira = Ledger(key="ira", name="Traditional IRA", kind="ira", cash=1_310_90)

    def open(self, day: date) -> None:
        """Everything is held before the first day that is told, and so has no entry."""
        for ledger, rows in ((self.brokerage, _BROKERAGE), (self.ira, _IRA)):
            for symbol, low, high in rows:
                self._held(ledger, symbol, self._dice.between(low, high) * UNIT, day)
        for symbol, low, high in _COINS:
            self._held(self.brokerage, symbol, self._dice.between(low, high) * UNIT // 1_000, day)
        self._held(self.brokerage, _SHORT, _SHORT_UNITS * UNIT, day)
        self._held(self.brokerage, BOND, _BOND_PAR * UNIT, day)
        self._held(self.brokerage, self._contract(day), CONTRACTS * UNIT, day)

    def live(self, day: date, dice: Dice) -> None:
        if is_due(day, 2):
            self._earn(day)
        if is_due(day, 7):
            self._save(day)
        if day.month % 3 == 0 and is_due(day, 17):
            self._pay_dividends(day)
        if day.month % 3 == 2 and is_due(day, 21):
            symbol = _BOUGHT_IN_TURN[dice.below(len(_BOUGHT_IN_TURN))]
            self._trim(day, symbol, 12)
        if day.month in (1, 7) and is_due(day, 11):
            self._roll(day)
        if day.month in (2, 8) and is_due(day, 12):
            self._short(day)
        if day.month in (5, 11) and is_due(day, 15):
            coupon = half_even(_BOND_PAR * 100 * COUPON_BASIS_POINTS, 20_000)
            self.brokerage.enter(
                day, "interest", coupon, "US TREASURY COUPON", category="Interest", held=BOND
            )
        if day.month == 12 and is_due(day, 14):
            self.ira.enter(day, "account_fee", -25_00, "IRA CUSTODIAL FEE", category="Fees")

    def _held(self, ledger: Ledger, held: Held, units: int, day: date) -> None:
        """At a cost somewhat below or above that day's price."""
        worth = self._market.value(held, units, day)
        ledger.positions[held] = Position(
            units, half_even(worth * self._dice.between(72, 104), 100)
        )

    def _earn(self, day: date) -> None:
        """Interest on idle cash, and the month's price of the borrowed shares."""
        for ledger in (self.brokerage, self.ira):
            interest = half_even(ledger.cash * SWEEP_BASIS_POINTS, 12 * 10_000)
            if interest > 0:
                ledger.enter(day, "interest", interest, "CASH SWEEP INTEREST", category="Interest")
        worth = self._market.value(_SHORT, self.brokerage.positions[_SHORT].units, day)
        fee = half_even(worth * BORROWING_BASIS_POINTS, 12 * 10_000)
        self.brokerage.enter(
            day, "margin_interest", fee, "STOCK BORROW FEE", category="Fees", held=_SHORT
        )

    def _save(self, day: date) -> None:
        """What came in this month is invested, in fractions where the asset has them."""
        number = day.year * 12 + day.month
        idle = max(self.brokerage.cash - IDLE_CASH, 0)
        self._buy(day, self.brokerage, "VTI", 300_00 + idle)
        self._buy(day, self.brokerage, _BOUGHT_IN_TURN[number % len(_BOUGHT_IN_TURN)], 240_00)
        self._buy(day, self.brokerage, "BTC" if number % 2 else "ETH", 50_00, fee=75)
        spare = max(self.ira.cash - IRA_IDLE_CASH, 0)
        self._buy(day, self.ira, _IRA_IN_TURN[number % len(_IRA_IN_TURN)], 390_00 + spare)
        if day.month == 10:
            coins = self.brokerage.positions["BTC"].units // 12
            price = self._market.price("BTC", day)
            self.brokerage.trade(day, "sell", "BTC", -coins, price, fee=1_25)

    def _buy(self, day: date, ledger: Ledger, symbol: str, amount: int, *, fee: int = 0) -> None:
        if ledger.cash < amount + CASH_KEPT:
            return
        price = self._market.price(symbol, day)
        step = 1_000 if ASSETS[symbol].kind == "crypto" else UNIT // 10_000
        units = amount * UNIT // price // step * step
        ledger.trade(day, "buy", symbol, units, price, fee=fee)

    def _trim(self, day: date, symbol: str, percent: int) -> None:
        units = self.brokerage.positions[symbol].units * percent // 100 // UNIT * UNIT
        price = self._market.price(symbol, day)
        self.brokerage.trade(day, "sell", symbol, -units, price, fee=half_even(units, 50 * UNIT))

    def _pay_dividends(self, day: date) -> None:
        for ledger in (self.brokerage, self.ira):
            for held, position in list(ledger.positions.items()):
                each = 0 if isinstance(held, Contract) else ASSETS[held].dividend
                amount = half_even(each * position.units, UNIT)
                if amount and isinstance(held, str):
                    text = f"DIVIDEND {ASSETS[held].name.upper()}"
                    ledger.enter(day, "dividend", amount, text, category="Dividends", held=held)

    def _roll(self, day: date) -> None:
        """The old contracts are sold and those that end later bought."""
        old = next(h for h in self.brokerage.positions if isinstance(h, Contract))
        price = self._market.option_price(old, day)
        units = CONTRACTS * UNIT
        self.brokerage.trade(day, "sell", old, -units, price, fee=CONTRACT_FEE)
        new = self._contract(day)
        price = self._market.option_price(new, day)
        self.brokerage.trade(day, "buy", new, units, price, fee=CONTRACT_FEE)

    def _short(self, day: date) -> None:
        """Part is bought back in winter and sold short again in summer."""
        price = self._market.price(_SHORT, day)
        covering = day.month == 2
        kind, units = ("buy_to_cover", 1) if covering else ("short_sell", -1)
        self.brokerage.trade(day, kind, _SHORT, units * _SHORT_STEP * UNIT, price, fee=1_00)

    def _contract(self, day: date) -> Contract:
        """A call near the money that outlives the next roll."""
        spot = self._market.price("AAPL", day)
        strike = half_even(spot, 5_00) * 5_00
        if day.month < 7:
            return Contract("AAPL", strike, third_friday(day.year, 9))
        return Contract("AAPL", strike, third_friday(day.year + 1, 3))
