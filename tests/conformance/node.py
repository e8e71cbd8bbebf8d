"""Node.js for suites that exist only there: packages by the lock, installed when missing."""

import asyncio
import fcntl
import shutil
from dataclasses import dataclass
from pathlib import Path

FOLDER = Path(__file__).parent
INSTALL_S_MAX = 300
RUN_S_MAX = 120
MISSING = (
    "The conformance and browser suites need node and npm on the PATH: install Node.js 20 or "
    "newer, or set DASHTAM_WITHOUT_NODE=1 to leave these suites out."
)


@dataclass(frozen=True, slots=True)
class Node:
    program: str
    folder: Path = FOLDER

    async def run(self, script: str, *arguments: str) -> str:
        """The standard output of a script of this folder, which has to end well."""
        words = (self.program, str(self.folder / script), *arguments)
        return await _output(RUN_S_MAX, self.folder, *words)


async def installed(folder: Path = FOLDER) -> Node:
    """Node.js with the packages that are locked in this folder.

    Raises: AssertionError, saying what to do.
    """
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        raise AssertionError(MISSING)
    with (folder / "package-lock.json").open() as lock:
        await asyncio.to_thread(fcntl.flock, lock, fcntl.LOCK_EX)  # one installs, others wait
        stamp, wanted = folder / "node_modules" / ".stamp", lock.read()
        if not stamp.exists() or stamp.read_text() != wanted:
            words = ("ci", "--ignore-scripts", "--prefix", str(folder))
            await _output(INSTALL_S_MAX, folder, npm, *words)
            stamp.write_text(wanted)
    return Node(node, folder)


async def _output(seconds_max: float, folder: Path, *command: str) -> str:
    process = await asyncio.create_subprocess_exec(
        *command, cwd=folder, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.PIPE
    )
    try:
        async with asyncio.timeout(seconds_max):
            out, err = await process.communicate()
    except TimeoutError:
        process.kill()
        await process.wait()
        raise
    assert process.returncode == 0, f"{' '.join(command)} failed:\n{err.decode()}{out.decode()}"
    return out.decode()
