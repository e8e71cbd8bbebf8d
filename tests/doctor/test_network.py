"""What the doctor says of ports and of Redis, both real."""

import asyncio
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from threading import Thread
from typing import Any

from redis.asyncio import Redis
from starlette.applications import Starlette

from gateway.doctor.finding import Finding
from gateway.doctor.network import addresses, port, redis, redis_version
from gateway.routes.health import Health
from gateway.settings import Mode, Settings
from tests.e2e.stack import a_free_port, served_here
from tests.servers import Database

HTTP = ("DASHTAM_PORT", "/healthz")


async def of_redis(url: str) -> list[Finding]:
    settings = Settings(mode=Mode.DEVELOPMENT, redis_url=url)
    return [finding async for finding in redis(settings)]


@asynccontextmanager
async def commanding(url: str) -> AsyncIterator[Any]:
    client = Redis.from_url(url)
    try:
        yield client
    finally:
        await client.aclose()


def test_a_free_port_is_free() -> None:
    assert port("127.0.0.1", a_free_port(), *HTTP).mend is None


def test_a_port_that_something_else_has_is_named_with_the_setting_that_moves_us() -> None:
    with socket.create_server(("127.0.0.1", 0)) as other:
        number = other.getsockname()[1]

        def hang_up() -> None:
            for _ in range(2):
                other.accept()[0].close()

        hanging_up = Thread(target=hang_up)
        hanging_up.start()
        found = port("127.0.0.1", number, *HTTP)
        scraped = port("0.0.0.0", number, "DASHTAM_OPS_PORT", "/metrics")
        hanging_up.join()

    assert found.what == f"port {number} of 127.0.0.1"
    assert found.mend is not None
    assert found.mend.endswith("choose another with DASHTAM_PORT")
    assert scraped.mend is not None
    assert scraped.mend.endswith("choose another with DASHTAM_OPS_PORT")


async def test_a_port_that_a_gateway_answers_on_is_ours(database: Database) -> None:
    import asyncpg

    async with asyncpg.create_pool(database.app_url, min_size=1, max_size=1) as pool:
        app = Starlette(routes=Health(pool).routes())
        async with served_here(app) as url:
            number = int(url.rpartition(":")[2])
            found = await asyncio.to_thread(port, "127.0.0.1", number, *HTTP)

    assert found == Finding(f"port {number} is answered by a gateway")


def test_an_address_of_another_machine_is_named() -> None:
    found = port("203.0.113.1", 8000, *HTTP)

    assert found.mend is not None
    assert found.mend.endswith("DASHTAM_HOST must be an address of this machine")


def test_production_that_tells_clients_of_no_https_is_a_note() -> None:
    number = a_free_port()
    plain = Settings(port=number, public_url="http://127.0.0.1:8000")
    secure = Settings(port=number, public_url="https://money.example.com")

    assert [f.word for f in addresses(plain)] == ["ok", "note"]
    assert [f.word for f in addresses(secure)] == ["ok"]


def test_the_port_of_metrics_is_looked_at_where_it_is_set() -> None:
    settings = Settings(
        port=a_free_port(), ops_port=a_free_port(), public_url="https://money.example.com"
    )

    assert [f.word for f in addresses(settings)] == ["ok", "ok"]


async def test_a_redis_that_answers_is_well(redis_url: str) -> None:
    [found] = await of_redis(redis_url)

    assert found.mend is None


async def test_no_redis_is_asked_where_none_is_configured() -> None:
    assert [f async for f in redis(Settings(mode=Mode.DEVELOPMENT))] == []


async def test_a_redis_that_is_away_or_refuses_us_says_which(redis_url: str) -> None:
    async with commanding(redis_url) as client:
        await client.execute_command("ACL", "SETUSER", "limits", "on", ">right", "+@all", "~*")
        try:
            [wrong] = await of_redis(redis_url.replace("unix://", "unix://limits:wrong-one@"))
            [right] = await of_redis(redis_url.replace("unix://", "unix://limits:right@"))
        finally:
            await client.execute_command("ACL", "DELUSER", "limits")
    [away] = await of_redis("redis://:secret-one@127.0.0.1:1/0")
    [unusable] = await of_redis("redis+cluster://127.0.0.1:1")

    assert wrong.mend == "it refuses the user or password that DASHTAM_REDIS_URL gives"
    assert right.mend is None
    assert away.mend is not None
    assert "is it running" in away.mend
    assert unusable.mend is not None
    assert "wrong-one" not in wrong.mend
    assert "secret-one" not in away.mend


async def test_a_redis_that_forgets_what_does_not_fit_is_a_note(redis_url: str) -> None:
    async with commanding(redis_url) as client:
        await client.config_set("maxmemory", "100mb")
        await client.config_set("maxmemory-policy", "allkeys-lru")
        try:
            found = await of_redis(redis_url)
            await client.config_set("maxmemory-policy", "noeviction")
            kept = await of_redis(redis_url)
        finally:
            await client.config_set("maxmemory", "0")
            await client.config_set("maxmemory-policy", "noeviction")

    assert [f.word for f in found] == ["ok", "note"]
    assert [f.word for f in kept] == ["ok"]


def test_an_old_redis_is_told_to_be_updated() -> None:
    assert redis_version("6.0.16").mend == "Redis 6.2 or newer is needed: update it"
    assert redis_version("6.2.0").mend is None
    assert redis_version("8.10.2").mend is None
