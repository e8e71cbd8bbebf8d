"""Exchange rates, which are nobody's."""

from collections.abc import Collection
from datetime import date

from adapters.postgres.rates import SPAN, rates_from
from adapters.postgres.reads.statements import Statements
from domain.money import Currency
from domain.rates import EURO, Rates

RATES = SPAN.format(currencies="$1", since="$2", until="$3")


class RateReads(Statements):
    async def rates(self, currencies: Collection[Currency], *, since: date, until: date) -> Rates:
        asked = sorted({*currencies} - {EURO})
        return rates_from(await self.fetch(RATES, asked, since, until))
