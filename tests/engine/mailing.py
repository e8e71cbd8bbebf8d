"""Registering and forgetting on the engine, with the worker's part done by hand."""

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID

from domain.commands.mailed_tokens import actor_of_email_token
from domain.commands.password_reset import (
    RequestPasswordReset,
    ResetPassword,
    request_password_reset,
    reset_password,
)
from domain.commands.registration import Register, VerifyEmail, register, verify_email
from domain.identity import UserId
from domain.mail import Letter, Template
from domain.ports import App
from domain.secret import Secret
from gateway.worker.chores import CHORES
from tests.engine.sessions import nobody
from tests.engine.world import PASSWORD, Engine

NEW = "new@example.com"
OTHER_PASSWORD = "quite another set of unlikely words"


@dataclass(slots=True)
class Outbox:
    """`domain.ports.Mail` in memory; raises what it is told to."""

    letters: list[Letter] = field(default_factory=list)
    failing: Exception | None = None

    async def send(self, letter: Letter) -> None:
        if self.failing is not None:
            raise self.failing
        self.letters.append(letter)

    def tokens(self, template: Template) -> list[str]:
        return [
            letter.token.reveal()
            for letter in self.letters
            if letter.template is template and letter.token is not None
        ]


async def ask_to_register(
    engine: Engine, email: str = NEW, password: str = PASSWORD, *, app: App | None = None
) -> None:
    cmd = Register(actor=nobody(), email=email, password=Secret(password), at=engine.clock())
    await register(app or engine.app, cmd)


async def verify(engine: Engine, token: str) -> None:
    actor = await actor_of_email_token(engine.app, token, nobody())
    await verify_email(engine.app, VerifyEmail(actor=actor, token=Secret(token), at=engine.clock()))


async def forget(engine: Engine, email: str, *, app: App | None = None) -> None:
    cmd = RequestPasswordReset(actor=nobody(), email=email, at=engine.clock())
    await request_password_reset(app or engine.app, cmd)


async def reset(engine: Engine, token: str, password: str = OTHER_PASSWORD) -> None:
    actor = await actor_of_email_token(engine.app, token, nobody())
    cmd = ResetPassword(
        actor=actor, token=Secret(token), new_password=Secret(password), at=engine.clock()
    )
    await reset_password(engine.app, cmd)


@dataclass(frozen=True, slots=True)
class Waiting:
    id: int
    name: str
    said: Mapping[str, Any]

    async def run(self, engine: Engine) -> None:
        said = dict(self.said)
        await CHORES[self.name](engine.app, UserId(UUID(said.pop("user"))), said)


async def waiting(engine: Engine, name: str | None = None) -> list[Waiting]:
    rows = await engine.rows("jobs.pgqueuer", order="id")
    found = [Waiting(r["id"], r["entrypoint"], json.loads(r["payload"])) for r in rows]
    return [job for job in found if job.name in CHORES and name in (None, job.name)]


async def worked_off(engine: Engine) -> None:
    """Every chore that waits, and those that come of it, as many at once as a worker does."""
    at_once = asyncio.Semaphore(4)

    async def one(job: Waiting) -> None:
        async with at_once:
            await job.run(engine)

    while jobs := await waiting(engine):
        await asyncio.gather(*(one(job) for job in jobs))
        done = [job.id for job in jobs]
        await engine.spy.execute("DELETE FROM jobs.pgqueuer WHERE id = ANY ($1)", done)
