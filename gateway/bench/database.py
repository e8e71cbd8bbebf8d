"""The bench's own PostgreSQL: embedded, migrated, seeded once, reused where it is kept."""

import asyncio
import json
import shutil
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from uuid import UUID

import asyncpg

from adapters.security.keyring import Keyring
from adapters.security.tokens import AccessTokens
from gateway import embedded
from gateway.bench.seed import ROWS_EACH, VERSION, seed
from gateway.migrate import migrate
from gateway.processes.instance import alone

STOCK_ROLE = "bench_stock"
SETTINGS = {
    "max_wal_size": "1GB",
    "checkpoint_timeout": "30min",
    "shared_preload_libraries": "pg_stat_statements",
    "pg_stat_statements.track_utility": "off",
}
BYTES_A_ROW = 900  # on disk, with indexes; measured 430, and the log beside it
MB_A_PERSON, MB_BESIDE = 1.2, 64  # what the workloads read of one stays in memory
TOKEN_LIFETIME = timedelta(days=1)


class BenchError(Exception):
    """The bench cannot go on; one sentence that says why."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Person:
    user_id: UUID
    session_id: UUID


@dataclass(frozen=True, slots=True, kw_only=True)
class Database:
    server: embedded.Server = field(repr=False)
    keyring: Path
    people: tuple[Person, ...] = field(repr=False)
    last_day: date
    seeded_s: float | None  # None: it was there

    @property
    def stock_url(self) -> str:
        """Of a role that row-level security does not hold: stock says WHERE user_id itself."""
        return self.server.superuser_url.replace("//postgres:", f"//{STOCK_ROLE}:", 1)

    def tokens(self, public_url: str) -> list[str]:
        """An access token of each person's session, signed by the gateway's own keys."""
        tokens = AccessTokens(
            Keyring.load(self.keyring),
            issuer=public_url,
            audience=public_url,
            lifetime=TOKEN_LIFETIME,
        )
        now = datetime.now(UTC)
        return [
            tokens.issue(
                user_id=p.user_id, session_id=p.session_id, version=0, generation=0, now=now
            )
            for p in self.people
        ]


@contextmanager
def database(folder: Path, people: int, say: Callable[[str], None]) -> Iterator[Database]:
    """A running server on `folder` that holds exactly these many people.

    Raises:
        BenchError: the folder holds another number of them, or the disk is full.
        ProcessesError: another bench works on it.
        EmbeddedError: PostgreSQL cannot run here.
    """
    made = folder / "bench.json"
    known = json.loads(made.read_text()) if made.exists() else None
    if known is not None and known["people"] != people:
        raise BenchError(
            f"{folder} holds {known['people']} people, not {people}: name another folder to keep."
        )
    if known is not None and known["seed"] != VERSION:
        raise BenchError(f"{folder} was seeded by another version: remove it, and keep another.")
    if known is None and shutil.disk_usage(folder).free < people * ROWS_EACH * BYTES_A_ROW:
        need = people * ROWS_EACH * BYTES_A_ROW >> 20
        raise BenchError(f"{folder} needs {need:,} MB: free that, or bench with --small.")
    with alone(folder):
        memory = {"shared_buffers": f"{MB_BESIDE + int(people * MB_A_PERSON)}MB"}
        server = embedded.start(folder, durable=False, settings=SETTINGS | memory)
        try:
            asyncio.run(_prepare(server))
            seeded_s = None
            if known is None:
                today = datetime.now(UTC).date().isoformat()
                known = {"people": people, "seed": VERSION, "last_day": today}
                seeded_s = _seed(server, people, date.fromisoformat(known["last_day"]), say)
                made.write_text(json.dumps(known))
            # Not beside the database, where keys are a development instance's: the servers that
            # are measured run as in production.
            keyring = folder / "keys" / "keyring.json"
            Keyring.load_or_create(keyring)
            yield Database(
                server=server,
                keyring=keyring,
                people=asyncio.run(_people(server)),
                last_day=date.fromisoformat(known["last_day"]),
                seeded_s=seeded_s,
            )
        finally:
            embedded.stop(server)


def _seed(
    server: embedded.Server, people: int, last_day: date, say: Callable[[str], None]
) -> float:
    begun = datetime.now(UTC)
    rows = people * ROWS_EACH
    say(f"Seeding {people:,} people, {rows:,} rows …")
    tenths = 0

    def done(count: int) -> None:
        nonlocal tenths
        if count * 10 // people > tenths:
            tenths = count * 10 // people
            spent = (datetime.now(UTC) - begun).total_seconds()
            say(f"  {tenths * 10} % after {spent:.0f} s")

    asyncio.run(seed(server.superuser_url, people, last_day, done))
    return (datetime.now(UTC) - begun).total_seconds()


PREPARE = """
CREATE SCHEMA IF NOT EXISTS bench;
CREATE EXTENSION IF NOT EXISTS pg_stat_statements SCHEMA bench;
DO $$ BEGIN
    IF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = '{role}') THEN
        CREATE ROLE {role} LOGIN BYPASSRLS;
    END IF;
END $$;
ALTER ROLE {role} PASSWORD '{password}';
GRANT USAGE ON SCHEMA public TO {role};
GRANT SELECT ON ALL TABLES IN SCHEMA public TO {role};
"""


async def _prepare(server: embedded.Server) -> None:
    await migrate(server.owner_url)
    db = await asyncpg.connect(server.superuser_url)
    try:
        # The superuser's own password, which is token_urlsafe: the URLs then differ in the role.
        password = server.superuser_url.partition("@")[0].rpartition(":")[2]
        await db.execute(PREPARE.format(role=STOCK_ROLE, password=password))
    finally:
        await db.close()


PEOPLE = """
SELECT s.user_id, s.id FROM sessions AS s JOIN users AS u USING (user_id)
WHERE u.email LIKE 'person-%@bench.invalid' ORDER BY u.email
"""
# Of a kept database; a use that is not noted again costs a write in the middle of what is measured.
FRESH = "UPDATE sessions SET last_used_at = now(), expires_at = now() + interval '30 days'"


async def _people(server: embedded.Server) -> tuple[Person, ...]:
    db = await asyncpg.connect(server.superuser_url)
    try:
        await db.execute(FRESH)
        rows = await db.fetch(PEOPLE)
    finally:
        await db.close()
    return tuple(Person(user_id=row["user_id"], session_id=row["id"]) for row in rows)
