"""The composition root: where ports meet adapters, once."""

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

import asyncpg

from adapters.devices import device_of
from adapters.geo import Places, PlacesError
from adapters.memory.limits import MemoryLimits
from adapters.postgres.connections import open_engine
from adapters.postgres.doors import PostgresDoors
from adapters.postgres.fanout import PostgresFanout
from adapters.postgres.policy import POLICY_CHANGED, policy_lines
from adapters.postgres.pool import AWAY, FORGETS, FORGOTTEN, open_pool
from adapters.postgres.snapshot import Snapshot
from adapters.postgres.store import PostgresStore
from adapters.security.audit import AuditKeys
from adapters.security.casbin_policy import CasbinPolicy
from adapters.security.common_passwords import CommonPasswords
from adapters.security.devices import SignedDevices
from adapters.security.keyring import Keyring, KeyringError
from adapters.security.one_time_codes import TotpCodes
from adapters.security.passwords import Argon2Passwords
from adapters.security.policy_watcher import LOOK_EVERY_S, PolicyWatcher
from adapters.security.reloading_keyring import ReloadingKeyring
from adapters.security.tokens import Tokens
from adapters.security.vault import Vault
from domain.identity import Actor
from domain.limits import Limiter, LimitSettings
from domain.ports import App, Fanout, PlaceOf, nowhere, unobserved
from domain.providers import Provider
from domain.storage.reads import Reads
from gateway import telemetry
from gateway.audit.watching import Sealing
from gateway.live.feed import feed_of
from gateway.live.movements import RunMovements
from gateway.processes.starting import check_nothing_of_development, check_role
from gateway.settings import LimitFigures, Settings, SettingsError
from gateway.wiring.mail import mail_of
from gateway.wiring.outside import outside_of, providers_of, returns_of, statement_of
from gateway.wiring.refreshing import keep_fresh
from gateway.wiring.shared_limits import SharedLimits
from gateway.wiring.sharing import redis_fanout, redis_of, shared_limits

if TYPE_CHECKING:
    from sqlalchemy.ext.asyncio import AsyncEngine

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
    endings: PostgresFanout
    shared: SharedLimits | None  # where several processes share their limits
    policy: PolicyWatcher
    audit_keys: AuditKeys
    sealing: Sealing

    def snapshot(self, actor: Actor) -> Reads:
        return Snapshot(self.pool, actor.user_id)


@asynccontextmanager
async def wire(settings: Settings, *, processes: int = 1) -> AsyncIterator[Wired]:
    """Open every adapter; close them in the opposite order, even when opening one failed.
    `processes` is how many gateways there are like this.

    Raises:
        SettingsError: no database, one without our tables, or no keys that can be read.
        Unavailable: the database cannot be reached.
    """
    if settings.database_url is None or settings.keyring is None:
        raise SettingsError("There is no database: set DASHTAM_DATABASE_URL, or use `dashtam up`.")
    keys = _keys(settings, settings.keyring)
    async with AsyncExitStack() as stack:
        watch = telemetry.current()
        engine, pool = await _database(settings.database_url, settings, stack)
        passwords = _passwords(settings, stack)
        audit_keys = AuditKeys(keys.current())
        sealing = Sealing(pool, audit_keys, settings)
        tokens = Tokens(keys, issuer=settings.public_url, audience=settings.public_url)
        redis = redis_of(settings, stack)
        shared = None if redis is None else await shared_limits(redis, processes, stack)
        limits: Limiter = shared or MemoryLimits()
        endings = PostgresFanout(pool, settings.database_url)
        policy, watcher = await _policy(pool, endings, stack)
        fanout = endings if redis is None else redis_fanout(redis)
        movements = RunMovements(fanout)
        feed = feed_of(pool, PostgresDoors(pool), fanout)
        app = App(
            store=PostgresStore(engine, mac=audit_keys.mac, moved=movements.moved),
            doors=PostgresDoors(pool),
            policy=policy,
            providers=_providers(settings, pool, stack),
            vault=Vault(keys),
            passwords=passwords,
            common_passwords=CommonPasswords(),
            one_time_codes=TotpCodes(),
            devices=SignedDevices(keys),
            tokens=tokens,
            limits=limits if watch is None else watch.limits(limits),
            read_statement=statement_of,
            mail=mail_of(settings),
            now=lambda: datetime.now(UTC),
            movements=movements,
            feed=feed,
            returns=returns_of(settings),
            limit_settings=limits_of(settings.limits),
            session_limit=settings.session_limit,
            device_of=device_of,
            place_of=nowhere if settings.geoip_db is None else _places(settings.geoip_db, stack),
            observe=unobserved if watch is None else watch.command,
            integrity=sealing.integrity,
        )
        if not settings.is_development:
            await check_nothing_of_development(settings, app.doors, passwords)
        runs = [movements.run, feed.run, *(fan.run for fan in {endings, fanout})]
        _go_on(runs if watch is None else [*runs, sealing.run], stack)
        stack.push_async_callback(movements.close)
        yield Wired(
            settings=settings,
            app=app,
            pool=pool,
            tokens=tokens,
            fanout=fanout,
            movements=movements,
            endings=endings,
            shared=shared,
            policy=watcher,
            audit_keys=audit_keys,
            sealing=sealing,
        )


def limits_of(figures: LimitFigures) -> LimitSettings:
    default = LimitSettings()
    return LimitSettings(
        points=replace(default.points, burst=figures.points, debt=figures.points),
        sign_in_account=replace(default.sign_in_account, burst=figures.sign_in_account),
        sign_in_device=replace(default.sign_in_device, burst=figures.sign_in_account),
        sign_in_address=replace(default.sign_in_address, burst=figures.sign_in_address),
        register=replace(default.register, burst=figures.register),
        verify=replace(default.verify, burst=figures.verify),
        reset=replace(default.reset, burst=figures.reset),
        refresh=replace(default.refresh, burst=figures.refresh),
        connect=replace(default.connect, burst=figures.connect),
        sync=replace(default.sync, burst=figures.sync),
    )


def _keys(settings: Settings, path: Path) -> ReloadingKeyring:
    try:
        if settings.is_development:
            return ReloadingKeyring(path, Keyring.load_or_create(path))
        return ReloadingKeyring(path, Keyring.load(path))
    except KeyringError as error:
        raise SettingsError(str(error)) from error


async def _database(
    url: str, settings: Settings, stack: AsyncExitStack
) -> "tuple[AsyncEngine, asyncpg.Pool]":
    engine = open_engine(url, settings.db_write_pool)
    stack.push_async_callback(engine.dispose)
    try:
        pool = await open_pool(url, settings.db_read_pool)
        stack.push_async_callback(_close, pool)
        if not settings.is_development:
            await check_role(pool)
    except FORGOTTEN:
        raise SettingsError(f"DASHTAM_DATABASE_URL leads to a pooler: {FORGETS}.") from None
    if (watch := telemetry.current()) is not None:
        watch.pools(pool, engine)
    return engine, pool


def _passwords(settings: Settings, stack: AsyncExitStack) -> Argon2Passwords:
    passwords = Argon2Passwords(
        memory_kib=settings.argon2.memory_kib,
        time_cost=settings.argon2.iterations,
        parallelism=settings.argon2.parallelism,
    )
    stack.callback(passwords.close)
    return passwords


async def _policy(
    pool: asyncpg.Pool, news: Fanout, stack: AsyncExitStack
) -> tuple[CasbinPolicy, PolicyWatcher]:
    """As it is now, and kept so; and who says what is wrong with it then."""
    try:
        policy = CasbinPolicy(await policy_lines(pool))
    except asyncpg.UndefinedTableError as error:
        lacks = "is of an older version" if "casbin_roles" in str(error) else "has no tables yet"
        raise SettingsError(f"The database {lacks}: run `dashtam migrate`.") from None
    except ValueError as error:
        raise SettingsError(f"The policy in the database is malformed: {error}.") from None
    watcher = PolicyWatcher(partial(policy_lines, pool))
    watcher.set_update_callback(policy.reload)
    keep = partial(keep_fresh, watcher.look, news, POLICY_CHANGED, every_s=LOOK_EVERY_S)
    _go_on([keep], stack)
    return policy, watcher


def _providers(
    settings: Settings, pool: asyncpg.Pool, stack: AsyncExitStack
) -> Mapping[str, Provider]:
    outside = outside_of(settings, pool)
    stack.push_async_callback(outside.aclose)
    return providers_of(settings, outside)


def _go_on(runs: Sequence[Callable[[], Awaitable[None]]], stack: AsyncExitStack) -> None:
    """Each as a task, until the stack is closed."""
    tasks = [asyncio.ensure_future(run()) for run in runs]
    stack.push_async_callback(_end, tasks)


async def _end(tasks: Sequence[asyncio.Future[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _places(path: Path, stack: AsyncExitStack) -> PlaceOf:
    try:
        places = Places(path)
    except PlacesError as error:
        raise SettingsError(f"DASHTAM_GEOIP_DB {error}: give a GeoLite2 City file.") from error
    stack.callback(places.close)
    return places.place_of


async def _close(pool: asyncpg.Pool) -> None:
    """A server that is gone already, or a query that hangs, must not stop us from ending."""
    try:
        async with asyncio.timeout(CLOSE_S_MAX):
            await pool.close()
    except (TimeoutError, *AWAY):
        pool.terminate()
