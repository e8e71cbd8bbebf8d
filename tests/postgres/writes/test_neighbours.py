"""Two people in one database: whoever came last is answered as fast as whoever was there first."""

import json
import re
from uuid import UUID

import asyncpg

from adapters.postgres.store import PostgresStore
from domain.identity import Actor
from tests.postgres.writes.world import a_person, owning
from tests.servers import Database

ROWS = 3_000
FILL = """
WITH made AS (
    INSERT INTO transactions (user_id, id, account_id, subtype, type, status, amount, currency,
        description, date, created_at, updated_at)
    SELECT $1, gen_random_uuid(), $2, 'PURCHASE', 'PAYMENT', 'SETTLED', i, 'USD', 'line ' || i,
        date '2026-01-01', now(), now() FROM generate_series(1, $4::int) AS i RETURNING id
)
INSERT INTO transaction_keys (user_id, link_id, account_id, key, transaction_id)
SELECT $1, $3, $2, 'key ' || id, id FROM made"""
KEYS = "SELECT transaction_id FROM transaction_keys WHERE user_id = '{}' AND link_id = '{}' AND account_id = '{}' AND key = 'k'"


async def test_who_comes_last_is_looked_up_by_the_index_that_names_most(
    store: PostgresStore, superuser: asyncpg.Connection, database: Database
) -> None:
    first, last = await a_person(store), await a_person(store)
    await fill(store, superuser, first)
    await superuser.execute("ANALYZE transactions, transaction_keys")
    link, account = await fill(store, superuser, last)

    assert await index_of(superuser, KEYS.format(last.user_id, link, account)) == (
        "pk_transaction_keys"
    )


async def fill(
    store: PostgresStore, superuser: asyncpg.Connection, actor: Actor
) -> tuple[UUID, UUID]:
    owned = await owning(store, actor)
    await superuser.execute(FILL, actor.user_id, owned.account.id, owned.link.id, ROWS)
    return owned.link.id, owned.account.id


async def index_of(superuser: asyncpg.Connection, sql: str) -> str:
    plan = json.loads(await superuser.fetchval(f"EXPLAIN (FORMAT JSON) {sql}"))[0]["Plan"]
    assert re.fullmatch(r"Index( Only)? Scan", plan["Node Type"])
    return str(plan["Index Name"])
