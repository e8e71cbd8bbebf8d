"""The built-in manifest: what a first client needs, and the gateway's own pages.

Published by `migrate` as client `dashtam`, in the program's version, so that a fresh production
answers. A file is one document, with the fragments it needs, and is called by its hash.
"""

from functools import cache
from importlib.metadata import version
from pathlib import Path
from typing import Any

import asyncpg

from adapters.postgres import documents
from adapters.postgres.documents import ToPublish
from gateway.documents.names import digest
from gateway.operations.clients import Client

FOLDER = Path(__file__).parent / "builtin"
NAME = "dashtam"


def client() -> Client:
    return Client(NAME, version("dashtam"))


@cache
def manifest() -> tuple[ToPublish, ...]:
    """By name."""
    found = []
    for path in sorted(FOLDER.glob("*.graphql")):
        text = path.read_text("utf-8")
        found.append(ToPublish(id=digest(text), name=path.stem, sha256=digest(text), text=text))
    return tuple(found)


async def is_published(url: str) -> bool:
    """Whether this version's is, as the runtime role may ask too."""
    connection = await asyncpg.connect(url)
    try:
        return await _is_published(connection)
    except asyncpg.UndefinedTableError:
        return False
    finally:
        await connection.close()


async def publish(db: Any) -> None:
    """A repeat changes nothing. What this version had before stays: a page of it may be open."""
    if await _is_published(db):
        return
    async with db.transaction():
        await documents.lock(db)
        await documents.publish(db, NAME, client().version, manifest(), {})


async def _is_published(db: Any) -> bool:
    known = await documents.names_of(db, NAME, client().version)
    return all(each.id in known for each in manifest())
