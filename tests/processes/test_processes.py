"""The tree of `up`, with the real database and stand-in children: however it ends, all of it ends."""

import os
import signal
import socket
import stat
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Self

import asyncpg
import pytest

from gateway.processes.instance import running_instance

STAND_IN = Path(__file__).with_name("stand_in.py")
ROOT = STAND_IN.parents[2]
EVENT_S_MAX = 30.0


class Up:
    """A running stand-in for `dashtam up`."""

    def __init__(self, data_dir: Path, *children: str, port: int = 0, **environ: str) -> None:
        words = [sys.executable, str(STAND_IN), "up", str(data_dir), str(port), *children]
        self.data_dir = data_dir
        self._out = (data_dir.parent / f"out-{time.monotonic_ns()}").open("w+b", buffering=0)
        self.process = subprocess.Popen(
            words,
            stdout=self._out,
            stderr=subprocess.PIPE,
            start_new_session=True,
            env=os.environ | {"PYTHONPATH": str(ROOT)} | environ,
        )
        self._at = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self.process.kill()
        self.process.communicate()
        self._out.close()

    def events(self) -> list[list[str]]:
        text = Path(self._out.name).read_text()
        return [line.split() for line in text.splitlines() if text.endswith("\n")]

    def until(self, *words: str) -> list[str]:
        """The first new event that begins with these words."""
        give_up_at = time.monotonic() + EVENT_S_MAX
        while time.monotonic() < give_up_at:
            for number, event in enumerate(self.events()[self._at :], self._at + 1):
                if event[: len(words)] == list(words):
                    self._at = number
                    return event
            time.sleep(0.02)
        raise AssertionError(
            f"no event {words} in {self.events()}; it ended: {self.process.poll()}"
        )

    def until_complete(self) -> None:
        """Until the gateway is ready and the other child runs too."""
        give_up_at = time.monotonic() + EVENT_S_MAX
        while sorted(event[0] for event in self.events()) != ["before", "child", "child", "ready"]:
            assert time.monotonic() < give_up_at, self.events()
            time.sleep(0.02)

    def pids(self) -> list[int]:
        """Everyone of the tree."""
        children = [int(event[2]) for event in self.events() if event[0] == "child"]
        postmaster = (self.data_dir / "postgres/pgdata/postmaster.pid").read_text().split()[0]
        return [self.process.pid, *children, int(postmaster)]

    def end(self, *words: signal.Signals) -> tuple[int, str]:
        """Exit code and standard error."""
        for word in words:
            self.process.send_signal(word)
            time.sleep(0.3)
        _, said = self.process.communicate(timeout=EVENT_S_MAX)
        return self.process.returncode, said.decode()


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dashtam-") as folder:
        data = Path(folder) / "data"
        yield data
        with suppress(FileNotFoundError):  # a killed tree's database writes for a moment more
            postmaster = (data / "postgres/pgdata/postmaster.pid").read_text().split()[0]
            assert all_gone([int(postmaster)], within_s=10)


def all_gone(pids: list[int], within_s: float) -> bool:
    give_up_at = time.monotonic() + within_s
    while any(_is_alive(pid) for pid in pids):
        if time.monotonic() > give_up_at:
            return False
        time.sleep(0.02)
    return True


def _is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_up_prepares_the_database_starts_the_children_and_says_when_it_is_ready(
    data_dir: Path,
) -> None:
    with Up(data_dir) as up:
        ready = up.until("ready")
        instance = running_instance(data_dir)

        assert instance is not None
        assert up.events()[0] == ["before", instance.database.replace(" ", "_")]
        assert ready == ["ready", instance.url, str(up.process.pid)]
        assert stat.S_IMODE((data_dir / "instance.json").stat().st_mode) == 0o600
        environ = next(event[3:] for event in up.events() if event[:2] == ["child", "serve"])
        assert {"DASHTAM_DATABASE_URL", "DASHTAM_MIGRATIONS_URL", "DASHTAM_MODE"} <= set(environ)
        assert {"DASHTAM_DATA_DIR", "DASHTAM_PORT"} <= set(environ)


async def test_other_commands_find_the_database_of_a_running_instance(data_dir: Path) -> None:
    assert running_instance(data_dir) is None
    with Up(data_dir) as up:
        up.until("ready")
        instance = running_instance(data_dir)
        assert instance is not None
        for url in (instance.database_url, instance.migrations_url):
            connection = await asyncpg.connect(url)
            assert await connection.fetchval("SELECT current_database()") == "dashtam"
            await connection.close()
        assert instance.database_url not in repr(instance)
        up.end(signal.SIGTERM)
    assert running_instance(data_dir) is None


@pytest.mark.parametrize("word", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
def test_a_signal_ends_the_children_first_and_the_database_last(
    data_dir: Path, word: signal.Signals
) -> None:
    with Up(data_dir) as up:
        up.until_complete()
        tree = up.pids()

        code, said = up.end(word)

        assert (code, said) == (0, "")
        assert [event[0] for event in up.events()[-3:]] == ["ended", "ended", "down"]
        assert all_gone(tree, within_s=0)
        assert "database system is shut down" in (data_dir / "postgres/log").read_text()
        assert not (data_dir / "instance.json").exists()


def test_a_second_ctrl_c_does_not_wait_for_a_child_that_will_not_end(data_dir: Path) -> None:
    with Up(data_dir, "serve", "stubborn") as up:
        up.until_complete()
        tree = up.pids()

        started = time.monotonic()
        code, _ = up.end(signal.SIGINT, signal.SIGINT)

        assert code == 0
        assert time.monotonic() - started < 10
        assert all_gone(tree, within_s=0)


def test_kill_minus_9_of_the_parent_ends_the_whole_tree_and_the_next_start_is_at_once(
    data_dir: Path,
) -> None:
    with Up(data_dir, "serve", "worker", "stubborn") as up:
        url = up.until("ready")[1]
        tree = up.pids()
        up.process.kill()
        with Up(data_dir, port=int(url.rsplit(":", 1)[1])) as again:
            assert again.until("ready")[1] == url
        assert all_gone(tree, within_s=5)


def test_kill_minus_9_while_the_migrations_run_leaves_nothing_behind(data_dir: Path) -> None:
    with Up(data_dir, DASHTAM_TEST_SLOW_MIGRATIONS="1") as up:
        up.until("before")
        tree = up.pids()
        up.process.kill()
        assert all_gone(tree, within_s=5)
    with Up(data_dir, DASHTAM_TEST_SLOW_MIGRATIONS="1") as up:
        up.until("before")
        assert up.end(signal.SIGINT) == (0, "")


def test_a_child_that_dies_is_started_again_and_that_is_said(data_dir: Path) -> None:
    with Up(data_dir) as up:
        first = up.until("child", "worker")
        os.kill(int(first[2]), signal.SIGKILL)

        said = up.until("say")
        second = up.until("child", "worker")

        assert " ".join(said[1:]) == (
            "The worker ended unasked (signal 9); it is started again in 0.5 s."
        )
        assert second[2] != first[2]


def test_a_child_that_keeps_dying_ends_the_tree_with_one_sentence(data_dir: Path) -> None:
    with Up(data_dir, "short-lived") as up:
        code, said = up.end()

        assert code == 1
        assert said == (
            "The short-lived ended 5 times in a row: mend what it says above and start again.\n"
        )
        waits = [event[-2] for event in up.events() if event[0] == "say"]
        assert waits == ["0.5", "1", "2", "4"]
        assert "database system is shut down" in (data_dir / "postgres/log").read_text()


def test_a_database_that_dies_is_started_again(data_dir: Path) -> None:
    with Up(data_dir) as up:
        up.until("ready")
        *_, postmaster = up.pids()
        os.kill(postmaster, signal.SIGKILL)

        assert "The database ended unasked" in " ".join(up.until("say"))
        assert all_gone([postmaster], within_s=5)
        give_up_at = time.monotonic() + 10
        while up.pids()[-1] == postmaster:
            assert time.monotonic() < give_up_at
            time.sleep(0.05)
        assert up.end(signal.SIGTERM)[0] == 0


def test_a_second_up_on_the_same_data_says_where_the_first_one_is(data_dir: Path) -> None:
    with Up(data_dir) as up:
        url = up.until("ready")[1]
        with Up(data_dir) as second:
            code, said = second.end()

        assert code == 1
        assert said.startswith(f"Dashtam runs already at {url} (process {up.process.pid}): ")
        assert running_instance(data_dir) is not None


def test_a_port_in_use_is_told_before_anything_runs(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        with Up(data_dir, port=port) as up:
            code, said = up.end()

    assert code == 1
    assert said.startswith(f"Port {port} is in use by another program: ")
    assert up.events() == []


@pytest.mark.parametrize("offset", [0, -1])
def test_operators_do_not_get_the_gateways_port(data_dir: Path, offset: int) -> None:
    with socket.create_server(("127.0.0.1", 0)) as free:
        port = free.getsockname()[1]
    with Up(data_dir, port=port, DASHTAM_OPS_PORT=str(port + offset)) as up:
        code, said = up.end()

    assert code == 1
    assert said.startswith(f"DASHTAM_OPS_PORT would take port {port}, which is the gateway's: ")
    assert up.events() == []


def test_a_port_that_there_is_not_is_told_before_anything_runs(data_dir: Path) -> None:
    with Up(data_dir, DASHTAM_OPS_PORT="65535") as up:
        code, said = up.end()

    assert code == 1
    assert said.startswith("There is no port 65536: choose one up to 65535 with DASHTAM_OPS_PORT")
    assert up.events() == []


def test_a_database_of_the_operator_is_used_where_one_is_named(data_dir: Path) -> None:
    url = "postgresql://me@db.example.com/dashtam"
    with Up(data_dir, DASHTAM_DATABASE_URL=url) as up:
        up.until("ready")
        instance = running_instance(data_dir)

        assert instance is not None
        assert (instance.database_url, instance.migrations_url) == (url, url)
        assert not (data_dir / "postgres").exists()
