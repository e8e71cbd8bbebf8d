"""The running `up` of a data directory: there is one at most, and other commands find it."""

import fcntl
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass, field
from pathlib import Path


class ProcessesError(Exception):
    """`up` cannot start, or had to give up: one sentence that says what to do."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Instance:
    """A running `up`, as other commands of the same user find it in its data directory."""

    url: str
    pid: int
    port: int
    data_dir: str
    database: str  # for people: "PostgreSQL 18.6, embedded"
    database_url: str = field(repr=False)
    migrations_url: str = field(repr=False)

    def environ(self) -> dict[str, str]:
        """What makes another process work on this instance."""
        return {
            "DASHTAM_MODE": "development",
            "DASHTAM_DATA_DIR": self.data_dir,
            "DASHTAM_DATABASE_URL": self.database_url,
            "DASHTAM_MIGRATIONS_URL": self.migrations_url,
            "DASHTAM_PORT": str(self.port),
        }


def running_instance(data_dir: Path) -> Instance | None:
    """The instance that runs on this data directory; None if none does, or one is only starting.

    The proof is the lock that a running `up` holds: the file alone may be of one that was killed.
    """
    with suppress(OSError, ValueError, TypeError), (data_dir / "up.lock").open() as lock:
        try:
            fcntl.flock(lock, fcntl.LOCK_SH | fcntl.LOCK_NB)
        except BlockingIOError:
            return Instance(**json.loads((data_dir / "instance.json").read_text()))
    return None


@contextmanager
def alone(data_dir: Path) -> Iterator[None]:
    """The only `up` on this data directory; the kernel drops the lock with the process."""
    try:
        data_dir.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = (data_dir / "up.lock").open("w")
    except OSError as error:
        raise ProcessesError(
            f"The data directory cannot be written ({error}): choose another with --data-dir."
        ) from error
    with lock:
        for _ in range(10):  # somebody may hold it for a moment, to see whether we do
            with suppress(BlockingIOError):
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            time.sleep(0.02)
        else:
            other = running_instance(data_dir)
            where = f"at {other.url} (process {other.pid})" if other else "and is starting"
            raise ProcessesError(
                f"Dashtam runs already {where}: use that one, or start another with its own "
                "--data-dir and --port."
            )
        (data_dir / "instance.json").unlink(missing_ok=True)
        yield


@contextmanager
def announced(instance: Instance) -> Iterator[None]:
    file = Path(instance.data_dir) / "instance.json"
    new = file.with_suffix(".new")
    new.unlink(missing_ok=True)
    new.touch(mode=0o600)  # it holds the passwords of the database
    new.write_text(json.dumps(asdict(instance)))
    new.replace(file)
    try:
        yield
    finally:
        file.unlink(missing_ok=True)
