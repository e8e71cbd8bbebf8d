"""Runs a sync in a process that can be killed: `python -m tests.engine.forked`.

It forks a child for each line of JSON that it reads, so that only the first one waits for imports,
and answers with the child's id, and with "ended" and its exit code when it is gone.
"""

import asyncio
import json
import os
import sys
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from uuid import UUID

import structlog

from adapters.providers.sandbox import Sandbox
from domain.commands.running import RunSync, run_sync
from domain.identity import Actor, Role, UserId, new_id
from domain.sync import RunId
from gateway.wiring import wire
from tests.engine.world import settings_of
from tests.servers import Database


async def run(said: dict[str, str]) -> None:
    database = Database(
        name="", app_url=said["url"], owner_url=said["url"], superuser_url=said["url"]
    )
    at = datetime.fromisoformat(said["at"])
    async with wire(settings_of(database, Path(said["data_dir"]))) as wired:
        sandbox = Sandbox(latency_s=float(said["latency_s"]))
        app = replace(
            wired.app,
            now=lambda: at,
            providers={**wired.app.providers, "sandbox": sandbox},
        )
        actor = Actor(user_id=UserId(UUID(said["user"])), role=Role.USER)
        cmd = RunSync(actor=actor, run_id=RunId(UUID(said["run"])), worker=new_id(), at=at)
        await run_sync(app, cmd)


def main() -> None:
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            asyncio.run(run(json.loads(line)))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        # It is reaped with the next line: until then its id is nobody else's.
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        sys.stdout.write(f"ended {code}\n")
        sys.stdout.flush()


if __name__ == "__main__":
    main()
