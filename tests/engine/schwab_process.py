"""Runs syncs of Schwab in a process of its own, to see what they take: `python -m` this.

For each line of JSON it answers with one: seconds, those of them that it worked, and by how many MB it grew at most.
"""

import asyncio
import gc
import json
import sys
from dataclasses import replace
from datetime import datetime
from functools import partial
from pathlib import Path
from time import perf_counter, process_time
from uuid import UUID

import structlog

from adapters.providers import Client
from adapters.providers.schwab import Schwab
from domain.commands.running import RunSync, run_sync
from domain.identity import Actor, Role, UserId, new_id
from domain.sync import RunId
from gateway.wiring.root import wire
from tests.engine.world import settings_of
from tests.providers.fakes import outside
from tests.providers.simulators.schwab import CLIENT_ID, CLIENT_SECRET
from tests.servers import Database

KB = 1024


async def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    said = json.loads(sys.stdin.readline())
    url = said["url"]
    database = Database(name="", app_url=url, owner_url=url, superuser_url=url)
    async with wire(settings_of(database, Path(said["data_dir"]))) as wired:
        client = Client(base_url=f"http://{said['host']}", id=CLIENT_ID, secret=CLIENT_SECRET)
        schwab = Schwab(outside(None, said["host"]), client)
        while said:
            at = datetime.fromisoformat(said["at"])
            known = {**wired.app.providers, "schwab": schwab}
            app = replace(wired.app, now=partial(max, at, at), providers=known)
            actor = Actor(user_id=UserId(UUID(said["user"])), role=Role.USER)
            cmd = RunSync(actor=actor, run_id=RunId(UUID(said["run"])), worker=new_id(), at=at)
            before = forget_peak()
            began, worked = perf_counter(), process_time()
            await run_sync(app, cmd)
            figures = {
                "seconds": perf_counter() - began,
                "cpu_s": process_time() - worked,
                "grown_mb": (memory("VmHWM") - before) / KB,
            }
            sys.stdout.write(json.dumps(figures) + "\n")
            sys.stdout.flush()
            said = json.loads(sys.stdin.readline() or "null")


def forget_peak() -> int:
    """What is resident now, from which on the most is noted. In KB."""
    gc.collect()
    Path("/proc/self/clear_refs").write_text("5")
    return memory("VmRSS")


def memory(name: str) -> int:
    lines = Path("/proc/self/status").read_text().splitlines()
    [line] = [line for line in lines if line.startswith(f"{name}:")]
    return int(line.split()[1])


if __name__ == "__main__":
    asyncio.run(main())
