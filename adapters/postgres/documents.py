"""Published documents: read by every gateway, and published and retired by the owner."""

import json
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from adapters.postgres.pool import Connection, Pool, answer

DOCUMENTS_CHANGED = "dashtam_documents_changed"  # said as a publication or a retirement commits
LOCK = 4_714_390_226_582  # of our own, for pg_advisory_xact_lock: one publisher at a time
UNKNOWN = "unknown"  # whoever used an id that they had not published

# A version all of whose documents are retired is still there.
PUBLISHED = """
SELECT v.client_name, v.client_version, v.limits, p.id, i.sha256
FROM client_versions v
LEFT JOIN published_documents p USING (client_name, client_version)
LEFT JOIN document_ids i ON i.id = p.id
ORDER BY v.client_name, v.client_version, p.id"""
TEXTS = "SELECT sha256, body FROM documents WHERE sha256 = ANY ($1::text[])"
USE = "SELECT use_documents($1, $2, $3, $4, $5)"

VERSION = "SELECT limits FROM client_versions WHERE (client_name, client_version) = ($1, $2)"
IDS_OF = "SELECT id, name FROM published_documents WHERE (client_name, client_version) = ($1, $2)"
TAKEN = """
SELECT i.id, i.sha256, (
    SELECT min(p.client_name || ' ' || p.client_version) FROM published_documents p
    WHERE p.id = i.id
) AS whose
FROM document_ids i WHERE i.id = ANY ($1::text[])"""
ADD_TEXTS = """
INSERT INTO documents (sha256, body) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING"""
ADD_IDS = """
INSERT INTO document_ids (id, sha256) SELECT * FROM unnest($1::text[], $2::text[])
ON CONFLICT DO NOTHING"""
ADD_VERSION = """
INSERT INTO client_versions (client_name, client_version, published_at, limits)
VALUES ($1, $2, now(), $3::jsonb)
ON CONFLICT (client_name, client_version) DO UPDATE SET limits = excluded.limits"""
ADD_DOCUMENTS = """
INSERT INTO published_documents (client_name, client_version, id, name)
SELECT $1, $2, * FROM unnest($3::text[], $4::text[])
ON CONFLICT (client_name, client_version, id) DO UPDATE SET name = excluded.name"""
TELL = "SELECT pg_notify($1, '')"

# Its own uses; and where nobody else has it, anybody's, since it would be gone for them too.
USED_SINCE = """
SELECT p.id, p.name, u.client_name, u.client_version, u.last_used_at
FROM published_documents p JOIN document_uses u ON u.id = p.id AND u.last_used_at > $4
WHERE (p.client_name, p.client_version) = ($1, $2) AND p.id = ANY ($3::text[]) AND (
    (u.client_name, u.client_version) = ($1, $2) OR NOT EXISTS (
        SELECT FROM published_documents o
        WHERE o.id = p.id AND (o.client_name, o.client_version) <> ($1, $2)
    )
)
ORDER BY p.name, p.id, u.last_used_at DESC"""
RETIRE = """
DELETE FROM published_documents
WHERE (client_name, client_version) = ($1, $2) AND id = ANY ($3::text[])"""
HASHES = "SELECT id, sha256 FROM document_ids WHERE id = ANY ($1::text[])"
LISTED = """
SELECT p.client_name, p.client_version, p.id, i.sha256, p.name, u.last_used_at,
    coalesce(u.uses, 0) AS uses
FROM published_documents p JOIN document_ids i ON i.id = p.id
LEFT JOIN document_uses u
    ON (u.client_name, u.client_version, u.id) = (p.client_name, p.client_version, p.id)
WHERE $1::text IS NULL OR p.client_name = $1
UNION ALL
SELECT u.client_name, '', u.id, i.sha256, (
    SELECT min(p.name) FROM published_documents p WHERE p.id = u.id
), u.last_used_at, u.uses
FROM document_uses u JOIN document_ids i ON i.id = u.id
WHERE u.client_name = 'unknown' AND ($1::text IS NULL OR $1 = 'unknown')
ORDER BY 1, 2, 5, 3"""


@dataclass(frozen=True, slots=True, kw_only=True)
class PublishedRow:
    """One document of one version of a client; or none, where all of the version's are retired."""

    client_name: str
    client_version: str
    limits: Mapping[str, int]
    id: str | None
    sha256: str | None


@dataclass(frozen=True, slots=True, kw_only=True)
class Use:
    client_name: str
    client_version: str
    id: str
    count: int
    last: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class ToPublish:
    id: str
    name: str
    sha256: str
    text: str


# ── as the runtime role ─────────────────────────────────────────────────────


async def published(pool: Pool) -> list[PublishedRow]:
    """Raises Unavailable while the database is away."""
    rows = await answer(pool, lambda c: _fetch(c, PUBLISHED))
    return [
        PublishedRow(
            client_name=row["client_name"],
            client_version=row["client_version"],
            limits=_limits(row["limits"]),
            id=row["id"],
            sha256=row["sha256"],
        )
        for row in rows
    ]


async def texts(pool: Pool, hashes: Collection[str]) -> dict[str, str]:
    """By their hash. Raises Unavailable while the database is away."""
    if not hashes:
        return {}
    rows = await answer(pool, lambda c: _fetch(c, TEXTS, list(hashes)))
    return {row["sha256"]: row["body"] for row in rows}


async def note_uses(pool: Pool, uses: Sequence[Use]) -> None:
    """Raises Unavailable while the database is away; then they may be noted, or not."""
    columns: tuple[list[Any], ...] = (
        [use.client_name for use in uses],
        [use.client_version for use in uses],
        [use.id for use in uses],
        [use.count for use in uses],
        [use.last for use in uses],
    )
    await answer(pool, lambda c: _fetch(c, USE, *columns))


# ── as the owner, inside of a transaction ───────────────────────────────────


async def lock(db: Any) -> None:
    """Until the transaction is over, nobody else publishes or retires."""
    await db.execute("SELECT pg_advisory_xact_lock($1)", LOCK)


async def limits_of(db: Any, client_name: str, client_version: str) -> Mapping[str, int] | None:
    """None where the version was never published."""
    found = await db.fetchval(VERSION, client_name, client_version)
    return None if found is None else _limits(found)


async def names_of(db: Any, client_name: str, client_version: str) -> dict[str, str]:
    """The names of the version's documents, by id."""
    return {row["id"]: row["name"] for row in await db.fetch(IDS_OF, client_name, client_version)}


async def taken(db: Any, ids: Collection[str]) -> dict[str, tuple[str, str | None]]:
    """Of those ids that there are: the hash of their text, and who has it; None once retired."""
    rows = await db.fetch(TAKEN, list(ids))
    return {row["id"]: (row["sha256"], row["whose"]) for row in rows}


async def publish(
    db: Any,
    client_name: str,
    client_version: str,
    documents: Iterable[ToPublish],
    limits: Mapping[str, int],
) -> None:
    """Add them to the version, and tell every gateway as this commits."""
    given = list(documents)
    hashes, ids = [each.sha256 for each in given], [each.id for each in given]
    await db.execute(ADD_TEXTS, hashes, [each.text for each in given])
    await db.execute(ADD_IDS, ids, hashes)
    await db.execute(ADD_VERSION, client_name, client_version, json.dumps(dict(limits)))
    names = [each.name for each in given]
    await db.execute(ADD_DOCUMENTS, client_name, client_version, ids, names)
    await db.execute(TELL, DOCUMENTS_CHANGED)


async def used_since(
    db: Any, client_name: str, client_version: str, ids: Collection[str], since: datetime
) -> Sequence[Mapping[str, Any]]:
    """Uses that keep these from being retired: `id`, `name`, who and when, the latest first."""
    rows: Sequence[Mapping[str, Any]] = await db.fetch(
        USED_SINCE, client_name, client_version, list(ids), since
    )
    return rows


async def hashes_of(db: Any, ids: Collection[str]) -> dict[str, str]:
    return {row["id"]: row["sha256"] for row in await db.fetch(HASHES, list(ids))}


async def retire(db: Any, client_name: str, client_version: str, ids: Collection[str]) -> None:
    """Take them from the version, and tell every gateway as this commits."""
    await db.execute(RETIRE, client_name, client_version, list(ids))
    await db.execute(TELL, DOCUMENTS_CHANGED)


async def listed(db: Any, client_name: str | None) -> Sequence[Mapping[str, Any]]:
    """Every document of every version, by client, version and name, with its last use; and what
    unknown clients used."""
    rows: Sequence[Mapping[str, Any]] = await db.fetch(LISTED, client_name)
    return rows


async def _fetch(connection: Connection, statement: str, *given: object) -> Sequence[Any]:
    rows: Sequence[Any] = await connection.fetch(statement, *given)
    return rows


def _limits(said: str) -> Mapping[str, int]:
    return {str(name): int(most) for name, most in json.loads(said).items()}
