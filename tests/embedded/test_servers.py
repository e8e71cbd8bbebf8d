"""What the other tests stand on: a database of their own, roles as in production, a real Redis."""

import asyncpg
import pytest
import redis.asyncio

from tests.servers import Postgres


async def test_each_test_has_a_database_of_its_own(postgres: Postgres) -> None:
    async with (
        postgres.fresh_database(migrated=False) as one,
        postgres.fresh_database(migrated=False) as other,
    ):
        owner = await asyncpg.connect(one.owner_url)
        await owner.execute("CREATE TABLE mine (n int)")
        await owner.close()
        stranger = await asyncpg.connect(other.owner_url)

        assert await stranger.fetchval("SELECT to_regclass('mine')") is None
        await stranger.close()


async def test_a_database_is_gone_after_its_test(postgres: Postgres) -> None:
    async with postgres.fresh_database(migrated=False) as database:
        left_open = await asyncpg.connect(database.app_url)

    with pytest.raises(asyncpg.InvalidCatalogNameError):
        await asyncpg.connect(database.app_url)
    left_open.terminate()


async def test_the_runtime_role_owns_nothing_and_the_owner_inherits_no_door(
    postgres: Postgres,
) -> None:
    async with postgres.fresh_database(migrated=False) as database:
        app = await asyncpg.connect(database.app_url)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await app.execute("CREATE TABLE mine (n int)")
        roles = await app.fetch(
            "SELECT rolname, rolcanlogin, rolinherit, rolsuper OR rolbypassrls AS strong"
            " FROM pg_roles WHERE rolname LIKE 'dashtam%' ORDER BY rolname"
        )
        member = await app.fetchval(
            "SELECT pg_has_role('dashtam_owner', 'dashtam_doors', 'MEMBER')"
        )
        inherits = await app.fetchval(
            "SELECT pg_has_role('dashtam_owner', 'dashtam_doors', 'USAGE')"
        )
        await app.close()

    assert [tuple(row) for row in roles] == [
        ("dashtam_app", True, True, False),
        ("dashtam_doors", False, True, False),
        ("dashtam_owner", True, False, False),
    ]
    assert (member, inherits) == (True, False)


@pytest.mark.parametrize("round_", [1, 2])
async def test_redis_is_real_and_empty_for_each_test(redis_url: str, round_: int) -> None:
    client = redis.asyncio.from_url(redis_url)
    try:
        assert await client.dbsize() == 0
        await client.set("left behind", round_)
        assert await client.get("left behind") == str(round_).encode()
    finally:
        await client.aclose()
