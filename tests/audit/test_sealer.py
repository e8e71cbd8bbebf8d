"""Sealing: every row once, whoever seals and whenever it commits."""

import asyncio
import resource
from datetime import UTC, datetime, timedelta
from pathlib import Path

import asyncpg
import pytest

from adapters.security.audit import AuditKeys
from adapters.security.keyring import Keyring
from domain.audit import AuditOutcome
from gateway.audit.checkpoints import Checkpoints
from gateway.audit.sealer import Sealer
from gateway.settings import SettingsError
from tests.audit.log import BEFORE_MACS, Log
from tests.postgres.writes.world import connected

CHAIN = "SELECT position, seq FROM audit_chain ORDER BY position"


async def test_a_row_that_commits_late_is_sealed_behind_those_that_were_faster(own: Log) -> None:
    attempt = await own.attempt(None)
    async with connected(own.database.superuser_url) as slow:
        transaction = slow.transaction()
        await transaction.start()
        late = await slow.fetchval(
            "INSERT INTO audit_log (user_id, at, action, outcome, id, mac)"
            " SELECT user_id, at, action, 'FAILED', $1, mac FROM audit_log RETURNING seq",
            attempt.row_id(AuditOutcome.FAILED),
        )
        await own.attempt(None)
        await own.seal()
        await transaction.commit()
    await own.seal()

    chain = [tuple(row) for row in await own.rows(CHAIN)]
    assert chain == [(1, late - 1), (2, late + 1), (3, late)]
    assert not await own.rows("SELECT FROM audit_unsealed")


async def test_several_workers_at_once_make_one_chain(own: Log) -> None:
    sealers = [own.sealer() for _ in range(4)]
    for _ in range(5):
        writing = asyncio.gather(*(own.attempt() for _ in range(4)))
        await asyncio.gather(*(sealer.run() for sealer in sealers))
        await writing
    await asyncio.gather(*(sealer.run() for sealer in sealers))
    for sealer in sealers:
        await sealer.close()

    verdict = await own.verdict()
    assert (verdict.flaw, verdict.entries, verdict.waiting) == (None, 40, 0)
    assert verdict.vouched == 40


async def test_a_worker_that_is_killed_before_its_checkpoint_is_made_up_for_by_the_next(
    own: Log,
) -> None:
    await own.attempt()
    await own.seal()
    await own.attempt()
    killed = Sealer(own.pool, own.keys, own.checkpoints, lambda: datetime.now(UTC))
    assert not await killed._batch()  # committed, and nothing said of it
    assert (await own.verdict()).vouched == 2

    await own.attempt()
    await own.seal()
    verdict = await own.verdict()
    assert (verdict.flaw, verdict.vouched) == (None, 6)


async def test_a_chain_that_was_cut_off_is_not_gone_on_with(own: Log) -> None:
    for _ in range(2):
        await own.attempt()
        await own.seal()
    await own.superuser.execute("SET session_replication_role = replica")
    await own.superuser.execute("DELETE FROM audit_chain WHERE position > 2")
    await own.superuser.execute("DELETE FROM audit_log WHERE seq > 2")
    await own.superuser.execute("SET session_replication_role = origin")
    await own.attempt()
    await own.seal()

    assert len(await own.rows(CHAIN)) == 2
    verdict = await own.verdict()
    assert verdict.flaw is not None
    assert (verdict.flaw.position, verdict.waiting) == (3, 2)


async def test_rows_from_before_there_were_macs_are_sealed_first_and_then_no_more_are_taken(
    own: Log,
) -> None:
    """While a gateway of the release before may still write some, the others wait: it may have
    been idle for long, and go on until it is replaced."""
    at = datetime.now(UTC) - timedelta(minutes=11)
    await own.superuser.execute(BEFORE_MACS, own.people[0].user_id, at)
    await own.attempt()
    await own.seal(timedelta())
    assert [row["seq"] for row in await own.rows(CHAIN)] == [1]
    await own.seal(timedelta(minutes=9))  # nothing: a gateway of before may have more to say
    assert len(await own.rows(CHAIN)) == 1
    await own.superuser.execute(BEFORE_MACS, own.people[0].user_id, at)
    await own.seal(timedelta(minutes=9))
    assert [row["seq"] for row in await own.rows(CHAIN)] == [1, 4]

    await own.seal(timedelta(minutes=10))
    assert [row["seq"] for row in await own.rows(CHAIN)] == [1, 4, 2, 3]
    assert (await own.verdict()).flaw is None

    await own.superuser.execute(BEFORE_MACS, own.people[0].user_id, at)
    await own.seal()
    flaw = (await own.verdict()).flaw
    assert flaw is not None
    assert (flaw.position, flaw.what) == (5, "the row has no MAC: it was not written by Dashtam")


async def test_a_row_of_the_far_future_does_not_stop_the_sealing(own: Log) -> None:
    at = datetime.now(UTC) + timedelta(days=9_000)
    await own.superuser.execute(BEFORE_MACS, own.people[0].user_id, at)
    await own.attempt()
    await own.seal()
    await own.seal()
    assert [row["seq"] for row in await own.rows(CHAIN)] == [1, 2, 3]


async def test_nothing_more_is_sealed_while_no_checkpoint_can_be_written(own: Log) -> None:
    sealer = own.sealer()
    own.checkpoints.folder.rename(away := own.checkpoints.folder.with_name("away"))
    await own.attempt()
    await sealer.run()
    await own.attempt()
    await sealer.run()
    assert len(await own.rows(CHAIN)) == 2
    assert len(await own.rows("SELECT FROM audit_unsealed")) == 2  # which /readyz warns of

    away.rename(own.checkpoints.folder)
    sealer._written_at = float("-inf")
    await sealer.run()
    await sealer.close()
    assert (await own.verdict()).vouched == 4


@pytest.mark.parametrize("table", ["audit_chain", "audit_log"])
@pytest.mark.parametrize("statement", ["UPDATE {} SET seq = 0", "DELETE FROM {}", "TRUNCATE {}"])
async def test_nobody_changes_what_was_sealed(own: Log, table: str, statement: str) -> None:
    said = statement.format(table).replace("SET seq = 0", "SET seq = DEFAULT")
    with pytest.raises(asyncpg.PostgresError, match="append-only"):
        await own.superuser.execute(said)
    async with connected(own.database.app_url) as app:
        with pytest.raises(asyncpg.InsufficientPrivilegeError, match="permission denied"):
            await app.execute(said)


async def test_a_checkpoint_that_was_cut_short_says_nothing_and_spoils_nothing(own: Log) -> None:
    await own.attempt()
    await own.seal()
    [path] = own.checkpoints.folder.glob("audit-*.jsonl")
    whole = path.read_bytes()
    with path.open("ab") as file:
        file.write(whole[:-70])  # without its end, and without a line's
    await own.attempt()
    await own.seal()

    verdict = await own.verdict()
    assert (verdict.flaw, verdict.checkpoints, verdict.torn) == (None, 2, 1)
    assert own.checkpoints.newest() is not None


@pytest.mark.parametrize(
    ("said", "is_ours"),
    [
        ('"position": Infinity, "key": ""', True),
        ('"position": 1, "key": "\\ud800"', True),
        ('"position": 1, "key": ""', False),
    ],
)
async def test_whatever_stands_among_checkpoints_neither_stops_a_worker_nor_hides_the_others(
    own: Log, said: str, is_ours: bool
) -> None:
    await own.attempt()
    await own.seal()
    [path] = own.checkpoints.folder.glob("audit-*.jsonl")
    with path.open("a") as file:
        file.write(f'{{{said}, "seq": 1, "hash": "", "at": "2026-01-01", "signature": ""}}\n')
    newest = own.checkpoints.newest()
    assert newest is not None
    assert newest.position == 2
    assert [(line.checkpoint, line.is_ours) for line in own.checkpoints.read()] == [
        (newest, True),
        (None, is_ours),
    ]


def test_a_checkpoint_of_which_the_disk_took_only_a_part_is_none(tmp_path: Path) -> None:
    checkpoints = Checkpoints(tmp_path, AuditKeys(Keyring.new()))
    first = checkpoints.made(position=1, seq=1, hash=bytes(32), at=datetime.now(UTC))
    limits = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (100, limits[1]))
    try:
        with pytest.raises(OSError, match="No space left"):
            checkpoints.append(first)
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, limits)
    checkpoints.append(first)
    assert [line.checkpoint for line in checkpoints.read()] == [None, first]


async def test_the_last_checkpoint_is_in_the_last_file_though_the_clock_was_set_back(
    own: Log,
) -> None:
    for ahead in (timedelta(days=40), timedelta()):
        await own.attempt()
        await own.seal(ahead)
    newest = own.checkpoints.newest()
    assert newest is not None
    assert newest.position == 4
    assert len([*own.checkpoints.folder.iterdir()]) == 1


async def test_a_checkpoint_that_we_did_not_sign_is_named(own: Log) -> None:
    await own.attempt()
    await own.seal()
    [path] = own.checkpoints.folder.glob("audit-*.jsonl")
    path.write_text(path.read_text().replace('"position": 2', '"position": 1'))

    flaw = (await own.verdict()).flaw
    assert flaw is not None
    assert flaw.what == f"{path.name}, line 1: this checkpoint was not signed with our key"


async def test_checkpoints_are_for_us_alone_and_a_folder_that_cannot_be_is_refused(
    own: Log, tmp_path: Path
) -> None:
    await own.attempt()
    await own.seal()
    [path] = own.checkpoints.folder.glob("audit-*.jsonl")
    assert (path.stat().st_mode & 0o777, own.checkpoints.folder.stat().st_mode & 0o777) == (
        0o600,
        0o700,
    )
    (tmp_path / "file").touch()
    with pytest.raises(SettingsError, match="set DASHTAM_AUDIT_CHECKPOINTS to a folder"):
        Checkpoints(tmp_path / "file" / "folder", own.keys).open()
