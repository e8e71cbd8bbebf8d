"""What a sync of many transactions of Schwab takes, in a process of its own; and again, nothing."""

import asyncio
import json
import os
import sys
from collections.abc import Mapping
from datetime import timedelta
from pathlib import Path

from domain.sync import SyncStatus
from tests.engine.test_schwab import World, world  # noqa: F401 - a fixture
from tests.engine.world import DATA, MORNING
from tests.providers.simulators.schwab_books import Books, equity, fee

ROOT = Path(__file__).parents[2]
LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
COUNT = 10_000 if LONG else 300
SECONDS_MAX, GROWN_MB_MAX = 5.0, 60.0
YEARS = 4


def traded() -> Books:
    """A share bought and sold, each time with its fees."""
    books = Books("71234567", "A1" * 32, nickname="Trading")
    share = equity("AAPL", "APPLE INC", cusip="037833100")
    first, every = MORNING - timedelta(days=YEARS * 365), timedelta(days=YEARS * 365) / COUNT
    for n in range(COUNT):
        books.trade(
            first + n * every,
            share,
            "-3" if n % 2 else "3",
            "150.10",
            fee("COMMISSION", "0.65"),
            fee("SEC_FEE", "0.02"),
            fee("TAF_FEE", "0"),
            effect="CLOSING" if n % 2 else "OPENING",
            orderId=1_000_000_000_000 + n,
        )
    books.written(books.entries)
    return books


async def test_ten_thousand_transactions_come_in_seconds_and_again_nothing_is_written(
    world: World,  # noqa: F811 - the fixture
) -> None:
    engine = world.engine
    world.sim.books = [traded()]
    link = await world.consent()
    world.sim.requests.clear()
    child = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-m", "tests.engine.schwab_process",
        cwd=ROOT, env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
    )  # fmt: skip
    assert child.stdin is not None
    assert child.stdout is not None

    async def run() -> Mapping[str, float]:
        assert child.stdin is not None
        assert child.stdout is not None
        [waiting] = await engine.rows("sync_runs", "status = 'QUEUED'")
        said = {
            "url": engine.database.app_url, "data_dir": str(engine.data_dir),
            "host": world.sim.host, "at": engine.clock().isoformat(),
            "user": str(world.actor.user_id), "run": str(waiting["id"]),
        }  # fmt: skip
        child.stdin.write(json.dumps(said).encode() + b"\n")
        answer = await child.stdout.readline()
        assert (await engine.one("sync_runs", "id = $1", waiting["id"]))["status"] == "SUCCEEDED"
        figures: Mapping[str, float] = json.loads(answer)
        return figures

    first = await run()
    assert await engine.count("transactions") == COUNT
    assert len(world.sim.requests) <= 3 + 10 + 4  # of years, some of them in halves
    before, version = await engine.written(*DATA), await engine.version()
    events = len(await engine.events())
    engine.clock.turn(minutes=6)
    [asked] = await engine.request(link_id=link.id, force=True)
    again = await run()

    assert asked.status is SyncStatus.QUEUED
    assert (await engine.written(*DATA), await engine.version()) == (before, version)
    assert (await engine.events())[events:] == ["sync.started", "sync.completed"]
    child.stdin.close()
    assert await child.wait() == 0
    if LONG:
        sys.stdout.write(f"{COUNT} transactions: {first}, again: {again}\n")
        assert max(first["seconds"], again["seconds"]) < SECONDS_MAX
        assert max(first["grown_mb"], again["grown_mb"]) <= GROWN_MB_MAX
