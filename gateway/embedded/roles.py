"""The roles and the database that the gateway finds in the embedded server.

As in production: migrations run as the owner, everything else as a runtime role that owns nothing,
and the doors (SECURITY DEFINER functions) belong to a role that nobody can log in as.
"""

import json
import os
import re
import secrets
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

import asyncpg

from gateway.embedded.binaries import EmbeddedError

DATABASE = "dashtam"
TOKEN = re.compile(r"[\w-]{32}", re.ASCII)  # so that it needs no quoting in SQL
SUPERUSER, OWNER, APP, DOORS = "postgres", "dashtam_owner", "dashtam_app", "dashtam_doors"
LOGINS = (SUPERUSER, OWNER, APP)


@dataclass(frozen=True, slots=True)
class Passwords:
    """Random, made once for a data directory, kept beside it for its user alone."""

    of: dict[str, str]

    def url(self, role: str, run_dir: Path, database: str = DATABASE) -> str:
        secret = quote(self.of[role], safe="")
        return f"postgresql://{role}:{secret}@/{database}?host={quote(str(run_dir))}"

    def __repr__(self) -> str:
        return f"Passwords({', '.join(self.of)})"


def passwords(file: Path, *, first: bool) -> Passwords:
    """The passwords in `file`; with `first` it is written if it is not there.

    Raises:
        EmbeddedError: the file of an existing database is gone or damaged.
    """
    if first and not file.exists():
        made = {role: secrets.token_urlsafe(24) for role in LOGINS}
        new = file.with_suffix(".new")
        new.unlink(missing_ok=True)
        descriptor = os.open(new, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(descriptor, "w") as out:
            json.dump(made, out)
        new.rename(file)
    known: object = None
    with suppress(OSError, ValueError):
        known = json.loads(file.read_text())
    found = {r: str(known.get(r)) for r in LOGINS} if isinstance(known, dict) else {"": ""}
    if not all(map(TOKEN.fullmatch, found.values())):
        raise EmbeddedError(
            f"The passwords of the database beside it cannot be read from {file}: put the file "
            "back from a backup, or start with another --data-dir."
        )
    return Passwords(found)


async def prepare(run_dir: Path, known: Passwords) -> None:
    """Make the roles and the database that are missing; a repeat changes nothing."""
    try:
        db = await asyncpg.connect(known.url(SUPERUSER, run_dir))
    except asyncpg.InvalidCatalogNameError:
        await _create(run_dir, known)
        db = await asyncpg.connect(known.url(SUPERUSER, run_dir))
    try:
        owner = await db.fetchval(
            "SELECT pg_get_userbyid(nspowner) FROM pg_namespace WHERE nspname = 'public'"
        )
        if owner != OWNER:
            await db.execute(f"ALTER SCHEMA public OWNER TO {OWNER}")
    finally:
        await db.close()


async def _create(run_dir: Path, known: Passwords) -> None:
    roles = {
        # NOINHERIT: a policy for doors must not open every table to the owner as well.
        OWNER: f"LOGIN NOINHERIT PASSWORD '{known.of[OWNER]}'",
        APP: f"LOGIN PASSWORD '{known.of[APP]}'",
        DOORS: "NOLOGIN",
    }
    db = await asyncpg.connect(known.url(SUPERUSER, run_dir, "postgres"))
    try:
        there = {row["rolname"] for row in await db.fetch("SELECT rolname FROM pg_roles")}
        for role in roles.keys() - there:
            await db.execute(f"CREATE ROLE {role} {roles[role]}")
        await db.execute(f"GRANT {DOORS} TO {OWNER}")
        await db.execute(f"CREATE DATABASE {DATABASE} OWNER {OWNER}")
    finally:
        await db.close()
