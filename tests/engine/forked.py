"""Runs a sync in a process that can be killed: `python -m tests.engine.forked`.

It forks a child for each line of JSON that it reads, so that only the first one waits for imports,
and answers with the child's id, and with "ended" and its exit code when it is gone.
"""

from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

from adapters.providers.sandbox import Sandbox
from domain.commands.running import RunSync, run_sync
from domain.identity import Actor, Role, UserId, new_id
from domain.sync import RunId
from gateway.wiring.root import wire
from tests.engine.forking import serve
from tests.engine.world import settings_of
from tests.servers import Database


async def run(said: Mapping[str, Any]) -> None:
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


if __name__ == "__main__":
    serve(run)
