"""What is known of exchange rates, and how more of them are kept: through a door, since they are
nobody's."""

from collections import defaultdict
from collections.abc import Collection, Iterable, Sequence
from datetime import date
from itertools import repeat
from typing import Any

from sqlalchemy import text

from adapters.postgres.pool import Connection, Pool, answer
from adapters.postgres.writing import Writing
from domain.money import Currency
from domain.rates import DOLLAR, EURO, GAP_MAX, Publication, Quoted, Rates

DAYS = "SELECT day FROM exchange_rates WHERE currency = $1 ORDER BY day"
NEWEST = "SELECT max(day) AS day FROM exchange_rates WHERE currency = $1"
SINCE = """
SELECT currency, day, per_euro, source FROM exchange_rates
WHERE currency = ANY ($1::text[]) AND day >= $2"""
ADD = "SELECT add_rates($1, $2, $3, $4) AS count"
# The dollar is in every publication, so the last of its days is that of the newest. Arrays, since
# ten years of five currencies are 13,000 rows.
SPAN = f"""
WITH newest AS (SELECT max(day) AS day FROM exchange_rates WHERE currency = '{DOLLAR}')
SELECT r.currency, r.source, newest.day AS newest,
    array_agg(r.day ORDER BY r.day) AS days, array_agg(r.per_euro ORDER BY r.day) AS per_euro
FROM exchange_rates AS r CROSS JOIN newest
WHERE r.currency = ANY (CAST({{currencies}} AS text[])) AND r.day <= {{until}}
    AND r.day >= least({{since}}, newest.day) - {GAP_MAX.days}
GROUP BY r.currency, r.source, newest.day"""
ON = text(SPAN.format(currencies=":currencies", since=":day", until=":day"))


def rates_from(rows: Iterable[Any]) -> Rates:
    """Given what `SPAN` answers."""
    found: dict[Currency, dict[date, Quoted]] = defaultdict(dict)
    newest = None
    for row in rows:
        newest = row["newest"]
        quoted = zip(row["per_euro"], repeat(row["source"]), strict=False)
        found[row["currency"]].update(zip(row["days"], quoted, strict=True))
    return Rates(found, newest)


async def rates_on(db: Writing, currencies: Collection[Currency], day: date) -> Rates:
    asked = sorted({*currencies} - {EURO})
    return rates_from(await db.rows(ON, currencies=asked, day=day))


class KnownRates:
    """Raises Unavailable while the database is away."""

    def __init__(self, pool: Pool) -> None:
        self._pool = pool

    async def days(self) -> set[date]:
        """Those of which there is a publication: the dollar is in each."""
        return {row["day"] for row in await self._ask(DAYS, DOLLAR)}

    async def newest(self) -> date | None:
        [row] = await self._ask(NEWEST, DOLLAR)
        found: date | None = row["day"]
        return found

    async def since(self, day: date, currencies: Collection[Currency]) -> Rates:
        found: dict[Currency, dict[date, Quoted]] = defaultdict(dict)
        for row in await self._ask(SINCE, sorted(currencies), day):
            found[row["currency"]][row["day"]] = row["per_euro"], row["source"]
        return Rates(found, await self.newest())

    async def add(self, publications: Iterable[Publication], source: str) -> int:
        """How many were new; what is there stays as it is."""
        told = [(c, p.day, rate) for p in publications for c, rate in p.per_euro.items()]
        columns = [list(column) for column in zip(*told, strict=True)] or [[], [], []]
        [row] = await self._ask(ADD, *columns, source)
        return int(row["count"])

    async def _ask(self, sql: str, *given: object) -> Sequence[Any]:
        async def say(connection: Connection) -> Sequence[Any]:
            rows: Sequence[Any] = await connection.fetch(sql, *given)
            return rows

        return await answer(self._pool, say)
