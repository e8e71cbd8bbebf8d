"""Checkpoints: what the chain was, signed, in files that the database cannot reach.

    {"position": 42, "seq": 57, "hash": "…", "at": "2026-11-22T05:36:00+00:00", "key": "a-…",
     "signature": "…"}

One a line, a file a month, and no month comes after a later one, whatever the clock says. One that
was cut short, by the end of its process or of the disk, says nothing, and the next begins on a line
of its own.
"""

import errno
import json
import os
from base64 import urlsafe_b64decode, urlsafe_b64encode
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

from adapters.security.audit import AuditKeys
from gateway.settings import SettingsError

FILES = "audit-*.jsonl"
TAIL = 64 << 10
SIGNED = b"dashtam.checkpoint.1|"


@dataclass(frozen=True, slots=True, kw_only=True)
class Checkpoint:
    """That the link at `position`, of the row `seq`, had this hash at that time."""

    position: int
    seq: int
    hash: bytes
    at: datetime
    key: str

    def text(self) -> bytes:
        said = (self.position, self.seq, self.hash.hex(), self.at.isoformat(), self.key)
        return SIGNED + "|".join(map(str, said)).encode()


@dataclass(frozen=True, slots=True, kw_only=True)
class Line:
    """`checkpoint` is None where it says nothing, or where `is_ours` is false: then somebody else
    wrote it, or it was signed with the keys of another keyring."""

    where: str
    checkpoint: Checkpoint | None
    is_ours: bool = True


class Checkpoints:
    def __init__(self, folder: Path, keys: AuditKeys) -> None:
        self.folder, self._keys = folder, keys

    def open(self) -> None:
        """Raises SettingsError where nothing can be written there."""
        try:
            self.folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            probe = self.folder / f".probe-{os.getpid()}"
            probe.touch(mode=0o600)
            probe.unlink()
        except OSError as error:
            raise SettingsError(
                f"Checkpoints of the audit log cannot be written to {self.folder} "
                f"({error.strerror}): set DASHTAM_AUDIT_CHECKPOINTS to a folder that can be."
            ) from error

    def made(self, *, position: int, seq: int, hash: bytes, at: datetime) -> Checkpoint:
        return Checkpoint(position=position, seq=seq, hash=hash, at=at, key=self._keys.id)

    def append(self, checkpoint: Checkpoint) -> None:
        """On the disk once this returns. Raises OSError."""
        path = max([self.folder / f"audit-{checkpoint.at:%Y-%m}.jsonl", *self._files()[-1:]])
        is_new = not path.exists()
        line = json.dumps(
            {
                "position": checkpoint.position,
                "seq": checkpoint.seq,
                "hash": checkpoint.hash.hex(),
                "at": checkpoint.at.isoformat(),
                "key": checkpoint.key,
                "signature": urlsafe_b64encode(self._keys.sign(checkpoint.text())).decode(),
            }
        )
        flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC
        descriptor = os.open(path, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            torn = size > 0 and os.pread(descriptor, 1, size - 1) != b"\n"
            said = f"{chr(10) if torn else ''}{line}\n".encode()
            if os.write(descriptor, said) < len(said):
                raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(path))
            os.fsync(descriptor)
        finally:
            os.close(descriptor)
        if is_new:
            self._sync_folder()

    def newest(self) -> Checkpoint | None:
        """The one that goes furthest, of the last file that has any. Raises SettingsError."""
        for path in reversed(self._files()):
            with _opened(path) as file:
                file.seek(max(0, path.stat().st_size - TAIL))
                lines = [self._line(path.name, raw) for raw in file]
            found = [line.checkpoint for line in lines if line.is_ours and line.checkpoint]
            if found:
                return max(found, key=lambda checkpoint: checkpoint.position)
        return None

    def read(self) -> Iterator[Line]:
        """Every line, the oldest file first. Raises SettingsError."""
        for path in self._files():
            with _opened(path) as file:
                for number, raw in enumerate(file, 1):
                    if raw.strip():
                        yield self._line(f"{path.name}, line {number}", raw)

    def _files(self) -> list[Path]:
        return sorted(self.folder.glob(FILES))

    def _line(self, where: str, raw: bytes) -> Line:
        try:
            said = json.loads(raw)
            signature = urlsafe_b64decode(said["signature"])
            found = Checkpoint(
                position=int(said["position"]),
                seq=int(said["seq"]),
                hash=bytes.fromhex(said["hash"]),
                at=datetime.fromisoformat(said["at"]),
                key=str(said["key"]),
            )
            text = found.text()
        except (ValueError, KeyError, TypeError, OverflowError, RecursionError):
            return Line(where=where, checkpoint=None)
        if not self._keys.signed(text, signature):
            return Line(where=where, checkpoint=None, is_ours=False)
        return Line(where=where, checkpoint=found)

    def _sync_folder(self) -> None:
        descriptor = os.open(self.folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


@contextmanager
def _opened(path: Path) -> Iterator[BinaryIO]:
    try:
        with path.open("rb") as file:
            yield file
    except OSError as error:
        raise SettingsError(
            f"{path} cannot be read ({error.strerror}): DASHTAM_AUDIT_CHECKPOINTS has to be a "
            "folder whose files this user may read."
        ) from error
