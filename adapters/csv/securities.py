"""Securities as brokers name them in a cell or two."""

import re

from adapters.csv.cells import NOTHING, day, number
from adapters.csv.errors import Illegible
from adapters.csv.profiles import Profile
from domain.money import Currency, Money
from domain.securities import (
    EQUITY_OPTION_MULTIPLIER,
    AssetType,
    OptionSide,
    OptionTerms,
    SecurityTerms,
    is_cusip,
)

_OPTION = re.compile(
    r"(?P<underlying>[A-Z][A-Z0-9./]{0,9}) (?P<day>[0-9]{2}/[0-9]{2}/[0-9]{4})"
    r" (?P<strike>[0-9]+(?:\.[0-9]+)?) (?P<side>[CP])"
)
SYMBOL_CHARS_MAX = 64
_SIDES = {"C": OptionSide.CALL, "P": OptionSide.PUT}


def security_of(
    symbol: str, description: str, kind: str, profile: Profile, of: Currency
) -> SecurityTerms | None:
    """None where no symbol is told. Raises Illegible."""
    if symbol.casefold() in NOTHING:
        return None
    if len(symbol) > SYMBOL_CHARS_MAX:
        raise Illegible(f"the symbol has over {SYMBOL_CHARS_MAX} characters")
    name = description if description.casefold() not in NOTHING else symbol
    option = _OPTION.fullmatch(symbol)
    if option is not None:
        strike = Money(number(option["strike"], "the strike"), of)
        return SecurityTerms(
            name=name,
            asset_type=AssetType.OPTION,
            currency=of,
            symbol=symbol,
            multiplier=EQUITY_OPTION_MULTIPLIER,
            option=OptionTerms(
                underlying=option["underlying"],
                side=_SIDES[option["side"]],
                strike=strike,
                expires_on=day(option["day"], "the symbol", "%m/%d/%Y"),
            ),
        )
    asset_type = profile.assets.get(kind.casefold(), AssetType.OTHER)
    if asset_type is AssetType.OPTION:
        raise Illegible("an option whose terms are not in its symbol")
    is_number = is_cusip(symbol)
    return SecurityTerms(
        name=name,
        asset_type=asset_type,
        currency=of,
        symbol=None if is_number else symbol,
        cusip=symbol if is_number else None,
    )
