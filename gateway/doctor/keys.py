"""The keyring: that it can be read, and is the one of this database."""

from collections.abc import Iterator
from typing import Any

from adapters.postgres import audit
from adapters.security.audit import AuditKeys
from adapters.security.keyring import Keyring, KeyringError, KeyringMissing
from adapters.security.vault import UnknownKey, Vault
from domain.audit import canonical
from domain.ports import Unsealable
from domain.sealing import Bound
from gateway.audit.verifying import FIRST
from gateway.doctor.finding import Finding
from gateway.settings import Settings

LOOKED_AT_MAX = 20

LINKED = "SELECT DISTINCT user_id FROM due_links('infinity', $1)"
SEALED = "SELECT sealed FROM credentials LIMIT 1"


def readable(settings: Settings) -> Iterator[Finding]:
    if settings.keyring is None:
        return
    if settings.is_development and not settings.keyring.exists():
        yield Finding("keys are made at the first start")
        return
    try:
        keyring = Keyring.load(settings.keyring)
    except KeyringError as error:
        yield Finding("keys", str(error))
        return
    yield Finding("keys can be read, by nobody else")
    if keyring.rotating:
        yield Finding(
            "a rotation of keys was cut off, or goes on",
            "run `dashtam keys rotate` again: it goes on where it was",
            stops=False,
        )


async def fitting(connection: Any, settings: Settings) -> Finding | None:
    """Whether the keys of this ring are those of the database, as of a backup's other half: what is
    stored was sealed, and the audit log begun, under them. None where it has neither yet."""
    file = settings.keyring
    if file is None:
        return None
    try:
        keyring = Keyring.load(file)
    except KeyringMissing:
        keyring = None  # which fits where nothing is sealed, and nothing logged
    except KeyringError:
        return None  # which `readable` says
    seals = [keyring is not None and _is_known(keyring, one) for one in await _sealed(connection)]
    if not all(seals):
        return Finding(
            f"keys of {file} are not those that this database was sealed with",
            "put back the keyring that belongs to it: what is sealed opens with no other",
        )
    begun = await _oldest_signed(connection)
    if begun is None:
        return Finding("keys are those of this database") if seals else None
    if keyring is None or not AuditKeys(keyring).is_ours(canonical(begun), begun["mac"]):
        return Finding(
            f"keys of {file} are not those that the audit log was begun with",
            "put back the keyring that belongs to this database; if it is that one, see "
            "`dashtam audit verify`",
        )
    return Finding("keys are those of this database")


async def _sealed(connection: Any) -> list[bytes]:
    found = []
    for row in await connection.fetch(LINKED, LOOKED_AT_MAX):
        async with connection.transaction():
            await connection.execute("SELECT enter($1)", row["user_id"])
            found.append(await connection.fetchval(SEALED))
    return [sealed for sealed in found if sealed is not None]


async def _oldest_signed(connection: Any) -> Any | None:
    """Of the audit log: the key of its MACs is never another, and what was written with a wrong one
    meanwhile is newer. None where there is none, or only far behind rows from before there were
    MACs."""
    chain = [link.row for link in await audit.links(connection, FIRST, LOOKED_AT_MAX)]
    waiting = await audit.unsealed(connection, unsigned=False, most=LOOKED_AT_MAX)
    rows = (row for row in (*chain, *waiting) if row is not None)
    return next((row for row in rows if row["mac"] is not None), None)


def _is_known(keyring: Keyring, sealed: bytes) -> bool:
    try:
        # A context that fits nothing: only whose key it is matters here.
        Vault(keyring).open(sealed, context=Bound(b""))
    except UnknownKey:
        return False
    except Unsealable:
        return True
    return True
