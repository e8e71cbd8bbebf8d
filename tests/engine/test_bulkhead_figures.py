"""How long syncs take while another provider is well, and while it is dead."""

import asyncio
import os
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.providers.kit import Http
from domain.sync import Page, PullRequest
from tests.engine.test_leases import no_job_left, until, working
from tests.engine.world import Clock, Engine, running_engine
from tests.providers.fakes import outside
from tests.providers.simulators.base import Simulator
from tests.providers.toy import Toy
from tests.servers import Database

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
STATES = ("absent", "well", "dead")  # by turns, since the machine is not ours alone
ROUNDS, LINKS, ENTRIES = (30, 20, 100) if LONG else (1, 4, 5)
TOOK = """
SELECT extract(epoch FROM r.finished_at - r.queued_at) * 1000 AS waited_and_ran,
    extract(epoch FROM r.finished_at - r.started_at) * 1000 AS ran
FROM sync_runs r JOIN links l ON l.id = r.link_id
WHERE l.provider_slug = 'well' AND r.status = 'SUCCEEDED' AND r.queued_at >= $1"""


class Bank(Simulator):
    def routes(self) -> Sequence[BaseRoute]:
        paths = {"/me": self.me, "/accounts": self.accounts, "/entries": self.entries}
        return [Route(path, answer) for path, answer in paths.items()]

    async def me(self, request: Request) -> Response:
        return JSONResponse({"id": request.headers["authorization"]})

    async def accounts(self, request: Request) -> Response:
        account = {"id": "a", "name": request.headers["authorization"], "type": "current"}
        held = {"currency": "EUR", "owed": "-5", "at": "2026-11-20T09:00:00Z"}
        return JSONResponse({"rows": [account | held]})

    async def entries(self, request: Request) -> Response:
        row = {"account": "a", "currency": "EUR", "out": "1.50", "text": "Tea", "on": "2026-11-20"}
        return JSONResponse({"rows": [row | {"id": str(number)} for number in range(ENTRIES)]})


class Mortal(Toy):
    """Its pulls hang while `alive` is not set."""

    def __init__(self, slug: str, http: Http) -> None:
        super().__init__(http)
        self.info, self.alive = replace(Toy.info, slug=slug), asyncio.Event()
        self.alive.set()

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        await self.alive.wait()
        async for page in super().pull(request):
            yield page


class Now(Clock):
    def __call__(self) -> datetime:
        return datetime.now(UTC)


async def measured(engine: Engine, other: Mortal, state: str) -> Sequence[Any]:
    """Of each sync of the one that is well, where all links are asked for at once; those of the
    other too, unless it is "absent"."""
    if state == "dead":
        other.alive.clear()
    other.info = replace(other.info, enabled=state != "absent")
    began = engine.app.now()
    await engine.request(force=True)
    of_well = "link_id IN (SELECT id FROM links WHERE provider_slug = 'well')"
    pending = f"(SELECT count(*) AS n FROM sync_runs WHERE finished_at IS NULL AND {of_well}) AS q"
    await until(engine, pending, "n = 0")
    took: Sequence[Any] = await engine.spy.fetch(TOOK, began)
    other.alive.set()
    await no_job_left(engine)
    return took


async def test_syncs_take_as_long_while_another_provider_is_dead(
    database: Database, tmp_path: Path
) -> None:
    took: dict[str, list[Any]] = {state: [] for state in STATES}
    async with Bank() as bank, Bank() as other_bank:
        shared = outside(None, bank.host, other_bank.host)
        async with shared.http("well", bank.url) as http, shared.http("x", other_bank.url) as x:
            well, other = Mortal("well", http), Mortal("other", x)
            async with running_engine(database, tmp_path, other, well) as made:
                app = replace(made.app, now=(now := Now()))
                engine = replace(made, app=app, wired=replace(made.wired, app=app), clock=now)
                for slug in ("other", "well"):  # so that the other's are the first in the queue
                    for number in range(LINKS):
                        await engine.connect(provider=slug, key=f"{slug}{number}")
                async with working(engine):
                    await no_job_left(engine)
                    for state in STATES * ROUNDS:
                        took[state] += await measured(engine, other, state)

    assert {len(rows) for rows in took.values()} == {ROUNDS * LINKS}
    if LONG:
        for of in ("waited_and_ran", "ran"):
            for state, rows in took.items():
                times = sorted(float(row[of]) for row in rows)
                p50, p99 = (times[len(times) * part // 100] for part in (50, 99))
                print(f"{of}, the other {state}: p50 {p50:.1f} ms, p99 {p99:.1f} ms")  # noqa: T201
