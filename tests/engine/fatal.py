"""A worker in a process of its own that kills itself at a named point: `python -m tests.engine.fatal`.

It forks a child for each line of JSON, as `forked.py` does. Nothing of the product knows of the
points: the ports that a child is given are wrapped.

    claim, page, intent, answer, finish: a unit of work, by what it did
    <unit>.begins, .half, .before_commit, .committed; pull.asked, pull.page; renew.asked, .rotated;
    job.taken, job.done; chore.done; event.published; code.exchanged
"""

import os
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
from pgqueuer import Job

from domain.audit import Attempt, AuditOutcome
from domain.authorizations import Answer
from domain.commands.authorizing import CompleteAuthorization, complete_authorization
from domain.commands.running import RunSync, run_sync
from domain.identity import Actor, Role, SessionId, UserId, new_id
from domain.links import AuthMethod
from domain.ports import Fanout, Store
from domain.providers import Consent
from domain.storage.work import Work
from domain.sync import Login, RunId
from gateway.wiring.root import Wired, wire
from gateway.worker.chores import Chore
from gateway.worker.process import Worker
from tests.engine.forking import serve
from tests.engine.rotating import INFO, Rotating
from tests.engine.scripted import accounts, checking, spent, transactions
from tests.engine.world import settings_of
from tests.servers import Database

KEYS = ("t1", "t2", "t3")
REACHED = "t3 and on"  # where the next pull begins


@dataclass(slots=True)
class Fatal:
    """Death at `point`, once it has been reached `skip` times."""

    point: str
    skip: int = 0
    has_page: bool = False

    async def reached(self, point: str) -> None:
        if point == "pull.page":
            self.has_page = True
        if point == self.point:
            self.skip -= 1
            if self.skip < 0:
                os.kill(os.getpid(), signal.SIGKILL)


class Watched:
    """One of the rooms of a unit of work: what was done there is written down."""

    def __init__(self, room: Any, of: str, did: set[str], fatal: Fatal) -> None:
        self._room, self._of, self._did, self._fatal = room, of, did, fatal

    def __getattr__(self, method: str) -> Any:
        real = getattr(self._room, method)

        async def call(*given: Any, **said: Any) -> Any:
            if (self._of, method) == ("transactions", "name"):
                await self._fatal.reached("page.half")  # the rows are there, their keys are not
            self._did.add(f"{self._of}.{method}")
            return await real(*given, **said)

        return call


def unit_of(did: set[str]) -> str:
    if "links.save_credentials" in did:
        return "answer"
    if "links.save_renewal" in did:
        return "intent"
    if "accounts.by_key" in did:
        return "page"
    if did & {"accounts.unread", "accounts.mark_read"}:
        return "finish"
    return "claim" if {"runs.save", "links.credentials"} <= did else "other"


@dataclass(slots=True)
class Deadly:
    """The store, where whoever works in it may die."""

    store: Store
    fatal: Fatal

    def begin(self, actor: Actor, settles: Attempt | None) -> AbstractAsyncContextManager[Work]:
        return self._begin(actor, settles)

    @asynccontextmanager
    async def _begin(self, actor: Actor, settles: Attempt | None) -> AsyncIterator[Work]:
        if self.fatal.has_page:
            self.fatal.has_page = False
            await self.fatal.reached("page.begins")
        did: set[str] = set()
        async with self.store.begin(actor, settles) as work:
            for name in ("links", "accounts", "transactions", "runs"):
                setattr(work, name, Watched(getattr(work, name), name, did, self.fatal))
            yield work
            await self.fatal.reached(f"{unit_of(did)}.before_commit")
        await self.fatal.reached(f"{unit_of(did)}.committed")

    async def audit(
        self, attempt: Attempt, outcome: AuditOutcome, detail: str | None = None
    ) -> bool:
        return await self.store.audit(attempt, outcome, detail)


@dataclass(slots=True)
class Publishing:
    fanout: Fanout
    fatal: Fatal

    async def publish(self, channel: str, payload: str) -> None:
        await self.fanout.publish(channel, payload)
        await self.fatal.reached("event.published")

    def __getattr__(self, name: str) -> Any:
        return getattr(self.fanout, name)


class Consenting(Rotating):
    """By a code, too, which is good once."""

    issuer = None

    def authorization_url(self, consent: Consent) -> str:
        return f"https://rotating.invalid/authorize?state={consent.state}"

    async def exchange(self, code: str, consent: Consent, at: datetime) -> Login:
        login = await self.connect({"login": code}, at)
        await self.reached("code.exchanged")
        return login


class Dying(Worker):
    def __init__(self, wired: Wired, pool: asyncpg.Pool, fatal: Fatal) -> None:
        super().__init__(wired, pool)
        self._fatal = fatal

    async def _run(self, user_id: UserId, run_id: RunId) -> None:
        await self._fatal.reached("job.taken")
        await super()._run(user_id, run_id)
        await self._fatal.reached("job.done")

    async def _chore(self, chore: Chore, job: Job) -> None:
        await super()._chore(chore, job)
        await self._fatal.reached("chore.done")


def bank_of(folder: Path, now: datetime, **said: Any) -> Consenting:
    both = (AuthMethod.API_KEY, AuthMethod.OAUTH2)
    script = [accounts(checking()), *(transactions(spent(key)) for key in KEYS)]
    script[-1] = replace(script[-1], position=REACHED)
    info = replace(INFO, auth_methods=both)
    return Consenting(folder, lambda: now, info=info, script=list(script), **said)


async def run(said: Mapping[str, Any]) -> None:
    database = Database(
        name="", app_url=said["url"], owner_url=said["url"], superuser_url=said["url"]
    )
    at, fatal = datetime.fromisoformat(said["at"]), Fatal(said["point"], said["skip"])
    bank = bank_of(Path(said["books"]), at, reached=fatal.reached)
    async with wire(settings_of(database, Path(said["data_dir"]))) as wired:
        app = replace(
            wired.app,
            now=lambda: at,
            store=Deadly(wired.app.store, fatal),
            providers={**wired.app.providers, bank.info.slug: bank},
        )
        match said["do"]:
            case "work":
                telling = Publishing(wired.fanout, fatal)
                own = replace(wired, app=app, fanout=telling)
                async with asyncpg.create_pool(said["url"], min_size=2, max_size=6) as pool:
                    await Dying(own, pool, fatal).run()
            case "sync":
                await run_sync(app, _sync_of(said, at))
            case "complete":
                await complete_authorization(app, _answer_of(said, at))


def _sync_of(said: Mapping[str, Any], at: datetime) -> RunSync:
    actor = Actor(user_id=UserId(UUID(said["user"])), role=Role.USER)
    return RunSync(actor=actor, run_id=RunId(UUID(said["run"])), worker=new_id(), at=at)


def _answer_of(said: Mapping[str, Any], at: datetime) -> CompleteAuthorization:
    session = SessionId(UUID(said["session"]))
    actor = Actor(user_id=UserId(UUID(said["user"])), role=Role.USER, session_id=session)
    answer = Answer.of(said["state"], code=said["code"], iss=None, error=None)
    return CompleteAuthorization(actor=actor, answer=answer, provider_slug=None, at=at)


if __name__ == "__main__":
    serve(run)
