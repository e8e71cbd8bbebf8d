"""The security list and the positions of an OFX file in our terms."""

from collections.abc import Iterable, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal

from adapters.ofx.currency import CurrencyOf
from adapters.ofx.errors import Illegible
from adapters.ofx.investments import Position, SecurityId, SecurityInfo, SecurityKind
from adapters.ofx.records import Statement
from adapters.ofx.statement_values import clean, instant, storable, storable_or_none
from domain.money import EXACT, Currency, Money, currency, exact_sum
from domain.securities import (
    EQUITY_OPTION_MULTIPLIER,
    AssetType,
    OptionSide,
    OptionTerms,
    SecurityTerms,
    is_cusip,
    is_isin,
)
from domain.sync import ReceivedHolding

_KINDS = {
    SecurityKind.STOCK: AssetType.EQUITY,
    SecurityKind.FUND: AssetType.MUTUAL_FUND,
    SecurityKind.OPTION: AssetType.OPTION,
    SecurityKind.DEBT: AssetType.FIXED_INCOME,
    SecurityKind.OTHER: AssetType.OTHER,
}
# How the names of transaction and position aggregates end.
_ENDINGS = {
    "STOCK": AssetType.EQUITY,
    "MF": AssetType.MUTUAL_FUND,
    "OPT": AssetType.OPTION,
    "DEBT": AssetType.FIXED_INCOME,
}
_TOTALS = ("networth", "accountvalue", "totalaccountvalue")  # BAL names without blanks
_SIDES = {"CALL": OptionSide.CALL, "PUT": OptionSide.PUT}
_MONEY_MARKET = "MONEYMRKT"
TICKER_CHARS_MAX = 64  # twice of what OFX 2.3 §13.8.5.1 has


class Securities:
    """What transactions and positions refer to, by id.

    A CUSIP or ISIN counts as one only with its check digit; any other id is the institution's
    own. An option without a stated multiplier has the 100 shares of a standard US contract.
    """

    def __init__(self, listed: Iterable[SecurityInfo]) -> None:
        self._listed = {info.id.value: info for info in listed}
        self._known: dict[tuple[str, Currency, AssetType], SecurityTerms] = {}

    def of(self, id: SecurityId, aggregate: str, default: Currency) -> SecurityTerms:
        """Its terms; where the list does not have it, what its id and the aggregate tell.

        Raises Illegible: it is in a currency that we do not know, or its ticker is too long.
        """
        implied = next((t for end, t in _ENDINGS.items() if aggregate.endswith(end)), None)
        place = (id.value, default, implied or AssetType.OTHER)
        if place not in self._known:
            self._known[place] = self._terms(id, place[2], default)
        return self._known[place]

    def _terms(self, id: SecurityId, implied: AssetType, default: Currency) -> SecurityTerms:
        info = self._listed.get(id.value)
        kind = (id.type or "").upper()
        value = id.value.strip().upper()
        cusip = value if kind == "CUSIP" and is_cusip(value) else None
        isin = value if kind == "ISIN" and is_isin(value) else None
        own = None if cusip or isin else f"{kind or 'OWN'}:{id.value}"
        if info is None:
            return SecurityTerms(
                name=clean(id.value) or "Unnamed security",
                asset_type=implied,
                currency=default,
                cusip=cusip,
                isin=isin,
                key=own,
                multiplier=_multiplier(implied, None),
            )
        asset_type = _KINDS[info.kind]
        if info.asset_class == _MONEY_MARKET:
            asset_type = AssetType.CASH_EQUIVALENT
        stated = info.currency.symbol if info.currency and not info.currency.converted else None
        of = known_currency(stated) if stated else default
        per = info.option.shares_per_contract if info.option else None
        return SecurityTerms(
            name=clean(info.name) or clean(info.ticker) or clean(id.value) or "Unnamed security",
            asset_type=asset_type,
            currency=of,
            symbol=_symbol(info.ticker),
            cusip=cusip,
            isin=isin,
            key=own,
            multiplier=_multiplier(asset_type, per),
            option=self._option(info, of),
        )

    def _option(self, info: SecurityInfo, of: Currency) -> OptionTerms | None:
        """None unless side, strike, expiry and underlying are all known."""
        terms = info.option
        if terms is None or terms.strike is None or terms.expires is None:
            return None
        side = _SIDES.get((terms.type or "").upper())
        under = self._listed.get(terms.underlying.value) if terms.underlying else None
        underlying = clean(under.ticker).upper() if under and under.ticker else None
        if underlying is None and info.ticker:
            # An option's symbol begins with that of what it is on.
            underlying = clean(info.ticker).split(" ")[0].upper()
            underlying = underlying.rstrip("0123456789") if len(underlying) <= 6 else None
        if side is None or not underlying:
            return None
        return OptionTerms(
            underlying=underlying,
            side=side,
            strike=Money(storable(terms.strike, "STRIKEPRICE"), of),
            expires_on=terms.expires.local_date,
        )


def _symbol(ticker: str | None) -> str | None:
    symbol = clean(ticker).upper()
    if len(symbol) > TICKER_CHARS_MAX:
        raise Illegible(f"TICKER: it has over {TICKER_CHARS_MAX} characters")
    return symbol or None


def known_currency(symbol: str) -> Currency:
    """Raises Illegible for what is neither an ISO 4217 nor a known crypto asset code."""
    try:
        return currency(symbol.upper())
    except ValueError as fault:
        raise Illegible(str(fault)) from None


def currency_of(stated: CurrencyOf | None, default: Currency) -> Currency:
    """Of a record's amounts; those that were converted are in the statement's."""
    if stated is None or stated.converted:
        return default
    return known_currency(stated.symbol)


def holding_of(
    position: Position,
    *,
    account_key: str,
    securities: Securities,
    default: Currency,
    as_of: datetime,
) -> ReceivedHolding:
    """A short position is negative throughout, whichever sign the file gave it.

    The value is MKTVAL, and where there is none, units at their price. AVGCOSTBASIS is left out:
    institutions differ on whether it is of one unit or of all.

    Raises Illegible: neither value nor price, or a number that is too long.
    """
    of = currency_of(position.currency, default)
    security = securities.of(position.security, position.aggregate, of)
    units = storable(position.units, "UNITS")
    price = storable_or_none(position.unit_price, "UNITPRICE")
    value = storable_or_none(position.market_value, "MKTVAL")
    if (position.position_type or "").upper() == "SHORT":
        units = EXACT.minus(EXACT.abs(units))
        value = None if value is None else EXACT.minus(EXACT.abs(value))
    market_price = None if price is None else Money(price, of)
    if value is not None:
        market_value = Money(value, of)
    elif market_price is not None:
        market_value = security.value(units, market_price).rounded()
    else:
        raise Illegible("neither MKTVAL nor UNITPRICE is stated")
    return ReceivedHolding(
        account_key=account_key,
        security=security,
        quantity=units,
        market_value=market_value,
        as_of=instant(position.priced_at) or as_of,
        market_price=market_price,
    )


def joined(holdings: Iterable[ReceivedHolding]) -> list[ReceivedHolding]:
    """One a security and currency: a 401(k) lists a fund once for each source of the money."""
    found: dict[tuple[SecurityTerms, Currency, bool], ReceivedHolding] = {}
    for holding in holdings:
        place = (holding.security, holding.market_value.currency, holding.quantity < 0)
        before = found.get(place)
        if before is None:
            found[place] = holding
            continue
        found[place] = replace(
            before,
            quantity=EXACT.add(before.quantity, holding.quantity),
            market_value=before.market_value + holding.market_value,
            market_price=before.market_price
            if before.market_price == holding.market_price
            else None,
            as_of=max(before.as_of, holding.as_of),
        )
    return list(found.values())


def says_positions(statement: Statement) -> bool:
    """Without INVPOSLIST nobody may have asked for them: it does not say that there are none."""
    return bool(statement.positions) or statement.positions_listed is not None


def unread_positions(statement: Statement, held: Sequence[ReceivedHolding]) -> int:
    return max(statement.positions_listed or 0, len(statement.positions)) - len(held)


def stated_total(statement: Statement) -> Decimal | None:
    plan, balances = statement.plan_balances, statement.investment_balances
    if plan is not None and plan.total:  # some write 0 beside positions that are worth something
        return plan.total
    for named in balances.named if balances is not None else ():
        name = "".join((named.name or "").casefold().split())
        if name in _TOTALS and named.type != "PERCENT" and named.value:
            return named.value
    return None


def invested(statement: Statement, of: Currency, held: Sequence[ReceivedHolding]) -> Decimal | None:
    """What is told of cash and positions, added up; None where neither is."""
    values = [(h.security.asset_type, h.market_value.amount) for h in held
              if h.market_value.currency == of]  # fmt: skip
    positions = exact_sum(value for _, value in values)
    plan, balances = statement.plan_balances, statement.investment_balances
    if balances is None:
        return positions if held or plan is not None else None
    if balances.available_cash is None and not says_positions(statement):
        return None
    cash = balances.available_cash or Decimal(0)
    sweep = exact_sum(v for kind, v in values if kind is AssetType.CASH_EQUIVALENT)
    if sweep and sweep == cash:
        cash = Decimal(0)
    return EXACT.add(EXACT.add(cash, balances.margin or Decimal(0)), positions)


def _multiplier(asset_type: AssetType, stated: Decimal | None) -> Decimal:
    if asset_type is not AssetType.OPTION:
        return Decimal(1)
    return EQUITY_OPTION_MULTIPLIER if not stated else EXACT.abs(stated)
