"""A policy that is changed while the gateway runs, by whoever owns the database."""

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path

import asyncpg
import httpx2
import pytest

from domain.errors import Unavailable
from domain.identity import Permission, Role
from gateway.settings import Settings, SettingsError
from gateway.wiring.root import Wired, wire
from tests.e2e.stack import Client, environment
from tests.postgres.writes.world import connected
from tests.roles.conftest import Home, at_home
from tests.servers import Database

MAY_WRITE = "INSERT INTO casbin_rules VALUES ('READONLY', 'data', 'write')"
MAY_NOT = "DELETE FROM casbin_rules WHERE (role, action) = ('READONLY', 'write')"


@pytest.fixture
async def own(database: Database, tmp_path: Path) -> AsyncIterator[Home]:
    """A gateway whose policy nobody else needs."""
    async with at_home(database, tmp_path) as opened:
        yield opened


async def soon(true: Callable[[], bool], within_s: float = 1.0) -> None:
    began = time.monotonic()
    while not true():
        assert time.monotonic() < began + within_s, "it did not take effect"
        await asyncio.sleep(0.01)


@asynccontextmanager
async def deaf(of: Home, superuser: asyncpg.Connection) -> AsyncIterator[None]:
    """Every connection of the gateway's ends, as by a restart of the server, and none is let in."""
    await superuser.execute(f"ALTER DATABASE {of.database.name} CONNECTION LIMIT 0")
    try:
        await superuser.execute(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE usename = 'dashtam_app' AND datname = current_database()"
        )
        yield
    finally:
        await superuser.execute(f"ALTER DATABASE {of.database.name} CONNECTION LIMIT -1")


def writes(wired: Wired, role: Role = Role.READONLY) -> bool:
    return wired.app.policy.allows(role, Permission.WRITE_DATA)


async def test_a_rule_counts_within_a_second_in_every_process_and_so_does_its_end(
    own: Home,
) -> None:
    """One process is asked over HTTP, the other in memory; the rules come by plain SQL."""
    rename = """mutation { updateAccount(input: {accountId: "x", nickname: "x"})
        { errors { code } } }"""

    async def refused(client: Client) -> list[str]:
        return [error["code"] for error in (await client.do(rename))["errors"]]

    async with own.somebody(Role.READONLY) as reader, connected(own.database.owner_url) as owner:
        assert not writes(own.wired)
        assert await refused(reader) == ["NOT_PERMITTED"]

        await owner.execute(MAY_WRITE)

        await soon(lambda: writes(own.wired))
        await asyncio.sleep(0.3)
        assert await refused(reader) == ["NOT_FOUND"]  # which only who is permitted is told

        await owner.execute(MAY_NOT)

        await soon(lambda: not writes(own.wired))
        await asyncio.sleep(0.3)
        assert await refused(reader) == ["NOT_PERMITTED"]


async def test_the_hierarchy_counts_as_a_rule_does(own: Home) -> None:
    async with connected(own.database.owner_url) as owner:
        await owner.execute("INSERT INTO casbin_roles VALUES ('READONLY', 'writers')")
        await owner.execute("INSERT INTO casbin_rules VALUES ('writers', 'data', 'write')")
        await soon(lambda: writes(own.wired))

        await owner.execute("TRUNCATE casbin_roles")
        await soon(lambda: not writes(own.wired))
        assert writes(own.wired, Role.USER)  # by a rule of its own


@pytest.mark.parametrize(
    ("harm", "mend"),
    [
        (
            "INSERT INTO casbin_rules VALUES ('READONLY', '', 'write')",
            "DELETE FROM casbin_rules WHERE object = ''",
        ),
        (
            "INSERT INTO casbin_roles VALUES ('READONLY', 'ADMIN')",
            "DELETE FROM casbin_roles WHERE role = 'READONLY'",
        ),
        (
            "ALTER TABLE casbin_rules RENAME COLUMN object TO kind",
            "ALTER TABLE casbin_rules RENAME COLUMN kind TO object",
        ),
    ],
    ids=["an empty word", "a circle", "a column that is gone"],
)
async def test_a_policy_that_is_none_changes_nothing_and_is_warned_of(
    own: Home, harm: str, mend: str
) -> None:
    async with connected(own.database.owner_url) as owner, own.somebody(None) as operator:

        async def warnings() -> list[str]:
            answer = await operator.http.get("/readyz")
            assert answer.status_code == 200
            said: list[str] = answer.json()["warnings"]
            return [warning for warning in said if "policy" in warning]

        async with owner.transaction():
            await owner.execute(harm)
            await owner.execute(MAY_WRITE)
        await soon(lambda: own.wired.policy.problem is not None, within_s=5)
        await asyncio.sleep(0.3)

        [warning] = await warnings()
        assert warning.startswith("the policy in the database ")
        assert not writes(own.wired)
        assert writes(own.wired, Role.USER)

        async with owner.transaction():
            await owner.execute(mend)
            await owner.execute(MAY_NOT)  # so that it is the one that holds, word for word
        await soon(lambda: own.wired.policy.problem is None, within_s=5)
        await asyncio.sleep(0.3)

        assert await warnings() == []
        await owner.execute(MAY_WRITE)
        await soon(lambda: writes(own.wired))


async def test_a_policy_that_is_none_stops_the_start_in_one_sentence(
    database: Database, tmp_path: Path
) -> None:
    async with connected(database.owner_url) as owner:
        await owner.execute("INSERT INTO casbin_rules VALUES ('USER', '', 'write')")

    with pytest.raises(SettingsError, match="The policy in the database is malformed"):
        async with wire(Settings.read(environment(database, tmp_path, 8_000))):
            pass


async def test_news_that_were_lost_while_the_database_was_away_are_made_up_for(
    own: Home,
) -> None:
    async with connected(own.database.superuser_url) as superuser:
        async with deaf(own, superuser):
            await superuser.execute(MAY_WRITE)
            await asyncio.sleep(0.5)
            assert not writes(own.wired)  # what held goes on
        await soon(lambda: writes(own.wired), within_s=10)


async def test_a_role_that_is_granted_while_nobody_hears_counts_once_they_do(own: Home) -> None:
    async with own.somebody(Role.USER) as person, connected(own.database.superuser_url) as spy:
        document = "{ admin { jobs { queued } } }"
        assert [e["extensions"]["code"] for e in await person.errors(document)] == ["NOT_PERMITTED"]
        async with deaf(own, spy):
            await spy.execute("UPDATE users SET role = 'ADMIN' WHERE email = $1", person.email)

        async def admitted() -> bool:
            try:
                answer = await person.post(document)
            except (httpx2.TransportError, Unavailable, asyncpg.PostgresError):
                return False
            return answer.status_code == 200 and "errors" not in answer.json()

        give_up_at = time.monotonic() + 10
        while not await admitted():
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.1)
