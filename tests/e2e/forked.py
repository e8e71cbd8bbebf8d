"""Processes of the program that do not import it again: see `forking`."""

import asyncio
import atexit
import json
import os
import signal
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Protocol

START_S_MAX = 60.0


class Process(Protocol):
    """A child, as asyncio has it."""

    @property
    def pid(self) -> int: ...
    @property
    def returncode(self) -> int | None: ...
    def send_signal(self, word: int, /) -> None: ...
    def kill(self) -> None: ...
    async def wait(self) -> int: ...


class Forked:
    """The same of a fork, which is a child of the process that imported the program."""

    def __init__(
        self, pid: int, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._writer = writer  # it is ended once this is closed
        self._ended = asyncio.ensure_future(self._end(reader))

    async def _end(self, reader: asyncio.StreamReader) -> int:
        self.returncode = int(await reader.readline())
        self._writer.close()
        return self.returncode

    def send_signal(self, word: int, /) -> None:
        if self.returncode is None:
            with suppress(ProcessLookupError):  # it has just ended
                os.kill(self.pid, word)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    async def wait(self) -> int:
        return await asyncio.shield(self._ended)


@cache
def _place() -> Path:
    """Where the session's program is asked for forks; it ends with the session."""
    folder = tempfile.TemporaryDirectory(prefix="dashtam-")
    place = Path(folder.name) / "forks"
    kept = {k: v for k, v in os.environ.items() if k != "PYTHONDONTWRITEBYTECODE"}
    kept["PYTHONPATH"] = str(Path(__file__).parents[2])
    kept["PYTHONPYCACHEPREFIX"] = str(Path(tempfile.gettempdir()) / "dashtam-test-bytecode")
    program = subprocess.Popen(
        [sys.executable, "-P", "-m", "tests.e2e.forking", str(place)],
        stdin=subprocess.PIPE,
        env=kept,
    )

    def end() -> None:
        program.communicate()
        folder.cleanup()

    atexit.register(end)
    return place


async def fork(
    words: Sequence[str],
    *,
    environ: Mapping[str, str],
    folder: Path,
    stdin: Path = Path(os.devnull),
    stdout: Path,
    stderr: Path,
) -> Forked:
    """`dashtam` with these words, in `folder`; what it says is appended to the files."""
    place = _place()
    async with asyncio.timeout(START_S_MAX):
        while True:
            try:
                reader, writer = await asyncio.open_unix_connection(place)
                break
            except (FileNotFoundError, ConnectionRefusedError):  # it is being imported
                await asyncio.sleep(0.02)
        asked = {"words": list(words), "environ": dict(environ), "folder": str(folder)}
        asked |= {"stdin": str(stdin), "stdout": str(stdout), "stderr": str(stderr)}
        writer.write(json.dumps(asked).encode() + b"\n")
        pid = int(await reader.readline())
    return Forked(pid, reader, writer)
