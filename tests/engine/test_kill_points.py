"""A worker that dies at each named point: whoever goes on leaves everything as if it had not."""

import asyncio
import json
import os
import random
import signal
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.commands.authorizing import Authorize, authorize
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.registration import Register, register
from domain.identity import NOBODY, Actor, Role, SessionId, UserId
from domain.links import Link
from domain.secret import Secret
from domain.sync import LEASE
from tests.engine import invariants
from tests.engine.cut import cut
from tests.engine.fatal import KEYS, REACHED, Consenting, bank_of
from tests.engine.test_killed import Forked
from tests.engine.test_leases import PATIENCE_S
from tests.engine.world import PASSWORD, Engine, running_engine
from tests.postgres.writes.world import a_session
from tests.servers import Postgres

ROUNDS = 20 if os.environ.get("DASHTAM_TEST_LONG") == "1" else 1
DEAD, SEED = f"ended {-signal.SIGKILL}", 20261122
PULLING = {
    "K2": "claim.committed",
    "K3": "pull.asked",
    "K4": "pull.page",
    "K5": "page.begins",
    "K6": "page.half",
    "K7": "page.before_commit",
    "K9": "page.committed",
}
WORKING = {"K1": "job.taken", "K10": "job.done", "K15": "event.published"}
RENEWING = {
    "K11": "renew.asked",
    "K12": "renew.rotated",
    "K13": "answer.before_commit",
    "K14": "answer.committed",
}
ROTATED = {"K12", "K13"}  # the provider has, and we have not
# As time would: what was taken by the dead, and what waits to be tried again.
STALE = "UPDATE jobs.pgqueuer SET heartbeat = heartbeat - interval '1 hour'"
AT_ONCE = "UPDATE jobs.pgqueuer SET execute_after = now() WHERE execute_after > now()"
LEFT = """
SELECT (SELECT count(*) FROM sync_runs WHERE status IN ('QUEUED', 'RUNNING'))
    + (SELECT count(*) FROM jobs.pgqueuer)
    + (SELECT count(*) FROM events WHERE relayed_at IS NULL)
    + (SELECT count(*) FROM links WHERE status = 'PENDING')"""


@dataclass(frozen=True, slots=True)
class Dead:
    """Whose worker died: the login, the link and its owner, and the run that it was at."""

    login: str
    link: Link
    actor: Actor
    run: UUID


@dataclass(slots=True)
class Scene:
    """One database whose workers die; each death is of a person and a link of their own."""

    engine: Engine
    forked: Forked
    books: Path
    bank: Consenting
    fences: dict[UUID, int] = field(default_factory=dict)
    dice: random.Random = field(default_factory=lambda: random.Random(SEED))
    count: int = 0

    async def linked(self, kind: str = "plain") -> Dead:
        self.count += 1
        login = f"{kind}{self.count}"
        cmd = CreateUser(
            actor=actor_to_be(Role.USER),
            email=f"{login}@example.com",
            password=Secret(PASSWORD),
            role=Role.USER,
            at=self.engine.clock(),
        )
        person = await create_user(self.engine.app, cmd)
        self.engine.actor = Actor(user_id=person.id, role=Role.USER)
        link = await self.engine.connect(provider="rotating", login=login)
        [row] = await self.engine.rows("sync_runs", "link_id = $1", link.id)
        return Dead(login, link, self.engine.actor, row["id"])

    async def asked_again(self, *everyone: Dead) -> list[Dead]:
        """All are synced, and asked to do so once more when their access has ended."""
        for one in everyone:
            self.engine.actor = one.actor
            await self.engine.run(one.run)
        self.engine.clock.at += timedelta(hours=1)
        asked = []
        for one in everyone:
            self.engine.actor = one.actor
            [run] = await self.engine.request(link_id=one.link.id, force=True)
            asked.append(replace(one, run=run.id))
        return asked

    async def begin(self, do: str, point: str = "", **said: Any) -> int:
        """A child that does it, by its process id."""
        values: dict[str, Any] = {
            "do": do,
            "point": point,
            "skip": 0,
            "url": self.engine.database.app_url,
            "data_dir": str(self.engine.data_dir),
            "books": str(self.books),
            "at": self.engine.clock.at.isoformat(),
        }
        assert self.forked.process.stdin is not None
        self.forked.process.stdin.write(json.dumps(values | said).encode() + b"\n")
        return int(await self.forked.line())

    async def killed(self, do: str, point: str, one: Dead | None = None, **said: Any) -> None:
        if one is not None:
            said |= {"user": str(one.actor.user_id), "run": str(one.run)}
        await self.begin(do, point, **said)
        assert await self.forked.line() == DEAD, f"{point} was not reached"
        await invariants.hold(self.engine, self.fences)

    async def gone_on(self) -> None:
        """Later, by another worker; and nothing is left to do."""
        self.engine.clock.at += LEASE * 3
        await self.engine.spy.execute(STALE)
        child = await self.begin("work")
        async with asyncio.timeout(PATIENCE_S):
            while await self.engine.spy.fetchval(LEFT):
                await self.engine.spy.execute(AT_ONCE)
                await asyncio.sleep(0.02)
        os.kill(child, signal.SIGKILL)  # it is at rest
        assert await self.forked.line() == DEAD
        await invariants.hold(self.engine, self.fences)
        await invariants.settled(self.engine, clear=("-access-", "-refresh-", PASSWORD))

        # What they would do by themselves from here on is no part of this.
        await self.engine.spy.execute("UPDATE links SET next_sync_at = NULL")

    async def is_as_if_nobody_died(self, one: Dead) -> None:
        run = await self.engine.one("sync_runs", "id = $1", one.run)
        assert run["status"] == "SUCCEEDED", (one.login, run["error_message"])
        keys = await self.engine.rows("transaction_keys", "link_id = $1", one.link.id, order="key")
        assert tuple(row["key"] for row in keys) == KEYS
        link = await self.engine.link(one.link.id)
        assert (link["status"], link["cursor"]) == ("ACTIVE", REACHED)


@pytest.fixture(scope="module")
async def scene(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Scene]:
    folder, books = tmp_path_factory.mktemp("data"), tmp_path_factory.mktemp("books")
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.engine.fatal"),
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    bank = bank_of(books, datetime.now(UTC))
    async with (
        postgres.fresh_database() as database,
        running_engine(database, folder, bank) as engine,
    ):
        engine.clock.at = datetime.now(UTC)
        bank.now = engine.clock
        yield Scene(engine, Forked(process), books, bank)
    assert process.stdin is not None
    process.stdin.close()
    await process.wait()


async def test_a_sync_that_is_cut_off_ends_as_if_it_had_not_been(scene: Scene) -> None:
    for _ in range(ROUNDS):
        dead = []
        for point in WORKING.values():
            dead.append(await scene.linked())
            await scene.killed("work", point)
        for point in PULLING.values():
            dead.append(await scene.linked())
            page = "page" in point and (1 if ROUNDS == 1 else scene.dice.randrange(len(KEYS) + 1))
            if point == "page.half":
                page = min(page, len(KEYS) - 1)  # the first page has none of these rows
            await scene.killed("sync", point, dead[-1], skip=int(page))
        await scene.gone_on()
        for one in dead:
            await scene.is_as_if_nobody_died(one)


async def test_a_worker_that_dies_after_the_last_page_leaves_where_the_next_pull_begins(
    scene: Scene,
) -> None:
    one = await scene.linked()
    await scene.killed("sync", "page.committed", one, skip=len(KEYS))
    assert (await scene.engine.link(one.link.id))["cursor"] is None
    await scene.gone_on()
    await scene.is_as_if_nobody_died(one)


async def test_k8_a_commit_whose_answer_was_lost_is_not_done_again(scene: Scene) -> None:
    for number in range(ROUNDS):
        one, child, page = await scene.linked(), list[int](), number % 3

        async def kill(child: list[int] = child) -> None:
            os.kill(child[0], signal.SIGKILL)

        async with cut(scene.engine.database) as way:
            way.arm(kill, before=3 + page)  # what is attempted, the claim and the first page
            said = {"url": way.database.app_url, "user": str(one.actor.user_id)}
            child.append(await scene.begin("sync", run=str(one.run), **said))
            assert await scene.forked.line() == DEAD
        await invariants.hold(scene.engine, scene.fences)
        now = await scene.engine.one("sync_runs", "id = $1", one.run)
        assert now["cursor"] == str(2 + page)  # which its worker never heard
        await scene.gone_on()
        await scene.is_as_if_nobody_died(one)


async def test_a_renewal_that_is_cut_off_is_whole_or_for_its_owner_to_see(scene: Scene) -> None:
    engine, told = scene.engine, "name = 'link.needs_reauthorization' AND user_id = $1"
    for _ in range(ROUNDS):
        deaths = [(name, kind) for name in RENEWING for kind in ("plain", "grace")]
        linked = [await scene.linked(kind) for _, kind in deaths]
        dead = await scene.asked_again(*linked)
        for (name, _), one in zip(deaths, dead, strict=True):
            await scene.killed("sync", RENEWING[name], one)
        await scene.gone_on()
        for (name, kind), one in zip(deaths, dead, strict=True):
            presented = scene.bank.books(one.login)["presented"]
            is_lost = name in ROTATED and kind == "plain"
            if is_lost:
                run = await engine.one("sync_runs", "id = $1", one.run)
                link = await engine.link(one.link.id)
                assert (run["status"], link["status"]) == ("FAILED", "NEEDS_REAUTHORIZATION")
                assert link["error_code"] == "AUTHORIZATION_EXPIRED"
            else:
                await scene.is_as_if_nobody_died(one)
            assert await engine.count("events", told, one.actor.user_id) == int(is_lost)
            again = 1 + (name in ROTATED)  # once more, and never in a loop
            assert presented == [f"{one.login}-refresh-0"] * again


async def test_k16_what_a_job_did_before_its_worker_died_is_done_once(scene: Scene) -> None:
    engine = scene.engine
    for number in range(ROUNDS):
        cmd = Register(
            actor=Actor(user_id=UserId(NOBODY), role=Role.READONLY),
            email=f"new{number}@example.com",
            password=Secret(PASSWORD),
            at=engine.clock(),
        )
        await register(engine.app, cmd)
        await scene.killed("work", "chore.done")
        assert await engine.count("users", "email = $1", cmd.email) == 1
        await scene.gone_on()
        assert await engine.count("users", "email = $1", cmd.email) == 1


async def test_k17_a_code_that_was_exchanged_and_not_kept_leaves_nothing_behind(
    scene: Scene,
) -> None:
    engine = scene.engine
    await scene.linked()
    session = a_session(engine.actor)
    async with engine.app.store.begin(engine.actor, None) as work:
        await work.sessions.add(session)
    for number in range(ROUNDS):
        asked = await authorize(
            engine.app,
            Authorize(
                actor=Actor(
                    user_id=engine.actor.user_id, role=Role.USER, session_id=SessionId(session.id)
                ),
                provider_slug="rotating",
                link_id=None,
                alias=None,
                return_to=None,
                at=engine.clock(),
            ),
        )
        assert asked.state is not None
        code = f"code{number}"
        said = {"session": str(session.id), "state": asked.state.reveal(), "code": code}
        said["user"] = str(engine.actor.user_id)
        await scene.killed("complete", "code.exchanged", None, **said)
        assert scene.bank.books(code)  # the provider gave something
        assert asked.link_id is not None
        assert await engine.count("credentials", "link_id = $1", asked.link_id) == 0
        engine.clock.at += timedelta(minutes=30)
        await scene.gone_on()
        assert await engine.count("links", "id = $1", asked.link_id) == 0
