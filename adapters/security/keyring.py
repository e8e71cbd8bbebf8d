"""The keys that everything sealed or signed depends on: one JSON file, mode 0600.

    {"version": 1, "sealing": [{"id", "key"}…], "signing": [{"kid", "key"}…], "mac": "…"}

Each key is 32 bytes in base64url. The first of a list is the one in use, the others still open
and verify what they once made. Whoever loses this file loses every stored credential.
"""

import base64
import binascii
import fcntl
import hashlib
import hmac
import json
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any, Self

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey

VERSION = 1
KEY_BYTES = 32
KEYS_MAX = 1000
FILE_BYTES_MAX = 1_000_000
ID_CHARS_MAX = 64


class KeyringError(Exception):
    """The keyring cannot be used; the message is a sentence that says what to do."""


class KeyringMissing(KeyringError):
    """There is no such file."""


class KeyringExists(KeyringError):
    """There is one already, and it is never overwritten."""


class KeyringExposed(KeyringError):
    """Others than its owner may read or write it."""


class KeyringMalformed(KeyringError):
    """It was cut, edited or never was a keyring."""


class KeyringTooNew(KeyringError):
    """A later version of the program wrote it."""


@dataclass(frozen=True, slots=True)
class SealingKey:
    """An AES-256 key that wraps data keys."""

    id: str
    key: bytes = field(repr=False)


@dataclass(frozen=True, slots=True)
class SigningKey:
    """An Ed25519 key, as its seed."""

    kid: str
    seed: bytes = field(repr=False)

    @property
    def private(self) -> Ed25519PrivateKey:
        return Ed25519PrivateKey.from_private_bytes(self.seed)

    @property
    def public(self) -> Ed25519PublicKey:
        return self.private.public_key()


@dataclass(frozen=True, slots=True)
class Keyring:
    """At least one sealing and one signing key, the ones in use first, and one MAC key."""

    sealing: tuple[SealingKey, ...]
    signing: tuple[SigningKey, ...]
    mac: bytes = field(repr=False)

    @classmethod
    def new(cls) -> Self:
        return cls((_sealing_key(),), (_signing_key(),), secrets.token_bytes(KEY_BYTES))

    @classmethod
    def load(cls, path: Path) -> Self:
        """Raises: KeyringMissing, KeyringExposed, KeyringMalformed, KeyringTooNew, KeyringError."""
        text = _read(path)
        try:
            document = json.loads(text)
        except (ValueError, RecursionError):
            # Not `from error`: a JSONDecodeError carries the whole text, keys and all.
            raise KeyringMalformed(_broken(path, "it is not JSON")) from None
        if not isinstance(document, dict):
            raise KeyringMalformed(_broken(path, "it is not an object"))
        version = document.get("version")
        if isinstance(version, int) and version > VERSION:
            raise KeyringTooNew(
                f"{path} has version {version}, this program reads {VERSION}: update the program"
            )
        if version != VERSION:
            raise KeyringMalformed(_broken(path, "it has no version"))
        try:
            return cls(
                tuple(SealingKey(*pair) for pair in _keys(document, "sealing", "id")),
                tuple(SigningKey(*pair) for pair in _keys(document, "signing", "kid")),
                _key(document.get("mac"), "mac"),
            )
        except _Wrong as wrong:
            raise KeyringMalformed(_broken(path, str(wrong))) from None

    @classmethod
    def create(cls, path: Path) -> Self:
        """A new keyring in a new file, whole or not at all.

        Raises:
            KeyringExists: something has that name already; it is left alone.
            KeyringError: the folder cannot be written.
        """
        keyring = cls.new()
        with _explained(path):
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            with _written_beside(path, _text(keyring)) as written:
                try:
                    os.link(written, path)  # unlike a rename, fails where the name is taken
                except FileExistsError:
                    raise KeyringExists(
                        f"{path} exists: move it away if you mean to start with new keys"
                    ) from None
            _sync_folder(path.parent)
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
        """Put a new sealing and a new signing key before those of the file.

        The MAC key stays: fingerprints are stored and compared for ever. Processes that run have
        to load the file again before they can read what is made with the new keys.

        Raises: what `load` does.
        """
        with _explained(path), _locked(path.parent):
            old = cls.load(path)
            if max(len(old.sealing), len(old.signing)) >= KEYS_MAX:
                raise KeyringError(f"{path} holds {KEYS_MAX} keys already: remove unused ones")
            new = replace(
                old,
                sealing=(_sealing_key(), *old.sealing),
                signing=(_signing_key(), *old.signing),
            )
            with _written_beside(path, _text(new)) as written:
                written.replace(path)
            _sync_folder(path.parent)
        return new

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


def _keys(document: dict[str, Any], name: str, id_name: str) -> list[tuple[str, bytes]]:
    entries = document.get(name)
    if not isinstance(entries, list) or not 1 <= len(entries) <= KEYS_MAX:
        raise _Wrong(f"{name} is not a list of keys")
    keys: dict[str, bytes] = {}
    for at, entry in enumerate(entries):
        id = entry.get(id_name) if isinstance(entry, dict) else None
        if not isinstance(id, str) or not id.isascii() or not 1 <= len(id) <= ID_CHARS_MAX:
            raise _Wrong(f"{name}[{at}] has no usable {id_name}")
        if id in keys:
            raise _Wrong(f"{name}[{at}] has the {id_name} of another")
        keys[id] = _key(entry.get("key"), f"{name}[{at}].key")
    return list(keys.items())


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
        "sealing": [{"id": k.id, "key": _encoded(k.key)} for k in keyring.sealing],
        "signing": [{"kid": k.kid, "key": _encoded(k.seed)} for k in keyring.signing],
        "mac": _encoded(keyring.mac),
    }
    return json.dumps(document, indent=2) + "\n"


def _encoded(key: bytes) -> str:
    return base64.urlsafe_b64encode(key).rstrip(b"=").decode()


def _broken(path: Path, what: str) -> str:
    return f"{path} is not a keyring ({what}): restore it from a backup"


def _read(path: Path) -> bytes:
    with _explained(path):
        # Asked of the opened file, so that nobody can swap it in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise KeyringMalformed(_broken(path, "it is not a file"))
            if found.st_mode & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                raise KeyringExposed(f"others may use {path} (mode {mode:04o}): chmod 600 {path}")
            text = file.read(FILE_BYTES_MAX + 1)
    if len(text) > FILE_BYTES_MAX:
        raise KeyringMalformed(_broken(path, "it is too large"))
    return text


@contextmanager
def _explained(path: Path) -> Iterator[None]:
    try:
        yield
    except FileNotFoundError:
        raise KeyringMissing(
            f"there is no keyring at {path}: set DASHTAM_KEYRING to the file with your keys, or "
            "make one with `dashtam keys create`"
        ) from None
    except OSError as error:
        raise KeyringError(f"{path} cannot be used ({error.strerror}): check the folder") from error


@contextmanager
def _written_beside(path: Path, text: str) -> Iterator[Path]:
    """The text in a file of another name in the same folder, on the disk; removed if left there."""
    beside = path.with_name(f".{path.name}.{secrets.token_hex(8)}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
    try:
        with os.fdopen(descriptor, "w") as file:
            file.write(text)
            file.flush()
            os.fsync(descriptor)
        yield beside
    finally:
        beside.unlink(missing_ok=True)


def _sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def _locked(folder: Path) -> Iterator[None]:
    """One rotation at a time: of two that overlap, one would lose keys that are in use."""
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)
