"""Publications as the rates that come of them."""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date

from domain.money import Currency
from domain.rates import Publication, Quoted, Rates


def rates_of(publications: Iterable[Publication], source: str) -> Rates:
    found: dict[Currency, dict[date, Quoted]] = defaultdict(dict)
    newest = None
    for publication in publications:
        newest = max(newest or publication.day, publication.day)
        for currency, per_euro in publication.per_euro.items():
            found[currency][publication.day] = per_euro, source
    return Rates(found, newest)
