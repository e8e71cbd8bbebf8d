"""The composition root: where ports meet adapters, once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

import asyncpg

from adapters.memory.limits import MemoryLimits
from adapters.ofx.statements import statement_of
from adapters.postgres.connections import open_engine
from adapters.postgres.doors import PostgresDoors
from adapters.postgres.fanout import PostgresFanout
from adapters.postgres.policy import policy_rules
from adapters.postgres.pool import AWAY, open_pool
from adapters.postgres.snapshot import Snapshot
from adapters.postgres.store import PostgresStore
from adapters.providers import providers
from adapters.security.casbin_policy import CasbinPolicy
from adapters.security.keyring import Keyring, KeyringError
from adapters.security.passwords import Argon2Passwords
from adapters.security.tokens import Tokens
from adapters.security.vault import Vault
from domain.identity import Actor
from domain.ports import App, Fanout, Limit, Limits, LimitSettings, unobserved
from domain.storage.reads import Reads
from gateway import telemetry
from gateway.movements import RunMovements
from gateway.settings import Limits as LimitFigures
from gateway.settings import Settings, SettingsError

if TYPE_CHECKING:
    from redis.asyncio import Redis

QUARTER_HOUR_S = 900
CLOSE_S_MAX = 5


@dataclass(frozen=True, slots=True, kw_only=True)
class Wired:
    """Everything that is open, for as long as `wire` is.

    `fanout` carries what is much and may be lost: Redis where it is configured, since every NOTIFY
    waits for one lock as it commits. `endings` of sessions stay with PostgreSQL even then: they are
    rare, and are said inside of the transaction that ends the session, so that none is ever ended
    without its news, nor while Redis is away.
    """

    settings: Settings
    app: App
    pool: asyncpg.Pool
    tokens: Tokens
    fanout: Fanout
    movements: RunMovements
    endings: Fanout

    def snapshot(self, actor: Actor) -> Reads:
        return Snapshot(self.pool, actor.user_id)


@asynccontextmanager
async def wire(settings: Settings) -> AsyncIterator[Wired]:
    """Open every adapter; close them in the opposite order, even when opening one failed.

    Raises:
        SettingsError: no database, one without our tables, or no keys that can be read.
        Unavailable: the database cannot be reached.
    """
    if settings.database_url is None or settings.keyring is None:
        raise SettingsError("There is no database: set DASHTAM_DATABASE_URL, or use `dashtam up`.")
    keyring = _keyring(settings)
    async with AsyncExitStack() as stack:
        engine = open_engine(settings.database_url, settings.db_write_pool)
        stack.push_async_callback(engine.dispose)
        pool = await open_pool(settings.database_url, settings.db_read_pool)
        stack.push_async_callback(_close, pool)
        if (watch := telemetry.current()) is not None:
            watch.pools(pool, engine)
        passwords = Argon2Passwords(
            memory_kib=settings.argon2.memory_kib,
            time_cost=settings.argon2.iterations,
            parallelism=settings.argon2.parallelism,
        )
        stack.callback(passwords.close)
        tokens = Tokens(keyring, issuer=settings.public_url, audience=settings.public_url)
        rules = await _rules(pool)
        redis = _redis(settings, stack)
        endings = PostgresFanout(pool, settings.database_url)
        fanout = endings if redis is None else _redis_fanout(redis)
        movements = RunMovements(fanout)
        app = App(
            store=PostgresStore(engine, moved=movements.moved),
            doors=PostgresDoors(pool),
            policy=CasbinPolicy(rules),
            providers=providers(statement_of, enabled=settings.providers),
            vault=Vault(keyring),
            passwords=passwords,
            tokens=tokens,
            limits=_limits(redis) if watch is None else watch.limits(_limits(redis)),
            read_statement=statement_of,
            now=lambda: datetime.now(UTC),
            movements=movements,
            limit_settings=limits_of(settings.limits),
            session_limit=settings.session_limit,
            observe=unobserved if watch is None else watch.command,
        )
        hearing = [asyncio.create_task(fan.run()) for fan in {endings, fanout}]
        hearing.append(asyncio.create_task(movements.run()))
        stack.push_async_callback(_end, hearing)
        stack.push_async_callback(movements.close)
        yield Wired(
            settings=settings,
            app=app,
            pool=pool,
            tokens=tokens,
            fanout=fanout,
            movements=movements,
            endings=endings,
        )


def limits_of(figures: LimitFigures) -> LimitSettings:
    def limit(name: str, burst: int, per_seconds: int) -> Limit:
        return Limit(name=name, burst=burst, per_seconds=per_seconds)

    return LimitSettings(
        sign_in_account=limit("sign-in-account", figures.sign_in_account, QUARTER_HOUR_S),
        sign_in_address=limit("sign-in-address", figures.sign_in_address, QUARTER_HOUR_S),
        refresh=limit("refresh", figures.refresh, 60),
        connect=limit("connect", figures.connect, 60),
        sync=limit("sync", figures.sync, 60),
    )


def _keyring(settings: Settings) -> Keyring:
    assert settings.keyring is not None  # noqa: S101 - checked by the caller
    try:
        if settings.is_development:
            return Keyring.load_or_create(settings.keyring)
        return Keyring.load(settings.keyring)
    except KeyringError as error:
        raise SettingsError(str(error)) from error


async def _rules(pool: asyncpg.Pool) -> list[tuple[str, str, str]]:
    try:
        return await policy_rules(pool)
    except asyncpg.UndefinedTableError:
        raise SettingsError("The database has no tables yet: run `dashtam migrate`.") from None


def _redis(settings: Settings, stack: AsyncExitStack) -> "Redis | None":
    """In Redis is what several processes share; one does without."""
    if settings.redis_url is None:
        return None
    from redis.asyncio import Redis  # noqa: PLC0415 - slow to import

    redis = Redis.from_url(settings.redis_url)
    stack.push_async_callback(redis.aclose)
    return redis


def _limits(redis: "Redis | None") -> Limits:
    if redis is None:
        return MemoryLimits()
    from adapters.redis.limits import RedisLimits  # noqa: PLC0415 - imports Redis too

    return RedisLimits(redis)


def _redis_fanout(redis: "Redis") -> Fanout:
    from adapters.redis.fanout import RedisFanout  # noqa: PLC0415 - same

    # Redis's channels know no database: two instances on one server would hear each other.
    number = redis.connection_pool.connection_kwargs.get("db", 0)
    return RedisFanout(redis, prefix=f"dashtam:{number}:")


async def _end(tasks: list[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


async def _close(pool: asyncpg.Pool) -> None:
    """A server that is gone already, or a query that hangs, must not stop us from ending."""
    try:
        async with asyncio.timeout(CLOSE_S_MAX):
            await pool.close()
    except (TimeoutError, *AWAY):
        pool.terminate()
