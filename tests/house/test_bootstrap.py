"""`./dashtam` before there is anything but Python: it sets up once, or says what to do."""

import fcntl
import importlib.machinery
import importlib.util
import os
import resource
import shutil
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
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
    """Seconds of a processor, which are the same however many others use the machine."""
    started = resource.getrusage(resource.RUSAGE_CHILDREN)
    assert run(ready, "up").returncode == 0
    ended = resource.getrusage(resource.RUSAGE_CHILDREN)
    return ended.ru_utime + ended.ru_stime - started.ru_utime - started.ru_stime


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


def test_test_runs_all_checks_and_then_everything_in_several_processes(ready: Path) -> None:
    for name in ("ruff", "mypy", "lint-imports"):
        program(ready / ".venv/bin" / name, "")

    done = run(ready, "test")

    assert (done.returncode, done.stderr) == (0, "")
    assert [line for line in done.stdout.splitlines() if line] == [
        "== ruff format --check ==",
        "== ruff check ==",
        "== mypy ==",
        "== lint-imports ==",
        "== pytest ==",
        "-P -m pytest -n 4 --dist=loadfile --no-loadscope-reorder",
    ]


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


def test_without_a_browser_the_tests_say_what_to_install_and_how_to_do_without(
    ready: Path,
) -> None:
    programs = ready / "programs"
    program(programs / "redis-server", "")

    refused = run(ready, "test", PATH=str(programs))
    going_on = run(ready, "test", "tests/house", PATH=str(programs), DASHTAM_WITHOUT_BROWSER="1")

    assert refused.returncode == 1
    assert refused.stderr.splitlines()[-1].startswith("The tests need chromium: install it")
    assert going_on.stdout == "-P -m pytest tests/house\n"


# ── GraphiQL, with an npm and a Node.js that only say what they were asked to do ──────────────


@pytest.fixture
def web(ready: Path) -> Path:
    """A clone that was set up, with sources of GraphiQL and tools that build one file of it."""
    for name in ("web/package-lock.json", "web/src/main.jsx", "gateway/routes/pages/session.js"):
        (ready / name).parent.mkdir(parents=True, exist_ok=True)
        (ready / name).write_text("{}")
    program(ready / "tools/npm", f"echo npm $1 >> {ready}/asked")
    build = (
        'test "$1" = --version && echo v20.19.0 && exit\n'
        f"echo node $2 >> {ready}/asked\n"
        'mkdir -p "$4"\ncp src/main.jsx "$4/index.html"'
    )
    program(ready / "tools/node", build)
    return ready


def program(path: Path, script: str) -> None:
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{script}\n")
    path.chmod(0o755)


def start(web: Path, **environ: str) -> tuple[str, list[str]]:
    """What a start said, and what it asked of the tools; it always goes on to `up`."""
    (web / "asked").unlink(missing_ok=True)
    done = run(web, "up", **{"PATH": path_with(web), **environ})
    assert (done.returncode, done.stdout) == (0, "-P -m gateway up\n")
    asked = (web / "asked").read_text().splitlines() if (web / "asked").exists() else []
    return done.stderr, asked


def page(web: Path) -> str:
    return (web / "gateway/static/graphiql/index.html").read_text()


def test_graphiql_is_built_once_and_again_when_a_source_of_it_changed(web: Path) -> None:
    built = "Building GraphiQL (once, some seconds) …\n", ["npm ci", "node build"]
    assert start(web) == built
    assert start(web) == ("", [])
    for source in ("web/src/main.jsx", "web/package-lock.json", "gateway/routes/pages/session.js"):
        (web / source).write_text(f"{source} changed")
        assert start(web) == built
    assert page(web) == "web/src/main.jsx changed"
    assert [p.name for p in (web / "gateway/static").iterdir()] == ["graphiql"]


def test_two_starts_at_once_build_it_once(web: Path) -> None:
    program(web / "tools/npm", f"echo npm $1 >> {web}/asked\nsleep 0.5")
    with ThreadPoolExecutor(2) as both:
        done = list(both.map(lambda _: run(web, "up", PATH=path_with(web)), range(2)))

    assert [d.stdout for d in done] == ["-P -m gateway up\n"] * 2
    assert (web / "asked").read_text() == "npm ci\nnode build\n"


def path_with(web: Path) -> str:
    return f"{web}/tools{os.pathsep}{os.environ['PATH']}"


def test_a_build_that_fails_leaves_what_was_there_and_the_next_start_tries_again(web: Path) -> None:
    start(web)
    (web / "web/src/main.jsx").write_text("changed")
    program(web / "tools/npm", "exit 1")

    said, _ = start(web)
    again, _ = start(web)

    assert said == again
    assert said.splitlines()[1].startswith("/graphiql is a plain page: GraphiQL was not built")
    assert page(web) == "{}"


def test_without_nodejs_the_start_goes_on_and_says_what_graphiql_needs(web: Path) -> None:
    said, _ = start(web, PATH="/nowhere")

    assert said.startswith("/graphiql is a plain page: for GraphiQL install Node.js 20.19 or newer")
    assert len(said.splitlines()) == 1


@pytest.mark.parametrize(
    ("version", "enough"),
    [
        ("v18.20.4", False),
        ("v20.18.3", False),
        ("v20.19.0", True),
        ("v21.7.3", False),
        ("v22.11.0", False),
        ("v22.12.0", True),
        ("v24.1.0", True),
        ("what?", False),
    ],
)
def test_a_nodejs_that_the_build_does_not_run_on_is_like_none(
    web: Path, version: str, enough: bool
) -> None:
    program(web / "tools/node", f"echo {version}")

    assert bootstrap(web).is_new_enough(str(web / "tools/node")) is enough


def test_where_graphiql_is_off_or_has_no_sources_nothing_is_built(web: Path) -> None:
    assert start(web, DASHTAM_GRAPHIQL="off") == ("", [])
    (web / "web/package-lock.json").unlink()
    assert start(web) == ("", [])
