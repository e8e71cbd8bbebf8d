"""The investment part of the records: see `records` for signs, None and `raw`."""

from dataclasses import dataclass
from decimal import Decimal
from enum import StrEnum

from adapters.ofx.currency import CurrencyOf
from adapters.ofx.values import OfxDate


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityId:
    """Joins transactions and positions to the security list. `type` is CUSIP, ISIN, …"""

    value: str
    type: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestmentTransaction:
    """One of the 20 investment aggregates of OFX, named by `aggregate` (BUYSTOCK, …).

    `units` of a sale are negative and `total` is what the cash account gained, if the institution
    keeps to the standard; not all do. `buy_type` and `sell_type` hold the option's own
    (OPTBUYTYPE) too. An option's `unit_price` is per share, its `units` are contracts of
    `shares_per_contract`.
    """

    aggregate: str
    fitid: str | None
    server_id: str | None
    trade_date: OfxDate
    settle_date: OfxDate | None
    reversal_fitid: str | None
    memo: str | None
    security: SecurityId | None
    units: Decimal | None
    unit_price: Decimal | None
    total: Decimal | None
    commission: Decimal | None
    fees: Decimal | None
    taxes: Decimal | None
    load: Decimal | None
    markup: Decimal | None
    markdown: Decimal | None
    penalty: Decimal | None
    withholding: Decimal | None
    state_withholding: Decimal | None
    gain: Decimal | None
    accrued_interest: Decimal | None
    average_cost: Decimal | None
    income_type: str | None
    buy_type: str | None
    sell_type: str | None
    sell_reason: str | None
    option_action: str | None
    shares_per_contract: Decimal | None
    related_fitid: str | None
    related_type: str | None
    secured: str | None
    position_type: str | None
    transfer_action: str | None
    transfer_account_id: str | None
    purchase_date: OfxDate | None
    old_units: Decimal | None
    new_units: Decimal | None
    numerator: Decimal | None
    denominator: Decimal | None
    fractional_cash: Decimal | None
    sub_account_security: str | None
    sub_account_fund: str | None
    sub_account_from: str | None
    sub_account_to: str | None
    plan_source: str | None
    tax_exempt: str | None
    currency: CurrencyOf | None
    raw: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Position:
    """`position_type` is LONG or SHORT; whether a short's `units` are negative is the file's say.

    `market_value` is in the record's currency. `unit_price` of a bond is in percent of par.
    """

    aggregate: str
    security: SecurityId
    held_in: str | None
    position_type: str | None
    units: Decimal
    unit_price: Decimal | None
    market_value: Decimal | None
    average_cost: Decimal | None
    priced_at: OfxDate | None
    secured: str | None
    plan_source: str | None
    memo: str | None
    currency: CurrencyOf | None
    raw: str
    line: int


@dataclass(frozen=True, slots=True, kw_only=True)
class NamedBalance:
    """A BAL: `type` is DOLLAR, PERCENT or NUMBER."""

    name: str | None
    description: str | None
    type: str | None
    value: Decimal
    as_of: OfxDate | None
    currency: CurrencyOf | None


@dataclass(frozen=True, slots=True, kw_only=True)
class InvestmentBalances:
    """INVBAL. `available_cash` may or may not include a sweep fund that is also a position."""

    available_cash: Decimal | None
    margin: Decimal | None
    short: Decimal | None
    buying_power: Decimal | None
    named: tuple[NamedBalance, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlanBalances:
    """INV401KBAL, by source of the money."""

    cash: Decimal | None
    pretax: Decimal | None
    after_tax: Decimal | None
    match: Decimal | None
    profit_sharing: Decimal | None
    rollover: Decimal | None
    other_vested: Decimal | None
    other_nonvested: Decimal | None
    total: Decimal | None


class SecurityKind(StrEnum):
    STOCK = "STOCK"
    FUND = "FUND"
    OPTION = "OPTION"
    DEBT = "DEBT"
    OTHER = "OTHER"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTerms:
    """`type` is PUT or CALL; `shares_per_contract` is None where unsaid, never taken to be 100."""

    type: str | None
    strike: Decimal | None
    expires: OfxDate | None
    shares_per_contract: Decimal | None
    underlying: SecurityId | None


@dataclass(frozen=True, slots=True, kw_only=True)
class DebtTerms:
    """`par_value` is a unit's face value; rates and yields are percentages."""

    par_value: Decimal | None
    type: str | None
    debt_class: str | None
    coupon_rate: Decimal | None
    coupon_date: OfxDate | None
    coupon_frequency: str | None
    call_price: Decimal | None
    call_date: OfxDate | None
    yield_to_call: Decimal | None
    yield_to_maturity: Decimal | None
    matures: OfxDate | None


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityInfo:
    """An entry of the security list. `type` is STOCKTYPE, MFTYPE or TYPEDESC as written."""

    kind: SecurityKind
    id: SecurityId
    name: str | None
    ticker: str | None
    fi_id: str | None
    rating: str | None
    unit_price: Decimal | None
    priced_at: OfxDate | None
    memo: str | None
    type: str | None
    asset_class: str | None
    option: OptionTerms | None
    debt: DebtTerms | None
    currency: CurrencyOf | None
    raw: str
    line: int
