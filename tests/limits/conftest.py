"""A real redis-server of our own, on a socket in a folder of its own."""

import shutil
import socket
import subprocess
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest
from redis.asyncio import Redis

START_S_MAX = 20


@pytest.fixture(scope="session")
def redis_socket() -> Iterator[Path]:
    server = shutil.which("redis-server")
    if server is None:
        pytest.fail("redis-server is missing: ./dashtam test installs it", pytrace=False)
    # Not tmp_path: a socket's path is at most 107 bytes.
    with tempfile.TemporaryDirectory(prefix="dashtam-redis-") as folder:
        path = Path(folder) / "redis.sock"
        command = [server, "--port", "0", "--unixsocket", str(path), "--dir", folder, "--save", ""]
        running = subprocess.Popen(command, stdout=subprocess.DEVNULL)
        try:
            _await_start(running, path)
            yield path
        finally:
            running.terminate()
            running.wait(START_S_MAX)


@pytest.fixture
async def redis(redis_socket: Path) -> AsyncIterator[Redis]:
    """A client of an empty server."""
    async with Redis(unix_socket_path=str(redis_socket), decode_responses=True) as client:
        await client.flushall()
        yield client


def _await_start(running: subprocess.Popen[bytes], path: Path) -> None:
    deadline = time.monotonic() + START_S_MAX
    while time.monotonic() < deadline and running.poll() is None:
        with socket.socket(socket.AF_UNIX) as probe:
            try:
                probe.connect(str(path))
            except OSError:
                time.sleep(0.02)
            else:
                return
    pytest.fail(f"redis-server did not start within {START_S_MAX} s", pytrace=False)
