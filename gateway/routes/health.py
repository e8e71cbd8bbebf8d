"""Whether this process lives, and whether it may receive traffic."""

from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field

import asyncpg
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from adapters.postgres.pool import answer
from domain.errors import Unavailable
from gateway.migrate import behind

REVISION = "SELECT version_num FROM alembic_version"


@dataclass(slots=True)
class Health:
    """`draining` turns /readyz red before the process stops to listen. Each of `watched` says what
    is wrong and can wait, or None; each of `asked` looks for it, and raises Unavailable where it
    cannot."""

    pool: asyncpg.Pool
    watched: list[Callable[[], str | None]] = field(default_factory=list)
    draining: bool = False
    asked: list[Callable[[], Awaitable[Sequence[str]]]] = field(default_factory=list)

    @property
    def warnings(self) -> list[str]:
        return [said for watch in self.watched if (said := watch()) is not None]

    async def problem(self) -> str | None:
        """Why no traffic may come, or None."""
        if self.draining:
            return "draining"
        try:
            revision = await answer(self.pool, lambda c: c.fetchval(REVISION))
        except asyncpg.UndefinedTableError:
            return "the database has no schema: run `dashtam migrate`"
        except Unavailable as error:
            return str(error)
        if behind(revision):
            return "the database is of another version: run `dashtam migrate`"
        return None

    def routes(self) -> list[Route]:
        return [Route("/healthz", alive), Route("/readyz", self.ready)]

    async def ready(self, _: Request) -> Response:
        problem, warnings = await self.problem(), self.warnings
        if problem is None:
            try:
                warnings += [said for ask in self.asked for said in await ask()]
            except Unavailable as error:
                problem = str(error)
        if problem is None:
            return JSONResponse({"status": "ready", "warnings": warnings})
        return JSONResponse(
            {"status": "not ready", "reason": problem}, 503, headers={"retry-after": "1"}
        )


async def alive(_: Request) -> Response:
    return JSONResponse({"status": "alive"})
