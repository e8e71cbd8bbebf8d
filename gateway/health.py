"""Whether this process lives, and whether it may receive traffic."""

import asyncio
from dataclasses import dataclass, field

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.postgres.pool import AWAY
from gateway.migrate import behind

CHECK_S_MAX = 3.0


@dataclass(slots=True)
class Health:
    """`draining` turns /readyz red before the process stops to listen."""

    pool: asyncpg.Pool
    warnings: list[str] = field(default_factory=list)
    draining: bool = False

    async def problem(self) -> str | None:
        """Why no traffic may come, or None."""
        if self.draining:
            return "draining"
        try:
            async with asyncio.timeout(CHECK_S_MAX):
                revision = await self.pool.fetchval("SELECT version_num FROM alembic_version")
        except asyncpg.UndefinedTableError:
            return "the database has no schema: run `dashtam migrate`"
        except (*AWAY, asyncpg.InterfaceError):
            return "the database is away"
        if behind(revision):
            return "the database is of another version: run `dashtam migrate`"
        return None

    def routes(self) -> list[Route]:
        return [Route("/healthz", _alive), Route("/readyz", self._ready)]

    async def _ready(self, _: Request) -> Response:
        problem = await self.problem()
        if problem is None:
            return JSONResponse({"status": "ready", "warnings": self.warnings})
        return JSONResponse(
            {"status": "not ready", "reason": problem}, 503, headers={"retry-after": "1"}
        )


async def _alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})
