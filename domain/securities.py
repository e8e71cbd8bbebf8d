"""Securities: what can be held, with identifiers, contract terms and how a price is quoted."""

from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from enum import Enum
from typing import NewType
from uuid import UUID

from domain.money import EXACT, Currency, Money

SecurityId = NewType("SecurityId", UUID)

EQUITY_OPTION_MULTIPLIER = Decimal(100)
PERCENT_OF_PAR = Decimal("0.01")


class AssetType(Enum):
    EQUITY = "EQUITY"
    ETF = "ETF"
    MUTUAL_FUND = "MUTUAL_FUND"
    OPTION = "OPTION"
    FUTURE = "FUTURE"
    FIXED_INCOME = "FIXED_INCOME"
    CASH_EQUIVALENT = "CASH_EQUIVALENT"
    CRYPTOCURRENCY = "CRYPTOCURRENCY"
    INDEX = "INDEX"
    FOREX = "FOREX"
    OTHER = "OTHER"


class OptionSide(Enum):
    CALL = "CALL"
    PUT = "PUT"


@dataclass(frozen=True, slots=True, kw_only=True)
class OptionTerms:
    underlying: str
    side: OptionSide
    strike: Money
    expires_on: date


@dataclass(frozen=True, slots=True, kw_only=True)
class SecurityTerms:
    """A security as a provider describes it, before it is known as one of ours.

    `multiplier` is the units of the underlying in one contract: 100 for a US equity option,
    else 1. `key` is the provider's own id, for want of anything better.
    """

    name: str
    asset_type: AssetType
    currency: Currency
    symbol: str | None = None
    isin: str | None = None
    cusip: str | None = None
    figi: str | None = None
    multiplier: Decimal = Decimal(1)
    option: OptionTerms | None = None
    key: str | None = None

    def value(self, quantity: Decimal, price: Money) -> Money:
        """What `quantity` is worth at `price`; negative for a short position.

        A bond's price is a percentage of par, its quantity the par amount.
        """
        factor = PERCENT_OF_PAR if self.asset_type is AssetType.FIXED_INCOME else self.multiplier
        return price.times(EXACT.multiply(quantity, factor))

    @property
    def identities(self) -> tuple[str, ...]:
        """What two descriptions of one security have in common, the surest first."""
        found = [
            f"{kind}:{value.upper()}"
            for kind, value in (("isin", self.isin), ("cusip", self.cusip), ("figi", self.figi))
            if value
        ]
        if self.option:
            o = self.option
            terms = f"{o.underlying}:{o.expires_on}:{o.side.value}:{o.strike.amount.normalize():f}"
            found.append(f"option:{terms}:{self.currency}".upper())
        elif self.symbol:
            found.append(f"symbol:{self.symbol}:{self.currency}:{_class(self.asset_type)}".upper())
        if not found:
            found.append(f"name:{self.key or ''}:{self.name}:{self.currency}")
        return tuple(found)


@dataclass(frozen=True, slots=True, kw_only=True)
class Security(SecurityTerms):
    id: SecurityId


def _class(asset_type: AssetType) -> str:
    """Providers disagree on stock, fund and other; none takes a coin for a share."""
    if asset_type in (AssetType.CRYPTOCURRENCY, AssetType.OPTION, AssetType.FUTURE):
        return asset_type.name
    return "SECURITY"


def is_isin(text: str) -> bool:
    """ISO 6166: two letters, nine characters, a Luhn check digit over the base-36 digits."""
    if len(text) != 12 or not text.isascii() or not text[:2].isalpha() or not text[-1].isdigit():
        return False
    if not text.isalnum() or text != text.upper():
        return False
    digits = "".join(str(int(c, 36)) for c in text)
    doubled = [int(d) * (2 if i % 2 else 1) for i, d in enumerate(reversed(digits))]
    return sum(d // 10 + d % 10 for d in doubled) % 10 == 0


def is_cusip(text: str) -> bool:
    """Eight characters and a modulus-10 double-add-double check digit."""
    alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZ*@#"
    if len(text) != 9 or not text[-1].isdigit() or any(c not in alphabet for c in text):
        return False
    weighed = [alphabet.index(c) * (2 if i % 2 else 1) for i, c in enumerate(text[:8])]
    return (10 - sum(v // 10 + v % 10 for v in weighed) % 10) % 10 == int(text[-1])
