"""Everything that is sealed, wherever it lies: found by its key, and replaced."""

import json
from base64 import b64decode, b64encode
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import TypeAlias
from uuid import UUID

from adapters.postgres.jobs import SETTINGS
from adapters.postgres.pool import Connection
from domain.sealing import Bound, Place, bound_to


@dataclass(frozen=True, slots=True, kw_only=True)
class SealedColumn:
    """`row` names the row among its user's, where each has several; `version` is a column too."""

    table: str
    column: str
    row: str | None
    version: str = "0"
    at_once: int = 500  # values in memory, and in one transaction

    @property
    def key(self) -> str:
        return self.row or "user_id"


# Jobs carry sealed values besides, inside of their payload.
COLUMNS: Mapping[Place, SealedColumn] = {
    Place.CREDENTIALS: SealedColumn(
        table="credentials", column="sealed", row="link_id", version="version"
    ),
    Place.ACCOUNT_NUMBER: SealedColumn(table="accounts", column="sealed_number", row="id"),
    Place.FILE: SealedColumn(
        table="import_files", column="sealed_content", row="run_id", at_once=4
    ),
    Place.TOTP_SEED: SealedColumn(
        table="totp_secrets", column="sealed", row=None, version="version"
    ),
    Place.VERIFIER: SealedColumn(table="oauth_states", column="sealed_verifier", row="id"),
    Place.ANSWER: SealedColumn(table="idempotency_keys", column="sealed", row="id", at_once=8),
}


@dataclass(frozen=True, slots=True)
class SealedValue:
    """A value as it lies there, and where; `row_id` is None where a user has one."""

    place: Place
    user_id: UUID
    row_id: UUID | None
    version: int
    sealed: bytes

    @property
    def context(self) -> Bound:
        return bound_to(self.place, self.user_id, self.row_id, version=self.version)


Rewrap: TypeAlias = Callable[[SealedValue], bytes | None]

# Headers of keys whose ids are as long are as long, and else differ in the byte that tells it.
OTHERS = " UNION ALL ".join(
    f"(SELECT '{place.name}' AS place, {c.row or 'NULL::uuid'} AS row_id,"
    f" {c.version}::bigint AS version, {c.column} AS sealed FROM {c.table}"
    f" WHERE user_id = $1 AND {c.key} <> ALL ($3::uuid[])"
    f" AND substring({c.column} FROM 1 FOR octet_length($2::bytea)) <> $2::bytea LIMIT {c.at_once})"
    for place, c in COLUMNS.items()
)
# Only what is still as it was read: whoever changed it meanwhile had the key in use.
REPLACE = {
    place: f"UPDATE {c.table} SET {c.column} = given.sealed"
    " FROM unnest($2::uuid[], $3::bytea[], $4::bytea[]) AS given (id, was, sealed)"
    f" WHERE {c.table}.user_id = $1 AND {c.table}.{c.key} = given.id"
    f" AND {c.table}.{c.column} = given.was"
    for place, c in COLUMNS.items()
}
USERS = "SELECT user_id FROM users_beyond($1, $2)"
LOCK = "SELECT FROM users WHERE user_id = $1 FOR NO KEY UPDATE"
JOBS = f"""
SELECT id, payload FROM jobs.{SETTINGS.queue_table}
WHERE position('"sealed"'::bytea IN payload) > 0"""
REPLACE_JOB = f"""
UPDATE jobs.{SETTINGS.queue_table} SET payload = $3 WHERE id = $1 AND payload = $2"""


async def users_beyond(connection: Connection, last: UUID, most: int) -> Sequence[UUID]:
    """The next users, in the order of their ids."""
    return [row["user_id"] for row in await connection.fetch(USERS, last, most)]


async def replace_sealed(
    connection: Connection, user_id: UUID, header: bytes, rewrap: Rewrap
) -> int:
    """Replace what this user has sealed that does not begin with `header`; how many that were.

    What `rewrap` has nothing for stays as it is. The user's row is locked, as by whoever writes
    any of this, but only where there is something to do and for no longer than a batch.
    """
    count, left = 0, set[UUID]()
    while True:
        async with connection.transaction():
            await connection.execute("SELECT enter($1)", user_id)
            rows = await connection.fetch(OTHERS, user_id, header, list(left))
            if not rows:
                return count
            await connection.execute(LOCK, user_id)
            new: dict[Place, list[tuple[UUID, bytes, bytes]]] = {}
            for row in rows:
                place, row_id = Place[row["place"]], row["row_id"]
                value = SealedValue(place, user_id, row_id, row["version"], row["sealed"])
                if (sealed := rewrap(value)) is None:
                    left.add(row_id or user_id)
                else:
                    new.setdefault(place, []).append((row_id or user_id, value.sealed, sealed))
            for place, values in new.items():
                columns = [list(column) for column in zip(*values, strict=True)]
                count += _met(await connection.execute(REPLACE[place], user_id, *columns))


async def replace_in_jobs(connection: Connection, header: bytes, rewrap: Rewrap) -> int:
    """The same for what waiting and running jobs carry."""
    count = 0
    for row in await connection.fetch(JOBS):
        said = json.loads(row["payload"])
        sealed = b64decode(said["sealed"])
        if not sealed.startswith(header):
            place = Place.JOB
            new = rewrap(SealedValue(place, UUID(said["user"]), UUID(said["id"]), 0, sealed))
            if new is not None:
                payload = json.dumps({**said, "sealed": b64encode(new).decode()}).encode()
                given = (row["id"], row["payload"], payload)
                count += _met(await connection.execute(REPLACE_JOB, *given))
    return count


def _met(status: str) -> int:
    return int(status.rpartition(" ")[2])
