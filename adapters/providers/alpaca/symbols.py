"""What Alpaca's symbols name: shares, options (OCC symbols), and coins, as pairs.

Activities say nothing but the symbol, positions the asset class too. A coin is written as BTC/USD
in fills, and as BTCUSD in positions, in fees and in fills of before 2023.
"""

import re
from datetime import date
from decimal import Decimal

from adapters.providers.kit import Malformed
from domain.currencies import CRYPTO
from domain.money import Currency, Money
from domain.securities import (
    EQUITY_OPTION_MULTIPLIER,
    AssetType,
    OptionSide,
    OptionTerms,
    SecurityTerms,
    is_cusip,
)

COIN, OPTION, SHARE = "crypto", "us_option", "us_equity"
PAIR_CHARS_MIN = 6  # no share has a symbol so long without a point

_OCC = re.compile(r"([A-Z][A-Z0-9.]{0,5}) *([0-9]{2})([0-9]{2})([0-9]{2})([CP])([0-9]{8})")
_QUOTES = ("USDT", "USDC", "USD", "BTC")
_SIDES = {"C": OptionSide.CALL, "P": OptionSide.PUT}
_ASSETS = {SHARE: AssetType.EQUITY, OPTION: AssetType.OPTION, "crypto_perp": AssetType.FUTURE}


def pair_of(symbol: str) -> tuple[str, str] | None:
    """The coin and what it is quoted in; None for what is no pair of coins that we know."""
    coin, slash, quote = symbol.partition("/")
    if slash:
        return coin, quote
    if len(symbol) < PAIR_CHARS_MIN:
        return None
    for ending in _QUOTES:
        coin = symbol.removesuffix(ending)
        if coin != symbol and coin in CRYPTO:
            return coin, ending
    return None


def security_of(
    symbol: str, of: Currency, *, asset_class: str | None = None, cusip: str | None = None
) -> SecurityTerms:
    """`of` is what the account is kept in. Without `asset_class` the symbol's form tells."""
    if asset_class in (None, OPTION) and (option := _option(symbol, of)) is not None:
        return option
    if asset_class in (None, COIN) and (asset_class or pair_of(symbol)):
        coin, _ = pair_of(symbol) or (symbol, "")
        return SecurityTerms(
            name=coin, asset_type=AssetType.CRYPTOCURRENCY, currency=of, symbol=coin
        )
    return SecurityTerms(
        name=symbol,
        asset_type=_ASSETS.get(asset_class or SHARE, AssetType.OTHER),
        currency=of,
        symbol=symbol,
        cusip=cusip if cusip and is_cusip(cusip) else None,
        multiplier=EQUITY_OPTION_MULTIPLIER if asset_class == OPTION else Decimal(1),
    )


def _option(symbol: str, of: Currency) -> SecurityTerms | None:
    """By the OCC's option symbology: root, day, side, and the strike in thousandths.

    Raises Malformed for a day that there is not.
    """
    found = _OCC.fullmatch(symbol)
    if found is None:
        return None
    root, year, month, day, side, thousandths = found.groups()
    try:
        expires_on = date(2000 + int(year), int(month), int(day))
    except ValueError:
        raise Malformed(f"{symbol} expires on no day of the calendar") from None
    strike = Decimal(thousandths).scaleb(-3)
    return SecurityTerms(
        name=f"{root} {expires_on} {strike.normalize():f} {_SIDES[side].value.title()}",
        asset_type=AssetType.OPTION,
        currency=of,
        symbol=symbol,
        multiplier=EQUITY_OPTION_MULTIPLIER,
        option=OptionTerms(
            underlying=root, side=_SIDES[side], strike=Money(strike, of), expires_on=expires_on
        ),
    )
