"""Reconciliation: whether the figures that a provider reports agree with one another.

Three things are compared, each only where a provider reports both sides of it:

* the value of each position with its quantity, price and multiplier;
* of an investment account the reported total with cash and positions;
* of a deposit, credit or loan account each stored balance with the one before it and what was
  settled in between. Pending, failed, cancelled and removed transactions are left out.

Amounts of two currencies are never added up: where that would be needed, a finding says so. What
a provider does not report is not compared; a manual account has nothing to compare.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import date, datetime
from decimal import ROUND_DOWN, Decimal
from enum import StrEnum

from domain.accounts import Account, AccountGroup
from domain.holdings import Holding
from domain.money import DIGITS_MAX, EXACT, Money, minor_digits, total, zero
from domain.securities import AssetType

POSITIONS_MAX = 1_000  # of an account that are compared
FINDINGS_MAX = 50  # of an account that are told
DAYS_MAX = 366  # before and after an account's balance, of which stored ones are compared
SHARE_DIGITS = 4  # to which parts of a share are told at least
HALF, ZERO = Decimal("0.5"), Decimal(0)

# Their value is what was gained on them, or that of another side of the contract.
UNPRICED = (AssetType.FUTURE, AssetType.FOREX, AssetType.INDEX)


class FindingCode(StrEnum):
    HOLDING_VALUE = "HOLDING_VALUE"
    POSITIONS_AND_CASH = "POSITIONS_AND_CASH"
    TRANSACTIONS_AND_BALANCE = "TRANSACTIONS_AND_BALANCE"
    NOT_COMPARABLE = "NOT_COMPARABLE"


@dataclass(frozen=True, slots=True, kw_only=True)
class Finding:
    """`actual` is what is reported, `expected` what the other figures come to; both are None where
    they cannot be compared."""

    code: FindingCode
    message: str
    expected: Money | None = None
    actual: Money | None = None

    @property
    def difference(self) -> Money | None:
        if self.expected is None or self.actual is None:
            return None
        return self.actual - self.expected


@dataclass(frozen=True, slots=True, kw_only=True)
class Reconciliation:
    """`checked_at` is the provider's time of the newest figure that was compared; None where there
    was nothing to compare, and then nothing was found either."""

    checked_at: datetime | None = None
    findings: Sequence[Finding] = ()

    @property
    def balanced(self) -> bool:
        return not self.findings


@dataclass(frozen=True, slots=True, kw_only=True)
class DayBalance:
    """A balance, and what was settled in its account up to the end of its day.

    `entered` counts from any one day that is the same for all balances of the account. Where the
    bank's own day is not certain it holds three sums: to the end of the UTC day, of the day before
    and of the day after.
    """

    day: date
    balance: Money
    entered: tuple[Decimal, ...]

    @property
    def openings(self) -> set[Decimal]:
        """What the account held before all that was entered, for each day that it may be."""
        return {EXACT.subtract(self.balance.amount, sum_) for sum_ in self.entered}


@dataclass(frozen=True, slots=True, kw_only=True)
class Balances:
    """Of one account, oldest first, with at least one transaction; balances that follow from
    those beside them may be left out. `foreign` are the transactions in another currency."""

    days: Sequence[DayBalance] = ()
    foreign: int = 0


def reconcile(account: Account, positions: Sequence[Holding], known: Balances) -> Reconciliation:
    """`positions` are its active ones, POSITIONS_MAX and one at most."""
    if account.is_manual:
        return Reconciliation()
    findings: list[Finding] = []
    compared: list[datetime] = []
    priced = [h for h in positions if _expected_value(h) is not None]
    findings += filter(None, map(_value, priced))
    compared += [h.as_of for h in priced]
    if account.group is AccountGroup.INVESTMENT and account.cash_balance is not None:
        findings += _parts(account, account.cash_balance, positions)
        compared.append(account.as_of)
    if account.group in (AccountGroup.DEPOSIT, AccountGroup.CREDIT, AccountGroup.LOAN):
        told = {(one.day, one.balance) for one in known.days}  # one statement may be told twice
        if len(told) > 1 or known.foreign:
            findings += _history(known)
            compared.append(account.as_of)
    return Reconciliation(
        checked_at=max(compared, default=None), findings=tuple(findings[:FINDINGS_MAX])
    )


# ── positions ───────────────────────────────────────────────────────────────


def _expected_value(holding: Holding) -> Money | None:
    """None without a price in the currency of the value, and of what no person holds so much."""
    price, security = holding.market_price, holding.security
    if price is None or price.currency != holding.market_value.currency:
        return None
    if security.asset_type in UNPRICED:
        return None
    value = security.value(holding.quantity, price)
    return None if value.amount.adjusted() > DIGITS_MAX else value


def _value(holding: Holding) -> Finding | None:
    """A price is told rounded: what half of its last place comes to is allowed, and a minor unit
    for the value, which some round and some cut. So is a part of a share, but whole ones are told
    exactly. A bond may be quoted in per cent of par, or as what a unit costs."""
    price, exact = holding.market_price, _expected_value(holding)
    if price is None or exact is None:
        return None
    security, quantity = holding.security, holding.quantity
    step = Money(_last_place(price.amount, minor_digits(price.currency)), price.currency)
    unit = _last_place(quantity, SHARE_DIGITS) if quantity != quantity.to_integral_value() else ZERO
    readings = [(exact, security.value(quantity, step), security.value(unit, price))]
    if security.asset_type is AssetType.FIXED_INCOME:
        readings.append((price.times(quantity), step.times(quantity), price.times(unit)))
    for value, of_price, of_quantity in readings:
        rounded = EXACT.add(abs(of_price).amount, abs(of_quantity).amount)
        allowed = EXACT.add(EXACT.multiply(HALF, rounded), _minor_unit(price))
        if abs(holding.market_value - value).amount <= allowed:
            return None
    name = holding.security.symbol or holding.security.name
    return Finding(
        code=FindingCode.HOLDING_VALUE,
        message=f"{name}: the value is not what quantity and price come to",
        expected=exact.rounded(),
        actual=holding.market_value,
    )


def _parts(account: Account, cash: Money, positions: Sequence[Holding]) -> Iterator[Finding]:
    """The total is exact to the minor unit, as institutions add up the values that they show. Some
    show values that are cut off, not rounded, and add up what they were before: where all values
    are cut off, such a total is right too, be it rounded or cut off itself. Values in smaller parts
    than the minor unit may be rounded once, in the total.

    What is held as a money market fund may be told as cash too: then it counts once.
    """
    if len(positions) > POSITIONS_MAX:
        text = f"there are over {POSITIONS_MAX} positions, which are not added up"
        yield Finding(code=FindingCode.NOT_COMPARABLE, message=text)
        return
    foreign = sum(h.market_value.currency != account.currency for h in positions)
    if foreign:
        text = f"{foreign} positions are in another currency, so that nothing can be added up"
        yield Finding(code=FindingCode.NOT_COMPARABLE, message=text)
        return
    both = [p for p in positions if p.security.asset_type is AssetType.CASH_EQUIVALENT]
    sweep = total((p.market_value for p in both), account.currency)
    shown = cash + total((p.market_value for p in positions), account.currency)
    exact = cash + total(map(_unrounded, positions), account.currency)
    for once in (zero(account.currency), sweep):
        right = [shown - once, (shown - once).rounded()]
        if _are_cut(positions):
            right += [(exact - once).rounded(), _cut(exact - once)]
        if account.balance in right:
            return
    nearest = min((shown, shown - sweep), key=lambda sum_: abs(account.balance - sum_).amount)
    yield Finding(
        code=FindingCode.POSITIONS_AND_CASH,
        message=f"cash and {len(positions)} positions do not come to the reported total"
        + _of_other_days(account, positions),
        expected=nearest,
        actual=account.balance,
    )


def _unrounded(holding: Holding) -> Money:
    """What quantity and price come to, where the value is that, but for less than a minor unit."""
    exact, told = _expected_value(holding), holding.market_value
    if exact is None or abs(exact - told).amount >= _minor_unit(told):
        return told
    return exact


def _are_cut(positions: Sequence[Holding]) -> bool:
    """Whether every value that could have been rounded up was not, and one should have been."""
    told = [(exact, h.market_value) for h in positions if (exact := _expected_value(h)) is not None]
    inexact = [(exact, value) for exact, value in told if exact != _cut(exact)]
    return all(value == _cut(exact) for exact, value in inexact) and any(
        value != exact.rounded() for exact, value in inexact
    )


def _cut(amount: Money) -> Money:
    cut = amount.amount.quantize(_minor_unit(amount), rounding=ROUND_DOWN, context=EXACT)
    return Money(cut, amount.currency)


def _of_other_days(account: Account, positions: Sequence[Holding]) -> str:
    newest = max((h.as_of for h in positions), default=account.as_of)
    if newest.date() == account.as_of.date():
        return ""
    return f"; the total is of {account.as_of.date()}, the positions of {newest.date()}"


# ── balances ────────────────────────────────────────────────────────────────


def _history(known: Balances) -> Iterator[Finding]:
    """Each balance with the last one before it that stands.

    One that the next one takes back is wrong by itself, and is found once.
    """
    if known.foreign:
        yield Finding(
            code=FindingCode.NOT_COMPARABLE,
            message=f"{known.foreign} transactions are in another currency than the account",
        )
        return
    findings: list[Finding] = []
    standing = known.days[0]
    rest = list(known.days[1:])
    for number, one in enumerate(rest):
        if not standing.openings.isdisjoint(one.openings):
            standing = one
            continue
        findings.append(_broken(standing, one))
        following = rest[number + 1 : number + 2]
        if not any(not standing.openings.isdisjoint(next_.openings) for next_ in following):
            standing = one
    yield from reversed(findings)  # the newest first: it tells of what is shown


def _broken(before: DayBalance, one: DayBalance) -> Finding:
    entered = EXACT.subtract(one.entered[0], before.entered[0])
    expected = Money(EXACT.add(before.balance.amount, entered), one.balance.currency)
    return Finding(
        code=FindingCode.TRANSACTIONS_AND_BALANCE,
        message=f"the balance of {one.day} is not that of {before.day} and what was settled since",
        expected=expected,
        actual=one.balance,
    )


def _last_place(number: Decimal, digits_min: int) -> Decimal:
    """1 in the last place of those that are told, zeros that were left out included."""
    exponent = number.as_tuple().exponent
    assert isinstance(exponent, int)  # noqa: S101 - finite: narrows the type for the checker
    return Decimal(1).scaleb(min(exponent, -digits_min))


def _minor_unit(of: Money) -> Decimal:
    return Decimal(1).scaleb(-minor_digits(of.currency))
