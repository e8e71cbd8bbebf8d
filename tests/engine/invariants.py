"""What must hold after `kill -9` of anything at any point, and once somebody has gone on from there.

By their names in the list that each line cites: I1 what was answered is there. I2 nothing is stored
twice. I3 no half page. I4 a cursor moves with its rows alone. I5 a balance is what its parts are.
I6 one event a change. I7 credentials are fresh, being renewed in a lease, or for their owner to
renew; fences grow. I8 sealed values open, nothing lies in clear. I9 the audit log is whole. I10
nothing is stuck.
"""

from uuid import UUID

from adapters.postgres.sealed import COLUMNS
from domain.sealing import bound_to
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.verifying import verified
from tests.engine.world import Engine

DOUBLED = """
SELECT 'key', key FROM transaction_keys GROUP BY user_id, link_id, account_id, key
    HAVING count(*) > 1
UNION ALL SELECT 'unnamed', id::text FROM transactions t WHERE NOT EXISTS
    (SELECT FROM transaction_keys k WHERE k.transaction_id = t.id)
UNION ALL SELECT 'snapshot', account_id::text FROM balance_snapshots GROUP BY account_id, at
    HAVING count(*) > 1
UNION ALL SELECT 'account', fingerprint FROM accounts GROUP BY user_id, fingerprint
    HAVING count(*) > 1"""
# What each link has stored, and what its runs say that they stored.
STORED = """
SELECT l.id, coalesce(sum(r.accounts_created), 0) AS accounts_said,
    coalesce(sum(r.transactions_created), 0) AS transactions_said,
    (SELECT count(*) FROM link_accounts n WHERE n.link_id = l.id) AS accounts,
    (SELECT count(*) FROM transaction_keys k WHERE k.link_id = l.id) AS transactions
FROM links l LEFT JOIN sync_runs r ON r.link_id = l.id GROUP BY l.id"""
EVENTS = """
SELECT r.id, r.status, r.started_at IS NOT NULL AS began,
    (SELECT count(*) FROM events e WHERE e.facts ->> 'run' = r.id::text
        AND e.name = 'sync.started') AS started,
    (SELECT count(*) FROM events e WHERE e.facts ->> 'run' = r.id::text
        AND e.name IN ('sync.completed', 'sync.failed')) AS ended
FROM sync_runs r"""
UNSPLIT = """
SELECT id FROM balance_snapshots
WHERE holdings_value IS NOT NULL AND holdings_value + cash_value <> balance"""
RENEWALS = """
SELECT l.id, l.status, l.lease_holder, c.renewal_fence, l.lease_fence
FROM credentials c JOIN links l ON l.id = c.link_id WHERE c.renewal_fence IS NOT NULL"""


async def hold(engine: Engine, fences: dict[UUID, int]) -> None:
    """Whenever somebody has been killed; `fences` are those that were seen before."""
    async with engine.spy.transaction(isolation="repeatable_read"):
        assert await engine.spy.fetch(DOUBLED) == []  # I2
        for row in await engine.spy.fetch(STORED):  # I3
            assert row["accounts"] == row["accounts_said"]
            assert row["transactions"] == row["transactions_said"]
        for run in await engine.rows("sync_runs", "cursor IS NOT NULL"):  # I4
            pages = int(run["cursor"])
            assert (run["accounts_created"] + run["accounts_unchanged"] > 0) == (pages > 0)
            rows = run["transactions_created"] + run["transactions_unchanged"]
            assert rows == max(pages - 1, 0)
        assert await engine.spy.fetch(UNSPLIT) == []  # I5
        for run in await engine.spy.fetch(EVENTS):  # I6
            assert run["started"] == int(run["began"])
            assert run["ended"] == int(run["status"] in ("SUCCEEDED", "FAILED", "PARTIAL"))
        renewed = await engine.count("events", "name = 'link.credentials_refreshed'")
        told = await engine.audit("link.renew")
        assert renewed == sum(outcome == "SUCCEEDED" for outcome, _ in told)
        for row in await engine.spy.fetch(RENEWALS):  # I7
            assert row["renewal_fence"] <= row["lease_fence"]
            assert row["lease_holder"] or row["status"] == "NEEDS_REAUTHORIZATION"
        for link in await engine.rows("links"):
            assert link["lease_fence"] >= fences.get(link["id"], 0)
            fences[link["id"]] = link["lease_fence"]
        await _sealed_opens(engine)  # I8
        rows = await engine.rows("audit_log")  # I9
        tried = {row["id"].int & ~1 for row in rows if row["outcome"] == "ATTEMPTED"}
        outcomes = [row["id"].int & ~1 for row in rows if row["outcome"] != "ATTEMPTED"]
        assert len(outcomes) == len({*outcomes} & tried)  # one each; none where it was killed


async def settled(engine: Engine, clear: tuple[str, ...]) -> None:
    """Once all has been gone on with; `clear` are texts that lie nowhere."""
    assert await engine.count("jobs.pgqueuer") == 0  # I10
    assert await engine.count("sync_runs", "status IN ('QUEUED', 'RUNNING')") == 0
    assert await engine.count("links", "lease_holder IS NOT NULL") == 0
    stuck = "renewal_fence IS NOT NULL AND NOT EXISTS (SELECT FROM links WHERE id = link_id"
    assert await engine.count("credentials", stuck + " AND status = 'NEEDS_REAUTHORIZATION')") == 0
    assert await engine.count("events", "relayed_at IS NULL") == 0  # I6: each was told
    for table in await engine.every_table():  # I8
        for text in clear:
            where = "t::text LIKE $1 OR t::text LIKE $2"
            spelled = f"%{text.encode().hex()}%"
            assert not await engine.count(f"{table} t", where, f"%{text}%", spelled), (table, text)
    wired = engine.wired
    checkpoints = Checkpoints(wired.settings.checkpoints, wired.audit_keys)
    verdict = await verified(engine.spy, wired.audit_keys, checkpoints)  # I9
    assert verdict.flaw is None
    assert verdict.entries + verdict.waiting == await engine.count("audit_log")


async def _sealed_opens(engine: Engine) -> None:
    for place, column in COLUMNS.items():
        if column.row is None:
            continue
        rows = await engine.spy.fetch(
            f"SELECT user_id, {column.row} AS row, {column.version}::bigint AS version,"
            f" {column.column} AS sealed FROM {column.table} WHERE {column.column} IS NOT NULL"
        )
        for row in rows:
            where = bound_to(place, row["user_id"], row["row"], version=row["version"])
            assert engine.app.vault.open(row["sealed"], context=where)
