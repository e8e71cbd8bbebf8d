"""Whatever a superuser does to the log is found, and the first bad row is named."""

import os
import random
from collections import Counter

import asyncpg

from domain.audit import COLUMNS
from tests.audit.log import Log
from tests.audit.tampering import ROWS, TRICKS, Tamper

COUNT = 1_000 if os.environ.get("DASHTAM_TEST_LONG") else 66


async def test_a_log_that_nobody_touched_is_intact(log: Log) -> None:
    verdict = await log.verdict()

    assert verdict.flaw is None
    assert (verdict.entries, verdict.waiting, verdict.torn) == (43, 4, 0)
    assert verdict.checkpoints == 4
    assert verdict.vouched == 43


async def test_a_copy_with_the_last_of_all_numbers_is_named(
    log: Log, undone: asyncpg.Connection
) -> None:
    columns = ", ".join((*COLUMNS, "mac"))
    await undone.execute("DROP INDEX ux_audit_log_id")
    await undone.execute(
        f"INSERT INTO audit_log (seq, {columns}) OVERRIDING SYSTEM VALUE"
        f" SELECT {2**63 - 1}, {columns} FROM audit_log WHERE mac IS NOT NULL LIMIT 1"
    )
    flaw = (await log.verdict()).flaw
    assert flaw is not None
    assert (flaw.what, flaw.seq) == ("the row is a copy of another one", 2**63 - 1)


async def test_every_tampering_is_found_and_its_first_bad_row_is_named(
    log: Log, undone: asyncpg.Connection
) -> None:
    rows = await log.rows(ROWS)
    checkpoints = [line.checkpoint.position for line in log.checkpoints.read() if line.checkpoint]
    done: Counter[str] = Counter()
    for number in range(COUNT):
        dice, trick = random.Random(number), TRICKS[number % len(TRICKS)]
        attempt = undone.transaction()
        await attempt.start()
        await undone.execute("SET LOCAL session_replication_role = replica")  # no trigger stops it
        bad = await trick(Tamper(undone, dice, rows, checkpoints))
        flaw = (await log.verdict()).flaw
        await attempt.rollback()

        said = f"{trick.__name__} {number}: {flaw}"
        assert flaw is not None, said
        assert flaw.position == bad.position, said
        assert bad.seq in {None, flaw.seq}, said
        done[trick.__name__] += 1

    assert (await log.verdict()).flaw is None
    assert done.total() == COUNT
    assert len(done) == len(set(TRICKS))
