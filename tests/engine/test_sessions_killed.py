"""The database goes away in the middle of a refresh or a rotation: afterwards one state holds."""

import asyncio
import shutil
import signal
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import asyncpg
import pytest

from domain.commands.rotation import (
    RotateAllTokens,
    RotateUserTokens,
    rotate_all_tokens,
    rotate_user_tokens,
)
from domain.errors import ErrorCode, Unavailable
from domain.identity import Actor, Role, SessionId, UserId, new_id
from gateway import embedded
from tests.engine.cut import Cut, cut
from tests.engine.sessions import enter, is_good, refresh, refused
from tests.engine.test_sign_in_killed import DIES
from tests.engine.world import Engine, running_engine
from tests.servers import MEMORY, MEMORY_FREE_MIN, Postgres

ADMIN = Actor(user_id=UserId(new_id()), role=Role.ADMIN, session_id=SessionId(new_id()))
TABLES = ("users", "sessions", "refresh_tokens", "events", "security_config")
AT_COMMIT = "CREATE CONSTRAINT TRIGGER dies AFTER {event} DEFERRABLE INITIALLY DEFERRED"
OF_A_REFRESH = (
    "CREATE TRIGGER dies AFTER INSERT ON refresh_tokens",
    "CREATE TRIGGER dies BEFORE UPDATE ON sessions",
    AT_COMMIT.format(event="INSERT ON refresh_tokens"),
)
OF_A_PERSONS_ROTATION = (
    "CREATE TRIGGER dies BEFORE UPDATE ON sessions",
    "CREATE TRIGGER dies AFTER UPDATE ON users",
    "CREATE TRIGGER dies AFTER INSERT ON events",
    AT_COMMIT.format(event="UPDATE ON users"),
)
OF_A_ROTATION = (
    "CREATE TRIGGER dies BEFORE UPDATE ON security_config",
    AT_COMMIT.format(event="UPDATE ON security_config"),
)
SLEEPS = DIES.replace("pg_terminate_backend(pg_backend_pid())", "pg_sleep(60)")


async def rotate_all(engine: Engine) -> None:
    cmd = RotateAllTokens(actor=ADMIN, reason="a leak", grace_s=0, at=engine.clock())
    await rotate_all_tokens(engine.app, cmd)


async def rotate_user(engine: Engine) -> None:
    cmd = RotateUserTokens(
        actor=ADMIN, user_id=engine.actor.user_id, reason="a leak", at=engine.clock()
    )
    await rotate_user_tokens(engine.app, cmd)


async def dies(engine: Engine, place: str, command: Callable[[], Awaitable[object]]) -> None:
    """It fails there with an error that says try again, and nothing of it is left."""
    before = await engine.written(*TABLES)
    await engine.spy.execute(DIES.format(when=place))
    with pytest.raises(Unavailable) as refusal:
        await command()
    await engine.spy.execute("DROP FUNCTION dies CASCADE")
    assert refusal.value.retry_after_s > 0
    assert await engine.written(*TABLES) == before


async def test_a_refresh_that_was_cut_off_is_repeated_with_the_same_token(engine: Engine) -> None:
    token = (await enter(engine)).refresh_token
    for place in OF_A_REFRESH:
        await dies(engine, place, partial(refresh, engine, token))
        token = await refresh(engine, token)
    assert await engine.count("refresh_tokens") == len(OF_A_REFRESH)


async def test_a_rotation_that_was_cut_off_has_not_happened(engine: Engine) -> None:
    for place in OF_A_ROTATION:
        session = await enter(engine)
        await dies(engine, place, lambda: rotate_all(engine))
        assert await is_good(engine, session)
        await rotate_all(engine)
        assert not await is_good(engine, session)
    for place in OF_A_PERSONS_ROTATION:
        session = await enter(engine)
        await dies(engine, place, lambda: rotate_user(engine))
        assert await is_good(engine, session)
        await rotate_user(engine)
        assert not await is_good(engine, session)


@pytest.fixture(scope="module")
def own_postgres() -> Iterator[Postgres]:
    """A server of this module alone, for it will be killed; it keeps what it has committed."""
    roomy = MEMORY.is_dir() and shutil.disk_usage(MEMORY).free > MEMORY_FREE_MIN
    with tempfile.TemporaryDirectory(prefix="dashtam-", dir=MEMORY if roomy else None) as folder:
        server = Postgres(embedded.start(Path(folder)))
        try:
            yield server
        finally:
            embedded.stop(server.server)


@dataclass(slots=True)
class CutOff:
    """An engine that can be cut off from its server, which can be killed."""

    server: Postgres
    way: Cut
    engine: Engine

    async def kill(self) -> None:
        process = self.server.server.process
        assert process is not None
        process.send_signal(signal.SIGQUIT)  # at once, as a crash does
        await asyncio.to_thread(process.wait)

    async def start_again(self) -> None:
        data_dir = self.server.server.pgdata.parents[1]
        self.server.server = await asyncio.to_thread(embedded.start, data_dir)
        self.engine.spy.terminate()
        self.engine.spy = await asyncpg.connect(self.way.database.superuser_url)

    async def killed_while(self, place: str, command: Callable[[], Awaitable[object]]) -> None:
        """In the middle, where the command is just doing that."""
        await self.engine.spy.execute(SLEEPS.format(when=place))
        running = asyncio.ensure_future(command())
        await asleep(self.engine)
        await self.kill()
        with pytest.raises(Unavailable):
            await running
        await self.start_again()
        await self.engine.spy.execute("DROP FUNCTION dies CASCADE")

    async def killed_after(self, command: Callable[[], Awaitable[object]]) -> None:
        """After its COMMIT, before anybody was told of that."""
        self.way.arm(self.kill, before=1)
        with pytest.raises(Unavailable):
            await command()
        await self.start_again()


@pytest.fixture
async def cut_off(own_postgres: Postgres, tmp_path: Path) -> AsyncIterator[CutOff]:
    async with (
        own_postgres.fresh_database() as database,
        cut(database) as way,
        running_engine(way.database, tmp_path) as engine,
    ):
        yield CutOff(own_postgres, way, engine)


async def asleep(engine: Engine) -> None:
    sleeping = "wait_event = 'PgSleep'"
    async with asyncio.timeout(5):
        while not await engine.count("pg_stat_activity", sleeping):  # noqa: ASYNC110
            await asyncio.sleep(0.01)


async def test_an_answer_that_was_lost_is_given_again(cut_off: CutOff) -> None:
    engine = cut_off.engine
    first = (await enter(engine)).refresh_token
    cut_off.way.arm(before=1)  # ATTEMPTED's own

    with pytest.raises(Unavailable):
        await refresh(engine, first)

    assert await engine.count("refresh_tokens") == 1
    tried, outcome = await engine.audit("session.refresh")
    assert (tried[0], outcome[0]) == ("ATTEMPTED", "SUCCEEDED")
    second = await refresh(engine, first)
    assert await engine.count("refresh_tokens") == 1
    engine.clock.turn(seconds=11)
    await refresh(engine, second)
    assert await refused(engine, first) is ErrorCode.TOKEN_REUSED


async def test_a_refresh_outlives_its_server(cut_off: CutOff) -> None:
    engine = cut_off.engine
    first = (await enter(engine)).refresh_token
    await cut_off.killed_while(OF_A_REFRESH[0], lambda: refresh(engine, first))
    assert await engine.count("refresh_tokens") == 0

    second = await refresh(engine, first)
    await cut_off.killed_after(lambda: refresh(engine, second))
    assert await engine.count("refresh_tokens") == 2

    third = await refresh(engine, second)
    assert await engine.count("refresh_tokens") == 2
    assert (
        await engine.count(
            "sessions", "refresh_hash = $1", engine.app.tokens.digest(third.reveal())
        )
        == 1
    )


async def test_a_sign_in_or_a_rotation_whose_server_was_killed_happened_or_did_not(
    cut_off: CutOff,
) -> None:
    engine = cut_off.engine
    before = await enter(engine)
    await cut_off.killed_while(
        "CREATE TRIGGER dies AFTER INSERT ON sessions", lambda: enter(engine)
    )
    assert await engine.count("sessions") == 1
    assert await is_good(engine, before)

    await cut_off.killed_after(lambda: rotate_user(engine))
    assert not await is_good(engine, before)
    assert [outcome for outcome, _ in await engine.audit("tokens.rotate_user")] == [
        "ATTEMPTED",
        "SUCCEEDED",
    ]
    after = await enter(engine)
    await refresh(engine, after.refresh_token)
