"""The keyring's file: for its owner only, written whole or not at all, changed by one at a time."""

import fcntl
import os
import secrets
import stat
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

FILE_BYTES_MAX = 1_000_000


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


def broken(path: Path, what: str) -> str:
    return f"{path} is not a keyring ({what}): restore it from a backup"


def read(path: Path) -> bytes:
    with explained(path):
        # Asked of the opened file, so that nobody can swap it in between.
        descriptor = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
        with os.fdopen(descriptor, "rb") as file:
            found = os.fstat(descriptor)
            if not stat.S_ISREG(found.st_mode):
                raise KeyringMalformed(broken(path, "it is not a file"))
            if found.st_mode & 0o077:
                mode = stat.S_IMODE(found.st_mode)
                raise KeyringExposed(f"others may use {path} (mode {mode:04o}): chmod 600 {path}")
            text = file.read(FILE_BYTES_MAX + 1)
    if len(text) > FILE_BYTES_MAX:
        raise KeyringMalformed(broken(path, "it is too large"))
    return text


@contextmanager
def explained(path: Path) -> Iterator[None]:
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
def written_beside(path: Path, text: str) -> Iterator[Path]:
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


def sync_folder(folder: Path) -> None:
    descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


@contextmanager
def changing(path: Path) -> Iterator[None]:
    """One at a time: of two changes that overlap, one would lose keys that are in use."""
    with explained(path):
        descriptor = os.open(path.parent, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX)
            yield
        finally:
            os.close(descriptor)


def replace_file(path: Path, text: str) -> None:
    """While `changing`: what another, killed, had written beside it goes."""
    for left in path.parent.glob(f".{path.name}.*"):
        left.unlink(missing_ok=True)
    with written_beside(path, text) as written:
        written.replace(path)
    sync_folder(path.parent)
