"""`dashtam bench` as a person starts it, on a handful of people; nothing here looks at a clock."""

import json
import os
import signal
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

ROOT = Path(__file__).parents[2]
BENCH = (sys.executable, "-P", "-m", "gateway", "bench")
LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
TINY = ("--people", "3", "--rounds", "1", "--seconds", "0.1", "--connections", "2")
# A flood and first requests each start gateways of their own: those are of the long profile.
SHORT = ("dashboard", "transactions", "history", "sync")
WORKLOADS = () if LONG else tuple(word for name in SHORT for word in ("--workload", name))
END_S_MAX = 60.0


@dataclass(frozen=True, slots=True)
class Done:
    code: int
    said: str
    report: dict[str, Any]
    folder: Path

    def of(self, workload: str, figure: str) -> dict[str, Any]:
        lines = [line for line in self.report["lines"] if line["workload"] == workload]
        return {line["server"]: line[figure] for line in lines}


def environment(folder: Path) -> dict[str, str]:
    """Its temporary folders are in `folder`, by which its processes are known too."""
    return os.environ | {"TMPDIR": str(folder), "PYTHONPATH": str(ROOT)}


@pytest.fixture(scope="module")
def done(tmp_path_factory: pytest.TempPathFactory) -> Done:
    """One whole run."""
    folder = tmp_path_factory.mktemp("b")
    file = tmp_path_factory.mktemp("report") / "bench.json"
    ran = subprocess.run(
        [*BENCH, *TINY, *WORKLOADS, "--json", str(file)],
        env=environment(folder),
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert file.exists(), ran.stdout + ran.stderr
    return Done(ran.returncode, ran.stdout, json.loads(file.read_text()), folder)


def test_all_three_servers_answer_every_workload_alike(done: Done) -> None:
    """A difference ends the run; ours and the one by hand are equal to the byte."""
    for workload in ("dashboard", "transactions", "history"):
        length = done.of(workload, "length")

        assert set(length) == {"ours", "raw", "stock"}
        assert length["ours"] == length["raw"] > 30_000
        assert all(rate > 0 for rate in done.of(workload, "rate").values())


def test_statements_are_counted_by_the_database(done: Done) -> None:
    assert done.of("dashboard", "statements") == {"ours": 3, "raw": 3, "stock": 3}
    assert done.of("transactions", "statements") == {"ours": 1, "raw": 1, "stock": 1}
    # Ours also asks for the viewer, whose time zone says when a day ends.
    assert done.of("history", "statements") == {"ours": 3, "raw": 3, "stock": 2}


def test_the_same_sync_again_is_seen_to_write_nothing(done: Done) -> None:
    sync = done.report["sync"]

    assert sync["first"]["created"] == sync["again"]["unchanged"] == 10_000
    assert (sync["rows"], sync["data_version_moved"]) == (0, False)


def test_it_ends_with_failure_exactly_where_a_figure_is_missed(done: Done) -> None:
    met = [verdict["met"] for verdict in done.report["verdicts"]]

    assert len(met) == 3 + 1 + 3 + (3 + 1 if LONG else 0)
    assert done.code == (0 if all(met) else 1)
    assert done.said.count("MISSED") == met.count(False)


def test_afterwards_nothing_is_left(done: Done) -> None:
    assert list(done.folder.iterdir()) == []
    assert processes_of(done.folder) == []


def test_whoever_stops_it_leaves_nothing_behind(tmp_path: Path) -> None:
    with started(tmp_path, "Seeding") as bench:
        bench.send_signal(signal.SIGINT)

        assert bench.wait(END_S_MAX) != 0

    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_killed_it_takes_everything_with_it(tmp_path: Path) -> None:
    with started(tmp_path, "Comparing") as bench:
        assert len(processes_of(tmp_path)) > 5
        bench.kill()
        bench.wait(END_S_MAX)

    until = time.monotonic() + END_S_MAX
    while (list(tmp_path.iterdir()) or processes_of(tmp_path)) and time.monotonic() < until:
        time.sleep(0.05)
    assert list(tmp_path.iterdir()) == []
    assert processes_of(tmp_path) == []


def test_a_kept_database_of_another_size_is_not_used(tmp_path: Path) -> None:
    (tmp_path / "bench.json").write_text('{"people": 5, "last_day": "2026-11-20"}')

    said = subprocess.run(
        [*BENCH, *TINY, "--keep", str(tmp_path)],
        env=environment(tmp_path),
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )

    assert said.returncode == 1
    assert "holds 5 people, not 3: name another folder" in said.stderr
    assert "Traceback" not in said.stderr


def test_help_says_what_it_does_and_what_it_takes() -> None:
    said = subprocess.run([*BENCH, "--help"], capture_output=True, text=True, check=True).stdout

    assert "brings its own database and touches no other" in said
    assert all(f"--{name}" in said for name in ("small", "rounds", "workload", "json", "keep"))


class started:  # noqa: N801 - read as a verb
    """A running bench that has said `when`."""

    def __init__(self, folder: Path, when: str) -> None:
        self._folder, self._when = folder, when

    def __enter__(self) -> subprocess.Popen[str]:
        words = [*BENCH, "--people", "3", "--rounds", "99", "--workload", "dashboard"]
        self._bench = subprocess.Popen(
            words, env=environment(self._folder), stdout=subprocess.PIPE, text=True
        )
        assert self._bench.stdout
        assert any(line.startswith(self._when) for line in self._bench.stdout)
        return self._bench

    def __exit__(self, *_: object) -> None:
        self._bench.kill()
        self._bench.communicate()


def processes_of(folder: Path) -> list[str]:
    """The command lines of what runs with this folder as its temporary one, or in it."""
    found = []
    for process in Path("/proc").glob("[0-9]*"):
        try:
            words = (process / "cmdline").read_bytes()
            known = os.fsencode(folder) in words + (process / "environ").read_bytes()
        except OSError:  # it has just ended
            continue
        if known and words:
            found.append(words.replace(b"\0", b" ").decode())
    return found
