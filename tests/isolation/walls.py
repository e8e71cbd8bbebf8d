"""The two walls, and how a test takes one of them away: what a statement says, and its role."""

import re
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from enum import Enum
from typing import Any

import asyncpg
from sqlalchemy import event
from sqlalchemy.ext.asyncio import AsyncEngine

from adapters.postgres.connections import open_engine

Rewrite = Callable[[str], str]

CONDITION = re.compile(r"\b(?:\w+\.)?user_id = (\$\d+)(?:::\w+)?(?![\w.])")


class Walls(Enum):
    """Which of them stand."""

    BOTH = "both"
    EITHER = "both, or row-level security alone, from step to step"
    ROW_LEVEL_SECURITY = "row-level security alone"
    CONDITIONS = "the statements' own conditions alone"


@dataclass(slots=True)
class Statements:
    """What they say instead, which a test may change while they run."""

    rewrite: Rewrite

    def __call__(self, statement: str) -> str:
        return self.rewrite(statement)


def as_it_is(statement: str) -> str:
    return statement


def without_conditions(statement: str) -> str:
    """Without `user_id = me`, in whose place stands what is always true; an INSERT's values, and
    joins of a row with its parent's, stay."""
    return CONDITION.sub(r"\1::uuid IS NOT NULL", statement)


@asynccontextmanager
async def rewriting_pool(url: str, size: int, rewrite: Rewrite) -> AsyncIterator[asyncpg.Pool]:
    """The read pool as production has it, but for what its statements say."""

    class Rewriting(asyncpg.Connection):  # type: ignore[misc]  # asyncpg has no types
        async def fetch(self, query: str, *given: Any, **said: Any) -> Any:
            return await super().fetch(rewrite(query), *given, **said)

    async def not_reset(_: Any) -> None:
        """As in production."""

    async with asyncpg.create_pool(
        url, min_size=size, max_size=size, reset=not_reset, connection_class=Rewriting
    ) as pool:
        yield pool


@asynccontextmanager
async def rewriting_engine(url: str, size: int, rewrite: Rewrite) -> AsyncIterator[AsyncEngine]:
    """The write engine likewise."""
    engine = open_engine(url, size)

    def rewritten(_: Any, __: Any, statement: str, given: Any, *___: Any) -> tuple[str, Any]:
        return rewrite(statement), given

    event.listen(engine.sync_engine, "before_cursor_execute", rewritten, retval=True)
    try:
        yield engine
    finally:
        await engine.dispose()
