"""What is said of a sealer that stopped, and of a log that was changed."""

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from adapters.postgres.pool import Pool, open_pool
from domain.audit import COLUMNS
from gateway.audit.patrol import PAUSE_S, Patrol
from gateway.audit.watching import Sealing
from gateway.settings import Settings
from tests.audit.log import Log


@pytest.fixture
async def pool(own: Log) -> AsyncIterator[Pool]:
    pool = await open_pool(own.database.app_url, 1)
    yield pool
    await pool.close()


@pytest.fixture
def sealing(own: Log, pool: Pool) -> Sealing:
    return Sealing(pool, own.keys, Settings(audit_checkpoints=Path("elsewhere")))


async def test_a_sealer_that_stopped_is_a_warning_after_a_minute(
    own: Log, sealing: Sealing
) -> None:
    assert await sealing.warnings() == []
    await own.attempt()
    assert await sealing.warnings() == []

    await own.superuser.execute("UPDATE audit_unsealed SET since = now() - interval '61 seconds'")
    [warning] = await sealing.warnings()
    assert "has not been sealed for 61 s" in warning

    await own.seal()
    assert await sealing.warnings() == []


async def test_without_a_place_for_checkpoints_production_says_so(own: Log, pool: Pool) -> None:
    [warning] = await Sealing(pool, own.keys, Settings()).warnings()
    assert "set DASHTAM_AUDIT_CHECKPOINTS" in warning


async def test_the_patrol_reports_what_it_found_until_a_round_finds_nothing(
    own: Log, sealing: Sealing
) -> None:
    patrol = Patrol(own.keys, own.checkpoints, lambda: datetime.now(UTC))
    assert not (await sealing.integrity()).intact  # nobody has looked

    first = await own.attempt()
    await own.seal()
    assert await patrol.step(own.pool) is None
    found = await sealing.integrity()
    assert (found.intact, found.entries, found.first_broken_id) == (True, 2, None)

    await own.superuser.execute("SET session_replication_role = replica")
    await own.superuser.execute("UPDATE audit_log SET ip_address = 'x' WHERE seq = 2")
    patrol._begin_at -= PAUSE_S
    flaw = await patrol.step(own.pool)
    assert flaw is not None
    assert flaw.position == 2
    found = await sealing.integrity()
    assert not found.intact
    assert found.first_broken_id is not None
    assert found.first_broken_id.int == first.id.int | 1
    assert any("dashtam audit verify" in said for said in await sealing.warnings())

    await own.superuser.execute("UPDATE audit_log SET ip_address = '192.0.2.1' WHERE seq = 2")
    patrol._begin_at -= PAUSE_S
    assert await patrol.step(own.pool) is None
    assert (await sealing.integrity()).intact


async def test_the_patrol_sees_what_is_outside_of_the_chain(own: Log) -> None:
    await own.attempt()
    await own.seal()
    await own.attempt()
    await own.superuser.execute("DELETE FROM audit_unsealed")  # never to be sealed
    flaw = await Patrol(own.keys, own.checkpoints, lambda: datetime.now(UTC)).step(own.pool)
    assert flaw is not None
    assert (flaw.position, flaw.seq) == (None, 3)


async def test_the_patrol_sees_a_row_that_was_said_twice_though_it_is_sealed(own: Log) -> None:
    await own.attempt()
    await own.superuser.execute("DROP INDEX ux_audit_log_id")
    columns = ", ".join((*COLUMNS, "mac"))
    await own.superuser.execute(
        f"INSERT INTO audit_log ({columns}) SELECT {columns} FROM audit_log WHERE seq = 1"
    )
    await own.seal()
    flaw = await Patrol(own.keys, own.checkpoints, lambda: datetime.now(UTC)).step(own.pool)
    assert flaw is not None
    assert (flaw.what, flaw.seq) == ("the row is a copy of another one", 3)


async def test_without_checkpoints_the_patrol_vouches_for_nothing(
    own: Log, sealing: Sealing
) -> None:
    await own.attempt()
    await own.seal()
    for path in own.checkpoints.folder.iterdir():
        path.unlink()
    assert await Patrol(own.keys, own.checkpoints, lambda: datetime.now(UTC)).step(own.pool) is None
    assert not (await sealing.integrity()).intact


async def test_a_report_that_no_worker_of_ours_made_or_an_old_one_counts_for_nothing(
    own: Log, sealing: Sealing
) -> None:
    patrol = Patrol(own.keys, own.checkpoints, lambda: datetime.now(UTC))
    await patrol.step(own.pool)
    assert (await sealing.integrity()).intact
    assert await sealing.warnings() == []
    await own.superuser.execute("UPDATE audit_report SET entries = 1000")
    assert not (await sealing.integrity()).intact
    [warning] = await sealing.warnings()
    assert "is not what was written" in warning

    ago = Patrol(own.keys, own.checkpoints, lambda: datetime.now(UTC) - timedelta(minutes=6))
    await ago.step(own.pool)
    assert not (await sealing.integrity()).intact
    [warning] = await sealing.warnings()
    assert "Nobody has vouched for the audit log since" in warning
