"""Sealed values by the thousand, as if many people had linked their banks."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import asyncpg

from adapters.postgres.sealed import COLUMNS
from adapters.security.keyring import Keyring
from adapters.security.vault import Vault, header_of
from domain.identity import new_id
from domain.sealing import Place, bound_to

NOW = datetime(2026, 11, 22, tzinfo=UTC)
USERS = ("user_id", "email", "password_hash", "role", "created_at", "base_currency", "time_zone")
LINKS = ("user_id", "id", "provider_slug", "status", "created_at")
CREDENTIALS = ("user_id", "link_id", "sealed", "updated_at", "version")
PER_PERSON = 10


@asynccontextmanager
async def many_links(db: asyncpg.Connection, keyring: Keyring, count: int) -> AsyncIterator[None]:
    """So many links with credentials; `db` is a superuser's."""
    vault = Vault(keyring)
    users = [new_id() for _ in range(count // PER_PERSON)]
    links = [(user, uuid4()) for user in users for _ in range(PER_PERSON)]

    async def copy(table: str, columns: tuple[str, ...], rows: list[tuple[object, ...]]) -> None:
        await db.copy_records_to_table(table, records=rows, columns=columns)

    people: list[tuple[object, ...]] = [
        (user, f"{user}@example.com", "-", "USER", NOW, "USD", "UTC") for user in users
    ]
    await copy("users", USERS, people)
    await copy("links", LINKS, [(*ids, "sandbox", "ACTIVE", NOW) for ids in links])
    sealed = [
        vault.seal(b'{"login": "ann"}', context=bound_to(Place.CREDENTIALS, *ids, version=1))
        for ids in links
    ]
    rows: list[tuple[object, ...]] = [
        (*ids, one, NOW, 1) for ids, one in zip(links, sealed, strict=True)
    ]
    await copy("credentials", CREDENTIALS, rows)
    try:
        yield
    finally:
        for table in ("credentials", "links", "users"):
            await db.execute(f"DELETE FROM {table} WHERE user_id = ANY ($1)", users)


async def counted(db: asyncpg.Connection, key_id: str) -> tuple[int, int]:
    """How many sealed values there are in the tables, and how many lie under this key."""
    every, under, header = 0, 0, header_of(key_id)
    for c in COLUMNS.values():
        row = await db.fetchrow(
            f"SELECT count({c.column}) AS every, count(*) FILTER ("
            f" WHERE substring({c.column} FROM 1 FOR {len(header)}) = $1) AS under"
            f" FROM {c.table}",
            header,
        )
        every, under = every + row["every"], under + row["under"]
    return every, under


async def all_open(db: asyncpg.Connection, keyring: Keyring) -> bool:
    """Whether all credentials open with the newest key alone."""
    vault = Vault(Keyring(keyring.sealing[:1], keyring.signing, keyring.mac))
    for row in await db.fetch("SELECT user_id, link_id, version, sealed FROM credentials"):
        ids = row["user_id"], row["link_id"]
        place = bound_to(Place.CREDENTIALS, *ids, version=row["version"])
        vault.open(row["sealed"], context=place)
    return True
