"""The keyring: that it can be read, and is the one that this database was sealed with."""

from collections.abc import Iterator
from typing import Any

from adapters.security.keyring import Keyring, KeyringError, KeyringMissing
from adapters.security.vault import UnknownKey, Vault
from domain.ports import Unsealable
from domain.sealing import Bound
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
    """Whether what is stored was sealed under keys of this ring, as of a backup's other half."""
    file = settings.keyring
    if file is None:
        return None
    try:
        vault = Vault(Keyring.load(file))
    except KeyringMissing:
        vault = None  # which fits where nothing is sealed
    except KeyringError:
        return None  # which `readable` says
    looked_at = 0
    for row in await connection.fetch(LINKED, LOOKED_AT_MAX):
        async with connection.transaction():
            await connection.execute("SELECT enter($1)", row["user_id"])
            sealed = await connection.fetchval(SEALED)
        if sealed is not None and not (vault and _is_known(vault, sealed)):
            return Finding(
                f"keys of {file} are not those that this database was sealed with",
                "put back the keyring that belongs to it: what is sealed opens with no other",
            )
        looked_at += sealed is not None
    return Finding("keys are those of this database") if looked_at else None


def _is_known(vault: Vault, sealed: bytes) -> bool:
    try:
        # A context that fits nothing: only whose key it is matters here.
        vault.open(sealed, context=Bound(b""))
    except UnknownKey:
        return False
    except Unsealable:
        return True
    return True
