"""Publishing, retiring and listing, as the database's owner: each as a whole, or not at all."""

from collections.abc import AsyncIterator, Collection, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import asyncpg

from adapters.postgres import documents
from adapters.postgres.documents import ToPublish
from adapters.postgres.pool import AWAY
from domain.errors import Unavailable
from gateway.documents import builtin
from gateway.documents.names import name_of
from gateway.operations.clients import Client

CONNECT_S_MAX = 10
IN_USE = timedelta(days=30)
SHOWN_MAX = 20
RESERVED = (builtin.NAME, documents.UNKNOWN)


class NotPublished(Exception):
    """Nothing was changed; each of `reasons` says why."""

    def __init__(self, *reasons: str) -> None:
        super().__init__(*reasons)
        self.reasons = reasons


@dataclass(frozen=True, slots=True, kw_only=True)
class Publication:
    added: int
    unchanged: int
    limits_changed: bool = False


@asynccontextmanager
async def owner(url: str) -> AsyncIterator[Any]:
    """A connection as the owner, in one transaction.

    Raises:
        NotPublished: the database lacks our tables, or the role may not write to them.
        Unavailable: the database cannot be reached.
    """
    try:
        connection = await asyncpg.connect(url, timeout=CONNECT_S_MAX)
    except (*AWAY, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        raise Unavailable("the database cannot be reached") from error
    try:
        async with connection.transaction():
            yield connection
    except asyncpg.UndefinedTableError:
        raise NotPublished("the database is of an older version: run `dashtam migrate`") from None
    except asyncpg.InsufficientPrivilegeError:
        why = "documents are the owner's to publish: set DASHTAM_MIGRATIONS_URL to the owner's URL"
        raise NotPublished(why) from None
    except (*AWAY, asyncpg.InterfaceError) as error:
        raise Unavailable("the database went away") from error
    finally:
        await connection.close(timeout=CONNECT_S_MAX)


async def publish(
    url: str, client: Client, given: Sequence[ToPublish], limits: Mapping[str, int]
) -> Publication:
    """A version is what was shipped: it may be given again, and more of it, and other limits; never
    another text under an id, nor less, which is for `retire`.

    Raises: NotPublished, Unavailable.
    """
    if client.name in RESERVED:
        raise NotPublished(f"the name {client.name} is the gateway's own: give another")
    ids = {each.id: each for each in given}
    async with owner(url) as db:
        await documents.lock(db)
        if reasons := await _taken(db, ids):
            raise NotPublished(*reasons)
        before = await documents.limits_of(db, client.name, client.version)
        names = await documents.names_of(db, client.name, client.version)
        if lacking := sorted(names.keys() - ids.keys(), key=lambda id_: (names[id_], id_)):
            which = ", ".join(f"{names[id_] or id_}" for id_ in lacking[:SHOWN_MAX])
            raise NotPublished(
                f"{client.name} {client.version} was published with {len(lacking)} documents that "
                f"this lacks ({which}): give it a version of its own, or retire those first"
            )
        added = ids.keys() - names.keys()
        moved = before is not None and dict(before) != dict(limits)
        if added or before is None or moved:
            await documents.publish(db, client.name, client.version, given, limits)
    return Publication(
        added=len(added), unchanged=len(ids) - len(added), limits_changed=moved and not added
    )


async def _taken(db: Any, ids: Mapping[str, ToPublish]) -> list[str]:
    reasons = []
    for id_, (hash_, whose) in sorted((await documents.taken(db, ids.keys())).items()):
        if hash_ != ids[id_].sha256:
            of = f"of {whose}" if whose else "that was retired"
            reasons.append(f"the id {id_} is that of another text, {of}: give this one another id")
    return reasons


async def retire(url: str, client: Client, said: Collection[str], *, now: datetime) -> int:
    """How many documents were taken from the version: those named, by id or hash, or all of it.

    Raises: NotPublished, Unavailable.
    """
    if client == builtin.client():  # those of older releases go as others do, once out of use
        raise NotPublished("the gateway's own pages need its built-in documents")
    async with owner(url) as db:
        await documents.lock(db)
        if await documents.limits_of(db, client.name, client.version) is None:
            raise NotPublished(f"there is no {client.name} {client.version}")
        names = await documents.names_of(db, client.name, client.version)
        ids = await _named(db, said, names) if said else [*names]
        used = await documents.used_since(db, client.name, client.version, ids, now - IN_USE)
        if used:
            raise NotPublished(*_in_use(used))
        if ids:
            await documents.retire(db, client.name, client.version, ids)
    return len(ids)


async def _named(db: Any, said: Collection[str], names: Collection[str]) -> list[str]:
    """Raises: NotPublished."""
    hashes = await documents.hashes_of(db, names)
    found, reasons = [], []
    for each in said:
        name = name_of(each)
        ids = [i for i, hash_ in hashes.items() if name and name.text in (i, hash_)]
        found += ids
        if not ids:
            reasons.append(f"there is no document {each} in this version")
    if reasons:
        raise NotPublished(*reasons)
    return found


def _in_use(used: Sequence[Mapping[str, Any]]) -> list[str]:
    return [
        f"{row['name'] or row['id']} ({row['id']}) was used by {row['client_name']}"
        f"{' ' * bool(row['client_version'])}{row['client_version']} at "
        f"{row['last_used_at']:%Y-%m-%d %H:%MZ}"
        for row in used
    ]


async def listed(url: str, client_name: str | None) -> Sequence[Mapping[str, Any]]:
    """Raises: NotPublished, Unavailable."""
    async with owner(url) as db:
        return await documents.listed(db, client_name)
