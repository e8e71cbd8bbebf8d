"""The keys that everything sealed or signed depends on: one JSON file, mode 0600.

    {"version": 1, "sealing": [{"id", "key", "since"}…], "signing": [{"kid", "key", "since"}…],
     "mac": "…", "rotating": false}

Each key is 32 bytes in base64url; the newest comes first. In use is the first whose `since`, in
seconds of Unix time, has come: by then every process has read it, so that none meets what is made
with a key that it does not know. The others still open and verify what they once made. While
`rotating`, what lies under them is being sealed anew. Whoever loses this file loses every stored
credential.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import secrets
import time
from collections.abc import Callable, Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from itertools import pairwise
from pathlib import Path
from typing import Any, Protocol, Self, TypeVar

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

from adapters.security.keyring_file import (
    KeyringError,
    KeyringExists,
    KeyringExposed,
    KeyringMalformed,
    KeyringMissing,
    KeyringTooNew,
    broken,
    changing,
    explained,
    read,
    replace_file,
    sync_folder,
    written_beside,
)

__all__ = [
    "Keyring",
    "KeyringError",
    "KeyringExists",
    "KeyringExposed",
    "KeyringMalformed",
    "KeyringMissing",
    "KeyringTooNew",
    "Keys",
    "SealingKey",
    "SigningKey",
]

VERSION = 1
KEY_BYTES = 32
KEYS_MAX = 1000
ID_CHARS_MAX = 64
TAKEN_UP_S = 3  # from a rotation to the first use; processes look at the file once a second
# After its last use a key is kept for longer than an access token lives, and than anything takes
# from sealing a value to its commit.
LINGER_S = 16 * 60
SINCE_MAX = 2**40


@dataclass(frozen=True, slots=True)
class SealingKey:
    """An AES-256 key that wraps data keys."""

    id: str
    key: bytes = field(repr=False)
    since: int = 0


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key, as its seed."""

    kid: str
    seed: bytes = field(repr=False)
    since: int = 0

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> Ed25519PublicKey:
        return self.private.public_key()


Key = TypeVar("Key", SealingKey, SigningKey)


class Keys(Protocol):
    def current(self) -> "Keyring":
        """As it is now; one that was read once never changes."""


@dataclass(frozen=True, slots=True)
class Keyring:
    """At least one sealing and one signing key, the newest first, and one MAC key."""

    sealing: tuple[SealingKey, ...]
    signing: tuple[SigningKey, ...]
    mac: bytes = field(repr=False)
    rotating: bool = False

    @classmethod
    def new(cls) -> Self:
        return cls((_sealing_key(),), (_signing_key(),), secrets.token_bytes(KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises: KeyringMissing, KeyringExposed, KeyringMalformed, KeyringTooNew, KeyringError."""
        text = read(path)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            # Not `from error`: a JSONDecodeError carries the whole text, keys and all.
            raise KeyringMalformed(broken(path, "it is not JSON")) from None
        if not isinstance(document, dict):
            raise KeyringMalformed(broken(path, "it is not an object"))
        version = document.get("version")
        if isinstance(version, int) and version > VERSION:
            raise KeyringTooNew(
                f"{path} has version {version}, this program reads {VERSION}: update the program"
            )
        if version != VERSION:
            raise KeyringMalformed(broken(path, "it has no version"))
        try:
            return cls(
                tuple(SealingKey(*key) for key in _keys(document, "sealing", "id")),
                tuple(SigningKey(*key) for key in _keys(document, "signing", "kid")),
                _key(document.get("mac"), "mac"),
                document.get("rotating") is True,
            )
        except _Wrong as wrong:
            raise KeyringMalformed(broken(path, str(wrong))) from None

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new keyring in a new file, whole or not at all.

        Raises:
            KeyringExists: something has that name already; it is left alone.
            KeyringError: the folder cannot be written.
        """
        keyring = cls.new()
        with explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with written_beside(path, _text(keyring)) as written:
                try:
                    os.link(written, path)  # unlike a rename, fails where the name is taken
                except FileExistsError:
                    raise KeyringExists(
                        f"{path} exists: move it away if you mean to start with new keys"
                    ) from None
            sync_folder(path.parent)
        return keyring

    @classmethod
    def load_or_create(cls, path: Path) -> Self:
        """The keyring of that file, new where there is none; processes may race for it."""
        try:
            return cls.load(path)
        except KeyringMissing:
            with suppress(KeyringExists):
                return cls.create(path)
            return cls.load(path)

    @classmethod
    def rotate(cls, path: Path) -> Self:
        """Put a new sealing and a new signing key before those of the file, in use soon after.

        While a rotation is under way it is left as it is: to go on with, until `rotated`. The MAC
        key stays: fingerprints are stored and compared for ever.

        Raises: what `load` does.
        """
        with changing(path):
            old = cls.load(path)
            if old.rotating:
                return old
            if max(len(old.sealing), len(old.signing)) >= KEYS_MAX:
                raise KeyringError(f"{path} holds {KEYS_MAX} keys already: remove unused ones")
            since = int(time.time()) + TAKEN_UP_S
            new = replace(
                old,
                sealing=(replace(_sealing_key(), since=since), *old.sealing),
                signing=(replace(_signing_key(), since=since), *old.signing),
                rotating=True,
            )
            replace_file(path, _text(new))
        return new

    @classmethod
    def rotated(cls, path: Path) -> Self:
        """Everything that can be is sealed under the new key. Raises: what `load` does."""
        with changing(path):
            new = replace(cls.load(path), rotating=False)
            replace_file(path, _text(new))
        return new

    @classmethod
    def prune(cls, path: Path, *, unused: Collection[str], now: float) -> Self:
        """Remove signing keys that no living token can have, and of the sealing keys that are
        `unused` those that nobody can be about to use. Raises: what `load` does."""
        with changing(path):
            old = cls.load(path)
            new = replace(
                old,
                sealing=_kept(old.sealing, now, lambda key: key.id in unused),
                signing=_kept(old.signing, now, lambda _: True),
            )
            replace_file(path, _text(new))
        return new

    def current(self) -> "Keyring":
        return self

    @property
    def sealing_now(self) -> SealingKey:
        return _in_use(self.sealing, time.time())

    @property
    def signing_now(self) -> SigningKey:
        return _in_use(self.signing, time.time())

    @property
    def old_may_go_at(self) -> int:
        """From when on `prune` removes what is older than the keys in use."""
        return max(self.sealing[0].since, self.signing[0].since) + LINGER_S

    def purpose_key(self, purpose: str) -> bytes:
        """32 bytes for one purpose: what one key's MACs reveal says nothing about another's."""
        return hmac.digest(self.mac, f"dashtam.{purpose}".encode(), "sha256")


class _Wrong(Exception):
    """What is wrong with the document, naming a member and never its value."""


def _sealing_key() -> SealingKey:
    return SealingKey(f"s-{secrets.token_hex(8)}", secrets.token_bytes(KEY_BYTES))


def _signing_key() -> SigningKey:
    seed = secrets.token_bytes(KEY_BYTES)
    public = SigningKey("", seed).public.public_bytes_raw()
    return SigningKey(f"e-{hashlib.sha256(public).hexdigest()[:16]}", seed)


def _in_use(keys: Sequence[Key], now: float) -> Key:
    return next((key for key in keys if key.since <= now), keys[-1])


def _kept(keys: Sequence[Key], now: float, may_go: Callable[[Key], bool]) -> tuple[Key, ...]:
    """A key went out of use when the one before it came into use."""
    kept = [keys[0]]
    for newer, key in pairwise(keys):
        if now < newer.since + LINGER_S or not may_go(key):
            kept.append(key)
    return tuple(kept)


def _keys(document: dict[str, Any], name: str, id_name: str) -> list[tuple[str, bytes, int]]:
    entries = document.get(name)
    if not isinstance(entries, list) or not 1 <= len(entries) <= KEYS_MAX:
        raise _Wrong(f"{name} is not a list of keys")
    keys: dict[str, tuple[str, bytes, int]] = {}
    for at, entry in enumerate(entries):
        id = entry.get(id_name) if isinstance(entry, dict) else None
        if not isinstance(id, str) or not id.isascii() or not 1 <= len(id) <= ID_CHARS_MAX:
            raise _Wrong(f"{name}[{at}] has no usable {id_name}")
        if id in keys:
            raise _Wrong(f"{name}[{at}] has the {id_name} of another")
        since = entry.get("since", 0)
        if not isinstance(since, int) or not 0 <= since <= SINCE_MAX:
            raise _Wrong(f"{name}[{at}].since is no time")
        keys[id] = (id, _key(entry.get("key"), f"{name}[{at}].key"), since)
    return list(keys.values())


def _key(said: object, where: str) -> bytes:
    try:
        key = base64.b64decode(f"{said}=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        key = b""
    if len(key) != KEY_BYTES:
        raise _Wrong(f"{where} is not {KEY_BYTES} bytes of base64url")
    return key


def _text(keyring: Keyring) -> str:
    document = {
        "version": VERSION,
        "sealing": [
            {"id": k.id, "key": _encoded(k.key), "since": k.since} for k in keyring.sealing
        ],
        "signing": [
            {"kid": k.kid, "key": _encoded(k.seed), "since": k.since} for k in keyring.signing
        ],
        "mac": _encoded(keyring.mac),
        "rotating": keyring.rotating,
    }
    return json.dumps(document, indent=2) + "\n"


def _encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()
