"""The default scenario: one household's six accounts, kept day by day since the books opened.

Every day is a function of the seed, its date and the day before, so that what was said of a day
is said again on any later one. All of it is in US dollars, in cents.
"""

from datetime import date, timedelta

from adapters.providers.sandbox import spending
from adapters.providers.sandbox.books import Entry, Ledger, is_due
from adapters.providers.sandbox.dice import Dice, half_even
from adapters.providers.sandbox.investing import Investor
from adapters.providers.sandbox.market import Market

BOOKS_OPEN_YEAR = 2018
DAYS = 365

PAYROLL = 2_984_57
MORTGAGE, MORTGAGE_PAYMENT, MORTGAGE_BASIS_POINTS = 384_000_00, 1_675_54, 325
SAVINGS_BASIS_POINTS = 420
CHECKING_LOW, CHECKING_HIGH, TOP_UP = 1_500_00, 4_000_00, 2_500_00
TO_BROKERAGE, TO_IRA = 600_00, 400_00
CARD_LIMIT = 15_000_00
MOVED = "Transfer"


class Household:
    """`ledgers` in the order in which they are told."""

    def __init__(self, seed: str, day: date) -> None:
        self._seed, self._day = seed, day
        self.market = Market(seed)
        opening = Dice(seed, "opening")
        self.checking = Ledger(
            key="checking",
            name="Everyday Checking",
            kind="checking",
            cash=opening.between(2_000_00, 4_000_00),
        )
        self.savings = Ledger(
            key="savings",
            name="High-Yield Savings",
            kind="savings",
            cash=opening.between(9_000_00, 16_000_00),
        )
        self.card = Ledger(
            key="card", name="Rewards Card", kind="credit_card", cash=-1_240_18, limit=CARD_LIMIT
        )
        self.mortgage = Ledger(
            key="mortgage", name="Home Mortgage", kind="mortgage", cash=-MORTGAGE
        )
        self.investor = Investor(seed, self.market)
        self.ledgers = [
            self.investor.brokerage,
            self.investor.ira,
            self.checking,
            self.savings,
            self.card,
            self.mortgage,
        ]
        self._authorized: list[spending.Purchase] = []

    def lived(self) -> "Household":
        """With everything entered up to the end of its day."""
        day = date(min(BOOKS_OPEN_YEAR, self._day.year - 2), 1, 1)
        self.investor.open(day)
        first_kept = self._day - timedelta(days=DAYS)
        while day <= self._day:
            self._live(day)
            for ledger in self.ledgers:
                if day < first_kept:
                    ledger.entries.clear()
                    ledger.voided.clear()
                else:
                    ledger.close_day(day, self.market)
            day += timedelta(days=1)
        self._tell_pending()
        return self

    def _live(self, day: date) -> None:
        dice = Dice(self._seed, day.toordinal())
        self._bank(day, dice)
        self._owe(day)
        self._spend(day, dice)
        self.investor.live(day, dice)

    def _bank(self, day: date, dice: Dice) -> None:
        checking = self.checking
        if day.weekday() == 4 and day.toordinal() // 7 % 2 == 0:
            checking.enter(
                day,
                "ach_in",
                PAYROLL,
                "ACME ROBOTICS PAYROLL PPD",
                merchant="Acme Robotics",
                category="Income",
            )
        for due, low, high, payee, category in spending.BILLS:
            if is_due(day, due):
                text = f"{payee.upper()} AUTOPAY"
                amount = -dice.between(low, high)
                checking.enter(day, "bill_payment", amount, text, merchant=payee, category=category)
        if day.weekday() == 5 and dice.one_in(2):
            amount = -20_00 * dice.between(2, 8)
            checking.enter(
                day, "withdrawal", amount, "ATM WITHDRAWAL 0417 MAIN ST", category="Cash"
            )
        if day.month % 3 == 0 and is_due(day, 22):
            number = 1_000 + (day.year - 2000) * 4 + day.month // 3
            amount = -dice.between(80_00, 260_00)
            checking.enter(day, "check", amount, f"CHECK {number}", category="Home")
        if is_due(day, 5):
            self._move(day, checking, self.investor.brokerage, TO_BROKERAGE)
        if is_due(day, 6):
            self._move(day, checking, self.investor.ira, TO_IRA)
        if is_due(day, 25) and checking.cash > CHECKING_HIGH:
            self._move(day, checking, self.savings, checking.cash - CHECKING_HIGH)
        if checking.cash < CHECKING_LOW:
            self._move(day, self.savings, checking, TOP_UP)
        if (day + timedelta(days=1)).day == 1:
            interest = half_even(self.savings.cash * SAVINGS_BASIS_POINTS, 12 * 10_000)
            self.savings.enter(day, "interest", interest, "INTEREST PAID", category="Interest")

    def _owe(self, day: date) -> None:
        """The card's and the mortgage's payments, out of checking, and the mortgage's interest."""
        if is_due(day, 20) and self.card.cash < 0:
            self._move(day, self.checking, self.card, -self.card.cash)
        if day.month == 1 and is_due(day, 10):
            self.card.enter(day, "account_fee", -95_00, "ANNUAL MEMBERSHIP FEE", category="Fees")
        owed = -self.mortgage.cash
        if is_due(day, 1) and owed > 0:
            interest = half_even(owed * MORTGAGE_BASIS_POINTS, 12 * 10_000)
            self.mortgage.enter(
                day, "interest", -interest, "INTEREST CHARGED", category="Mortgage interest"
            )
            self._move(day, self.checking, self.mortgage, min(MORTGAGE_PAYMENT, owed + interest))

    def _spend(self, day: date, dice: Dice) -> None:
        """What was authorized yesterday posts today; what is authorized today waits."""
        for purchase in self._authorized:
            self.card.enter(
                day,
                purchase.kind,
                purchase.amount,
                purchase.text,
                merchant=purchase.merchant,
                category=purchase.category,
                replaces=purchase.id,
            )
        self._authorized = spending.authorized(day, dice)
        if spending.is_held(day):
            self.card.voided.append((day, spending.hold_id(day)))

    def _tell_pending(self) -> None:
        for purchase in [*self._authorized, *spending.holds(self._day)]:
            self.card.entries.append(
                Entry(
                    id=purchase.id,
                    day=self._day,
                    kind=purchase.kind,
                    amount=purchase.amount,
                    text=purchase.text,
                    pending=True,
                    merchant=purchase.merchant,
                    category=purchase.category,
                )
            )

    def _move(self, day: date, source: Ledger, target: Ledger, amount: int) -> None:
        source.enter(day, "internal", -amount, f"TRANSFER TO {target.name.upper()}", category=MOVED)
        target.enter(
            day, "internal", amount, f"TRANSFER FROM {source.name.upper()}", category=MOVED
        )
