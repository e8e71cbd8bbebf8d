"""`./dashtam` before there is anything but Python: it sets up once, or says what to do."""

import fcntl
import importlib.machinery
import importlib.util
import os
import shutil
import subprocess
import sys
import time
from pathlib import Path
from types import ModuleType

import pytest

ROOT = Path(__file__).resolve().parents[2]
PARTS = ("dashtam", "pyproject.toml", "requirements.lock", "uv.req")


@pytest.fixture
def checkout(tmp_path: Path) -> Path:
    """A clone on which nothing was started yet."""
    for part in PARTS:
        shutil.copy(ROOT / part, tmp_path)
    return tmp_path


@pytest.fixture
def ready(checkout: Path) -> Path:
    """A clone that was set up; its Python only says what it was asked to run."""
    python = checkout / ".venv" / "bin" / "python"
    python.parent.mkdir(parents=True)
    python.write_text('#!/bin/sh\necho "$@"\n')
    python.chmod(0o755)
    (checkout / ".venv/.dashtam-stamp").write_text(bootstrap(checkout).stamp())
    return checkout


def bootstrap(checkout: Path) -> ModuleType:
    loader = importlib.machinery.SourceFileLoader("bootstrap", str(checkout / "dashtam"))
    spec = importlib.util.spec_from_loader("bootstrap", loader)
    assert spec
    module = importlib.util.module_from_spec(spec)
    loader.exec_module(module)
    return module


def run(checkout: Path, *words: str, **environ: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, str(checkout / "dashtam"), *words],
        env=os.environ | environ,
        capture_output=True,
        text=True,
        check=False,
        cwd="/",
        timeout=60,
    )


def test_a_second_start_only_compares_the_stamp_and_passes_every_word_on(ready: Path) -> None:
    done = run(ready, "import", "a file.qfx", "-h")

    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == "-P -m gateway import a file.qfx -h\n"


def test_a_second_start_costs_next_to_nothing(ready: Path) -> None:
    best = min(timed(ready) for _ in range(5))

    assert best < 0.15


def timed(ready: Path) -> float:
    started = time.perf_counter()
    assert run(ready, "up").returncode == 0
    return time.perf_counter() - started


def test_test_with_arguments_is_pytest_with_them(ready: Path) -> None:
    done = run(ready, "test", "tests/house", "-k", "readme")

    assert done.stdout == "-P -m pytest tests/house -k readme\n"


def test_test_stops_at_the_first_check_that_fails_and_says_what_to_do(ready: Path) -> None:
    for name, code in (("ruff", 0), ("mypy", 1), ("lint-imports", 0)):
        program = ready / ".venv/bin" / name
        program.write_text(f'#!/bin/sh\necho "{name} $@"\nexit {code}\n')
        program.chmod(0o755)

    done = run(ready, "test")

    assert done.returncode == 1
    assert [line for line in done.stdout.splitlines() if line] == [
        "== ruff format --check ==",
        "ruff format --check",
        "== ruff check ==",
        "ruff check",
        "== mypy ==",
        "mypy ",
    ]
    assert done.stderr.startswith("The types do not hold: mend ")


@pytest.mark.parametrize("part", ["requirements.lock", "pyproject.toml", "uv.req"])
def test_each_part_of_the_lock_makes_the_stamp_another_one(checkout: Path, part: str) -> None:
    before = bootstrap(checkout).stamp()
    (checkout / part).write_text((checkout / part).read_text() + "\n")

    assert bootstrap(checkout).stamp() != before


def test_a_moved_checkout_is_set_up_again(ready: Path) -> None:
    wanted = bootstrap(ready).stamp()
    moved = ready.rename(ready.with_name("moved"))

    assert bootstrap(moved).stamp() != wanted
    assert not bootstrap(moved).is_ready(bootstrap(moved).stamp())


def test_an_incomplete_checkout_is_told(checkout: Path) -> None:
    (checkout / "requirements.lock").unlink()

    done = run(checkout, "up")

    assert done.returncode == 1
    assert "This checkout is incomplete" in done.stderr
    assert "requirements.lock" in done.stderr


def test_a_python_without_ensurepip_is_told_what_to_install(checkout: Path) -> None:
    shadow = checkout / "shadow"
    shadow.mkdir()
    (shadow / "ensurepip.py").write_text("raise ImportError")

    done = run(checkout, "up", PYTHONPATH=str(shadow))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("This Python cannot make")
    assert "apt install python3-venv" in done.stderr


def test_a_second_setup_waits_for_the_first(checkout: Path) -> None:
    folder = os.open(checkout, os.O_RDONLY)
    fcntl.flock(folder, fcntl.LOCK_EX)
    waiting = subprocess.Popen(
        [sys.executable, str(checkout / "dashtam"), "up"], stderr=subprocess.PIPE, text=True
    )
    assert waiting.stderr
    assert waiting.stderr.readline() == "Another ./dashtam is setting up; waiting for it …\n"
    assert not (checkout / ".venv").exists()
    waiting.kill()
    waiting.communicate()
    os.close(folder)


def test_without_redis_and_without_root_the_tests_say_what_to_install(ready: Path) -> None:
    programs = ready / "programs"
    programs.mkdir()

    done = run(ready, "test", PATH=str(programs))

    assert done.returncode == 1
    assert done.stderr.splitlines()[-1].startswith("The tests need redis-server: install it")
