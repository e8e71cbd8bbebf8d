"""Where the embedded server keeps its files, and its socket."""

import hashlib
import os
import re
import stat
import tempfile
from pathlib import Path

from gateway.embedded.binaries import EmbeddedError
from gateway.embedded.privileges import NOBODY

SOCKET_DIR_MAX = 87  # bytes: a socket path holds 107, and /.s.PGSQL.5432.lock follows
PLAIN = re.compile(r"[\w./+-]+", re.ASCII)  # what neither a URL nor a list of folders has to quote


def home_of(data_dir: Path) -> Path:
    """`<data-dir>/postgres`, made if need be, for its user alone.

    Raises:
        EmbeddedError: it cannot be made or written.
    """
    home = data_dir.resolve() / "postgres"
    try:
        home.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        home.mkdir(mode=0o700, exist_ok=True)
        (home / "lock").touch()
    except OSError as error:
        raise EmbeddedError(
            f"The data directory cannot be written ({error}): choose another with --data-dir."
        ) from error
    return home


def run_dir_of(home: Path) -> Path:
    """The folder of the socket: in `home`, or a short one of this user where that is too long.

    Raises:
        EmbeddedError: somebody else has the short one.
    """
    run_dir = home / "run"
    if not _fits(run_dir):
        name = f"dashtam-{os.geteuid()}-{hashlib.sha256(os.fsencode(home)).hexdigest()[:12]}"
        places = (Path(tempfile.gettempdir()), Path("/tmp"))  # noqa: S108 - its owner is checked
        run_dir = next(place / name for place in places if _fits(place / name))
    run_dir.mkdir(mode=0o700, exist_ok=True)
    found, owner = run_dir.lstat(), home.stat()
    if os.geteuid() == 0 and found.st_uid in {0, NOBODY}:
        os.chown(run_dir, owner.st_uid, owner.st_gid)
    elif found.st_uid != os.geteuid() or not stat.S_ISDIR(found.st_mode):
        raise EmbeddedError(f"{run_dir} belongs to somebody else: remove it, or set TMPDIR.")
    run_dir.chmod(0o700)
    return run_dir


def _fits(folder: Path) -> bool:
    return bool(PLAIN.fullmatch(str(folder))) and len(os.fsencode(folder)) <= SOCKET_DIR_MAX
