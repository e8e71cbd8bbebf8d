"""Somebody who is asked for consent, and answers."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from domain.authorizations import Answer
from domain.commands.authorizing import (
    Asked,
    Authorize,
    CompleteAuthorization,
    authorize,
    complete_authorization,
)
from domain.errors import (
    DomainError,
)
from domain.identity import Actor
from domain.links import Link
from domain.ports import App
from tests.engine.consenting import Consenting
from tests.engine.sessions import actor_of, enter
from tests.engine.world import Engine, running_engine
from tests.providers.authorized import Dialogue
from tests.servers import Database


@dataclass(slots=True)
class Person:
    """Somebody in one session, who asks `provider` for consent."""

    engine: Engine
    provider: Consenting
    other: Consenting
    dialogue: Dialogue
    actor: Actor

    async def begin(
        self, slug: str = "consenting", *, app: App | None = None, **said: Any
    ) -> Asked:
        values = {"link_id": None, "alias": None, "return_to": None, "actor": self.actor}
        cmd = Authorize(provider_slug=slug, at=self.engine.clock(), **values | said)
        return await authorize(app or self.engine.app, cmd)

    async def answer(
        self,
        asked: Asked | str,
        *,
        code: str | None = "c0de",
        iss: str | None = None,
        error: str | None = None,
        path: str | None = None,
        actor: Actor | None = None,
    ) -> Link:
        state = asked if isinstance(asked, str) else said(asked)
        cmd = CompleteAuthorization(
            actor=actor or self.actor,
            answer=Answer.of(state, code=code, iss=iss, error=error),
            provider_slug=path,
            at=self.engine.clock(),
        )
        return await complete_authorization(self.engine.app, cmd)

    async def refused(self, asked: Asked | str, **said: Any) -> DomainError:
        with pytest.raises(DomainError) as refusal:
            await self.answer(asked, **said)
        return refusal.value

    async def states(self) -> int:
        return await self.engine.count("oauth_states")

    async def links(self) -> list[str]:
        return [row["status"] for row in await self.engine.rows("links", order="id")]


def said(asked: Asked) -> str:
    assert asked.state is not None
    return asked.state.reveal()


@asynccontextmanager
async def a_person(database: Database, folder: Path) -> AsyncIterator[Person]:
    provider, other, dialogue = Consenting(), Consenting(slug="other"), Dialogue()
    async with running_engine(database, folder, provider, other, dialogue) as engine:
        actor = await actor_of(engine, await enter(engine))
        yield Person(engine, provider, other, dialogue, actor)
