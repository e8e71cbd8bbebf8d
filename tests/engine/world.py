"""The engine on its production wiring: a real database of its own, and a clock that tests turn."""

from collections.abc import AsyncIterator, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg

from domain.commands.imports import (
    Imported,
    ImportStatement,
    UndoImport,
    import_statement,
    undo_import,
)
from domain.commands.links import ConnectProvider, connect_provider
from domain.commands.people import CreateUser, actor_to_be, create_user
from domain.commands.running import RunSync, run_sync
from domain.commands.sync import RequestSync, request_sync
from domain.identity import Actor, Role, new_id
from domain.imports import ImportPreview
from domain.limits import Limit, LimitSettings
from domain.links import Link, LinkId
from domain.ports import App
from domain.providers import Provider
from domain.secret import Secret, Secrets
from domain.sync import RunId, SyncRun
from gateway.settings import Settings
from gateway.wiring.root import Wired, wire
from tests.servers import Database

MORNING = datetime(2026, 11, 21, 9, 30, tzinfo=UTC)
PASSWORD = "correct-horse-battery-staple"
DATA = ("accounts", "securities", "holdings", "transactions", "balance_snapshots")
ROOMY = Limit(name="roomy", burst=10_000, per_seconds=1)
# What is different each time a row is made, or moves with every change.
OURS = ("id", "link_id", "run_id", "data_version", "xmin")


@dataclass(slots=True)
class Clock:
    at: datetime = MORNING

    def __call__(self) -> datetime:
        return self.at

    def turn(self, **by: float) -> None:
        self.at += timedelta(**by)


@dataclass(slots=True, kw_only=True)
class Engine:
    """One person's view of a gateway without its HTTP: commands in, rows out."""

    database: Database
    data_dir: Path
    wired: Wired
    app: App
    clock: Clock
    spy: asyncpg.Connection  # sees every row
    actor: Actor
    worker: UUID = field(default_factory=new_id)

    # ── commands ────────────────────────────────────────────────────────────

    async def connect(
        self,
        *,
        provider: str = "sandbox",
        link_id: LinkId | None = None,
        alias: str | None = None,
        **credentials: str,
    ) -> Link:
        return await connect_provider(
            self.app,
            ConnectProvider(
                actor=self.actor,
                provider_slug=provider,
                link_id=link_id,
                alias=alias,
                credentials=Secrets(credentials) if credentials else None,
                nothing=None if credentials else True,
                at=self.clock(),
            ),
        )

    async def request(self, **said: Any) -> list[SyncRun]:
        values: dict[str, Any] = {
            "link_id": None,
            "account_id": None,
            "scopes": None,
            "since": None,
            "until": None,
            "force": False,
        }
        cmd = RequestSync(actor=self.actor, at=self.clock(), **values | said)
        return await request_sync(self.app, cmd)

    async def run(
        self, run_id: UUID, *, worker: UUID | None = None, app: App | None = None
    ) -> SyncRun:
        cmd = RunSync(
            actor=self.actor,
            run_id=RunId(run_id),
            worker=worker or self.worker,
            at=self.clock(),
        )
        return await run_sync(app or self.app, cmd)

    async def run_waiting(self) -> list[SyncRun]:
        """What a worker would do with the runs that are queued by now."""
        waiting = await self.rows("sync_runs", "status = 'QUEUED'", order="id")
        return [await self.run(row["id"]) for row in waiting]

    async def linked(self, **said: Any) -> tuple[Link, SyncRun]:
        """A new link, and its first sync."""
        link = await self.connect(**said)
        [run] = await self.run_waiting()
        return link, run

    async def sync(self, link: Link | None = None, *, force: bool = True, **said: Any) -> SyncRun:
        [asked] = await self.request(link_id=link.id if link else None, force=force, **said)
        return await self.run(asked.id)

    async def bring_in(
        self, file: bytes, *, provider: str = "file", dry_run: bool = False, **said: Any
    ) -> Imported:
        values: dict[str, Any] = {"file_name": "statement.ofx", "alias": None}
        cmd = ImportStatement(
            actor=self.actor,
            provider_slug=provider,
            file=file,
            dry_run=dry_run,
            at=self.clock(),
            **values | said,
        )
        return await import_statement(self.app, cmd)

    async def imported(self, file: bytes, **said: Any) -> SyncRun:
        run = (await self.bring_in(file, **said)).run
        assert run is not None
        return run

    async def preview(self, file: bytes, **said: Any) -> ImportPreview:
        preview = (await self.bring_in(file, dry_run=True, **said)).preview
        assert preview is not None
        return preview

    async def undo(self, run: SyncRun) -> SyncRun:
        cmd = UndoImport(actor=self.actor, run_id=run.id, at=self.clock())
        return await undo_import(self.app, cmd)

    # ── what is stored ──────────────────────────────────────────────────────

    async def rows(
        self, table: str, where: str = "true", *given: Any, order: str = "1"
    ) -> Sequence[asyncpg.Record]:
        found: Sequence[asyncpg.Record] = await self.spy.fetch(
            f"SELECT * FROM {table} WHERE {where} ORDER BY {order}", *given
        )
        return found

    async def count(self, table: str, where: str = "true", *given: Any) -> int:
        return int(await self.spy.fetchval(f"SELECT count(*) FROM {table} WHERE {where}", *given))

    async def one(self, table: str, where: str = "true", *given: Any) -> asyncpg.Record:
        [row] = await self.rows(table, where, *given)
        return row

    async def link(self, id: UUID) -> asyncpg.Record:
        return await self.one("links", "id = $1", id)

    async def version(self) -> int:
        where = "user_id = $1"
        return int((await self.one("users", where, self.actor.user_id))["data_version"])

    async def written(self, *tables: str) -> Mapping[str, Sequence[str]]:
        """Every row with the transaction that wrote it: alike only if nothing was written."""
        found = {}
        for table in tables or DATA:
            rows = await self.spy.fetch(f"SELECT xmin, t.* FROM {table} t")
            found[table] = sorted(str(tuple(row.values())) for row in rows)
        return found

    async def every_table(self) -> Sequence[str]:
        rows = await self.spy.fetch(
            "SELECT format('%I.%I', schemaname, tablename) AS name FROM pg_tables"
            " WHERE schemaname IN ('public', 'jobs') ORDER BY 1"
        )
        return [row["name"] for row in rows]

    async def said(self, *tables: str, leave_out: Sequence[str] = ("data_version",)) -> Any:
        """Every row as it reads."""
        found = {}
        for table in tables:
            rows = await self.spy.fetch(f"SELECT * FROM {table}")
            found[table] = sorted(
                str([(k, v) for k, v in row.items() if k not in leave_out]) for row in rows
            )
        return found

    async def facts(self) -> Mapping[str, Sequence[str]]:
        """Everything that was learned, without our ids and times: alike for like feeds."""
        queries = {
            "accounts": "SELECT * FROM accounts",
            "securities": "SELECT * FROM securities",
            "holdings": "SELECT a.name AS account, s.name AS security, s.symbol, h.* FROM holdings h"
            " JOIN accounts a ON a.id = h.account_id JOIN securities s ON s.id = h.security_id",
            "transactions": "SELECT a.name AS account, s.name AS security, t.*,"
            " t.removed_at IS NULL AS stands,"
            " (SELECT array_agg(k.key ORDER BY k.key) FROM transaction_keys k"
            "  WHERE k.transaction_id = t.id) AS keys"
            " FROM transactions t JOIN accounts a ON a.id = t.account_id"
            " LEFT JOIN securities s ON s.id = t.security_id",
            "balance_snapshots": "SELECT a.name AS account, s.*, s.at::date AS day"
            " FROM balance_snapshots s JOIN accounts a ON a.id = s.account_id",
            "link_accounts": "SELECT a.name AS account, l.key FROM link_accounts l"
            " JOIN accounts a ON a.id = l.account_id",
        }
        hidden = {*OURS, "user_id", "account_id", "security_id", "at", "removed_at"}
        hidden |= {"created_at", "updated_at", "fingerprint", "sealed_number"}
        found = {}
        for name, query in queries.items():
            rows = await self.spy.fetch(query)
            found[name] = sorted(
                str([(k, v) for k, v in row.items() if k not in hidden]) for row in rows
            )
        return found

    async def events(self) -> list[str]:
        return [row["name"] for row in await self.rows("events", order="seq")]

    async def audit(self, action: str) -> list[tuple[str, str | None]]:
        """Outcome and detail, in their order."""
        rows = await self.rows("audit_log", "action = $1", action, order="seq")
        return [(row["outcome"], row["detail"]) for row in rows]


def settings_of(database: Database, data_dir: Path, **said: str) -> Settings:
    given = {
        "DASHTAM_MODE": "development",
        "DASHTAM_DATABASE_URL": database.app_url,
        "DASHTAM_DATA_DIR": str(data_dir),
        "DASHTAM_ARGON2": "m=64,t=1,p=1",
        "DASHTAM_DB_READ_POOL": "2",
        "DASHTAM_DB_WRITE_POOL": "4",
    }
    return Settings.read(given | said)


def roomy() -> LimitSettings:
    return LimitSettings(
        sign_in_account=ROOMY,
        sign_in_address=ROOMY,
        register=ROOMY,
        verify=ROOMY,
        reset=ROOMY,
        reset_account=ROOMY,
        refresh=ROOMY,
        connect=ROOMY,
        sync=ROOMY,
    )


def known(*providers: Provider) -> Mapping[str, Provider]:
    return {p.info.slug: p for p in providers}


@asynccontextmanager
async def running_engine(
    database: Database, data_dir: Path, *providers: Provider
) -> AsyncIterator[Engine]:
    clock = Clock()
    spy = await asyncpg.connect(database.superuser_url)
    try:
        async with wire(settings_of(database, data_dir)) as wired:
            app = replace(
                wired.app,
                now=clock,
                limit_settings=roomy(),
                providers={**wired.app.providers, **known(*providers)},
            )
            person = await create_user(
                app,
                CreateUser(
                    actor=actor_to_be(Role.USER),
                    email="ann@example.com",
                    password=Secret(PASSWORD),
                    role=Role.USER,
                    at=clock(),
                ),
            )
            yield Engine(
                database=database,
                data_dir=data_dir,
                wired=replace(wired, app=app),
                app=app,
                clock=clock,
                spy=spy,
                actor=Actor(user_id=person.id, role=Role.USER),
            )
    finally:
        await spy.close()
