"""Workers that are killed with SIGKILL at any time: nothing is lost, nothing is stored twice."""

import asyncio
import json
import os
import random
import signal
import sys
import time
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from domain.sync import LEASE, SyncStatus
from tests.engine.world import DATA, MORNING, Engine, running_engine
from tests.servers import Postgres

KILLS = 60 if os.environ.get("DASHTAM_TEST_LONG") == "1" else 8
KILLS_A_RUN = 4  # more without a page in between, and it is given up
LATENCY_S = 0.03
SEED = 20261122
OF_A_RUN = ("accounts", "holdings", "transactions")


@dataclass(slots=True)
class Forked:
    process: asyncio.subprocess.Process

    async def begin(self, engine: Engine, run: object) -> int:
        said = {
            "url": engine.database.app_url,
            "data_dir": str(engine.data_dir),
            "user": str(engine.actor.user_id),
            "run": str(run),
            "at": engine.clock.at.isoformat(),
            "latency_s": str(LATENCY_S),
        }
        assert self.process.stdin is not None
        self.process.stdin.write(json.dumps(said).encode() + b"\n")
        return int(await self.line())

    async def line(self) -> str:
        assert self.process.stdout is not None
        async with asyncio.timeout(60):
            return (await self.process.stdout.readline()).decode().strip()


@pytest.fixture
async def forked() -> AsyncIterator[Forked]:
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.forked"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    yield Forked(process)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


def counted(run: Mapping[str, Any]) -> dict[str, Any]:
    return {k: v for k, v in run.items() if k.startswith(OF_A_RUN)}


def differences(now: Mapping[str, Any], expected: Mapping[str, Any]) -> list[tuple[str, str]]:
    assert now.keys() == expected.keys()
    pairs = [(Counter(now[table]), Counter(rows)) for table, rows in expected.items()]
    more = [("more", row) for ours, theirs in pairs for row in ours - theirs]
    return more + [("less", row) for ours, theirs in pairs for row in theirs - ours]


async def undisturbed(postgres: Postgres, tmp_path: Path, forked: Forked) -> tuple[Any, Any, float]:
    """What a run that nobody kills leaves, and the seconds that it takes."""
    async with (
        postgres.fresh_database() as database,
        running_engine(database, tmp_path / "calm") as engine,
    ):
        await engine.connect()
        [row] = await engine.rows("sync_runs")
        await forked.begin(engine, row["id"])
        assert await forked.line() == "ended 0"
        run, facts = await engine.one("sync_runs"), await engine.facts()
        assert run["status"] == "SUCCEEDED"
        [again] = await engine.request(force=True)
        began = time.monotonic()
        await forked.begin(engine, again.id)
        assert await forked.line() == "ended 0"
        return facts, counted(run), time.monotonic() - began


async def holds(engine: Engine) -> None:
    """What must be true whenever a worker has been killed."""
    doubled = await engine.spy.fetch(
        "SELECT account_id, key FROM transaction_keys GROUP BY 1, 2 HAVING count(*) > 1"
        " UNION ALL SELECT id, '' FROM transactions t WHERE NOT EXISTS"
        " (SELECT FROM transaction_keys k WHERE k.transaction_id = t.id)"
    )
    assert doubled == []  # I2
    run = await engine.one("sync_runs")
    for table in ("accounts", "transactions"):
        assert run[f"{table}_created"] == await engine.count(table)  # I3, I4: whole pages only
    link = await engine.one("links")
    if run["status"] == "RUNNING":
        assert link["lease_until"] is not None  # I7
        assert run["attempts"] <= 5
    ended = await engine.count("events", "name = 'sync.completed'")
    assert ended == (1 if run["status"] == "SUCCEEDED" else 0)  # I6
    assert await engine.count("events", "name = 'sync.started'") <= 1
    rows = await engine.rows("audit_log", "action = 'sync.run'")
    tried = {row["id"].int & ~1 for row in rows if row["outcome"] == "ATTEMPTED"}
    outcomes = [row["id"].int & ~1 for row in rows if row["outcome"] != "ATTEMPTED"]
    assert len(outcomes) == len({*outcomes} & tried)  # one each; none where it was killed


async def test_a_killed_workers_run_ends_as_if_nobody_had_been_killed(
    postgres: Postgres, tmp_path: Path, forked: Forked
) -> None:
    expected, counts, took = await undisturbed(postgres, tmp_path, forked)
    dice = random.Random(SEED)
    killed, rounds, resumed = 0, 0, 0
    while killed < KILLS:
        rounds += 1
        assert rounds < 3 * KILLS, "the runs end before they are killed"
        async with (
            postgres.fresh_database() as database,
            running_engine(database, tmp_path / str(rounds)) as engine,
        ):
            await engine.connect()
            [row] = await engine.rows("sync_runs")
            fences: list[int] = []
            while (await engine.one("sync_runs"))["status"] in ("QUEUED", "RUNNING"):
                child = await forked.begin(engine, row["id"])
                if killed < KILLS and len(fences) < KILLS_A_RUN:
                    await asyncio.sleep(dice.uniform(0, took))
                    os.kill(child, signal.SIGKILL)
                killed += (await forked.line()) == f"ended {-signal.SIGKILL}"
                resumed += (await engine.one("sync_runs"))["cursor"] is not None
                # One snapshot: the last word of a killed worker may still be on its way.
                async with engine.spy.transaction(isolation="repeatable_read"):
                    await holds(engine)
                fences.append((await engine.one("links"))["lease_fence"])
                engine.clock.at += LEASE + LEASE / 60
            assert fences == sorted(fences)
            assert differences(await engine.facts(), expected) == [], f"{SEED=} {rounds=}"
            run = await engine.one("sync_runs")
            assert (run["status"], counted(run)) == ("SUCCEEDED", counts)
            assert (await engine.one("links"))["lease_holder"] is None
            await in_vain(engine)
    assert resumed > 0, "no kill hit a run between two pages"


async def in_vain(engine: Engine) -> None:
    before, version = await engine.written(*DATA), await engine.version()
    engine.clock.at = engine.clock.at.replace(hour=23)  # still the day of the first sync
    assert engine.clock.at.date() == MORNING.date()
    assert (await engine.sync()).status is SyncStatus.SUCCEEDED
    assert (await engine.written(*DATA), await engine.version()) == (before, version)


async def test_a_run_that_never_stores_a_page_is_given_up(engine: Engine) -> None:
    link = await engine.connect()
    [row] = await engine.rows("sync_runs")
    await engine.spy.execute("UPDATE sync_runs SET attempts = 5, status = 'RUNNING'")
    run = await engine.run(row["id"])
    assert run.status is SyncStatus.FAILED
    assert run.error is not None
    assert "5 attempts" in run.error.message
    stored = await engine.link(link.id)
    assert (stored["consecutive_failures"], stored["lease_until"]) == (1, None)
    assert replace(run, finished_at=None).attempts == 5
