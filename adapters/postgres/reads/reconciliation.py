"""Stored balances of accounts, and what was settled in between: what reconciliation compares."""

from collections import defaultdict
from collections.abc import Sequence

from adapters.postgres.reads.statements import Statements
from domain.accounts import AccountId
from domain.money import Money
from domain.reconciliation import DAYS_MAX, FINDINGS_MAX, Balances, DayBalance

# Seen between others, a balance tells nothing where transactions were posted on the days around
# it: they may be in it or not. So many are looked at for one that does.
SEEN_MAX = 100
TOLD_MAX = 3 * FINDINGS_MAX  # of an account, the newest: more findings are not told

OF_ACCOUNT = """transactions AS t
        WHERE t.user_id = $1 AND t.account_id = {0}.account_id
            AND t.status = 'SETTLED' AND t.removed_at IS NULL"""
SNAPSHOTS = """SELECT (s.at AT TIME ZONE 'UTC')::date AS day, s.at, s.balance, s.source
        FROM balance_snapshots AS s
        WHERE s.user_id = $1 AND s.account_id = begun.account_id
            AND s.at >= begun.day::timestamp AT TIME ZONE 'UTC'
            AND s.at < (begun.known_on + {1})::timestamp AT TIME ZONE 'UTC'
            AND s.source = ANY({0})"""
STATED = SNAPSHOTS.format("'{BACKFILL,FILE_IMPORT}'", DAYS_MAX)
SEEN = SNAPSHOTS.format("'{ACCOUNT_SYNC,HOLDINGS_SYNC}'", DAYS_MAX)
ON_DAY = f"""(SELECT sum(t.amount) FROM {OF_ACCOUNT.format("c")}
        AND t.currency = c.currency AND t.date = c.day{{0}})"""

# From the day before the first transaction that is known, `stated` are the balances of which the
# provider or a statement says the day, the last one of each; `seen` is the first one, seen by a
# sync, with no transaction around it, for accounts without any of these. Each comes with what was
# entered up to then. One that follows from its neighbours is left out, in the end.
BALANCES = f"""
WITH own AS (
    SELECT id AS account_id, currency, balance, (as_of AT TIME ZONE 'UTC')::date AS day
    FROM accounts WHERE user_id = $1 AND id = ANY($2::uuid[])
), settled AS (
    SELECT own.account_id, own.currency, own.day AS known_on, own.balance AS known, t.date AS day,
        coalesce(sum(t.amount) FILTER (WHERE t.currency = own.currency), 0) AS amount,
        count(*) FILTER (WHERE t.currency <> own.currency) AS others
    FROM own CROSS JOIN LATERAL (
        SELECT t.date, t.amount, t.currency FROM {OF_ACCOUNT.format("own")}
            AND t.date BETWEEN own.day - {DAYS_MAX} AND own.day + {DAYS_MAX} OFFSET 0
    ) AS t GROUP BY own.account_id, own.currency, own.day, own.balance, t.date
), begun AS (
    SELECT account_id, currency, known_on, known, min(day) - 1 AS day, sum(others)::int8 AS others
    FROM settled GROUP BY account_id, currency, known_on, known
), stated AS (
    SELECT DISTINCT ON (begun.account_id, s.day) begun.account_id, begun.currency, begun.others,
        s.day, 1 AS place, s.balance, s.source = 'BACKFILL' AS is_certain
    FROM begun CROSS JOIN LATERAL ({STATED} OFFSET 0) AS s
    ORDER BY begun.account_id, s.day, s.at DESC
), seen AS (
    SELECT begun.account_id, begun.currency, begun.others, s.day, 2, s.balance, true
    FROM begun CROSS JOIN LATERAL (
        SELECT s.day, s.balance FROM ({SEEN} ORDER BY s.at LIMIT {SEEN_MAX}) AS s
        WHERE NOT EXISTS (
            SELECT FROM {OF_ACCOUNT.format("begun")}
                AND t.date BETWEEN s.day - 1 AND s.day + 1 OFFSET 0
        ) ORDER BY s.at LIMIT 1
    ) AS s WHERE begun.account_id NOT IN (SELECT account_id FROM stated)
), entered AS (
    SELECT *, sum(amount) OVER (PARTITION BY account_id ORDER BY day, place) AS entered
    FROM (
        SELECT *, 0 AS amount FROM stated
        UNION ALL SELECT *, 0 FROM seen
        UNION ALL SELECT account_id, currency, others, known_on, 3, known, false, 0 FROM begun
        UNION ALL SELECT account_id, currency, others, day, 0, NULL, NULL, amount FROM settled
    ) AS all_kinds
), compared AS (
    SELECT *, balance - entered IS NOT DISTINCT FROM lag(balance - entered) OVER line
        AND balance - entered IS NOT DISTINCT FROM lead(balance - entered) OVER line AS follows
    FROM entered WHERE place > 0
    WINDOW line AS (PARTITION BY account_id ORDER BY day, place)
), latest AS (
    SELECT * FROM (
        SELECT *, row_number() OVER (PARTITION BY account_id ORDER BY day DESC, place DESC) AS back
        FROM compared WHERE NOT follows
    ) AS told WHERE back <= {TOLD_MAX}
)
SELECT c.account_id, c.currency, c.others, c.day, c.balance, c.entered, c.is_certain,
    CASE WHEN NOT c.is_certain THEN c.entered - coalesce({ON_DAY.format("")}, 0) END,
    CASE WHEN NOT c.is_certain THEN c.entered + coalesce({ON_DAY.format(" + 1")}, 0) END
FROM latest AS c ORDER BY c.account_id, c.day, c.place"""


class ReconciliationReads(Statements):
    async def balances_and_transactions(
        self, accounts: Sequence[AccountId]
    ) -> dict[AccountId, Balances]:
        if not accounts:
            return {}
        days: dict[AccountId, list[DayBalance]] = defaultdict(list)
        foreign: dict[AccountId, int] = {}
        for row in await self.fetch(BALANCES, self._viewer, [*dict.fromkeys(accounts)]):
            id, currency, others, day, balance, entered, is_certain, before, after = row
            sums = (entered,) if is_certain else (entered, before, after)
            days[id].append(DayBalance(day=day, balance=Money(balance, currency), entered=sums))
            foreign[id] = others
        return {id: Balances(days=told, foreign=foreign[id]) for id, told in days.items()}
