"""The house rules that a linter does not know."""

import ast
import re
import statistics
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from functools import cache
from pathlib import Path

import pytest
from packaging.specifiers import SpecifierSet

ROOT = Path(__file__).resolve().parents[2]
ROOMS = ("gateway", "domain", "adapters", "schema")
FILE_LINES_MAX, FUNCTION_LINES_MAX, README_LINES_MAX = 400, 70, 250
SOURCES = sorted(path.relative_to(ROOT) for room in ROOMS for path in ROOT.glob(f"{room}/**/*.py"))
DOMAIN = [path for path in SOURCES if path.parts[0] == "domain"]
TESTS = sorted(path.relative_to(ROOT) for path in ROOT.glob("tests/**/test_*.py"))
MAY_PRINT = {Path("gateway/__main__.py")}
NOT_TRACKED = (
    *(".venv", ".dashtam", "__pycache__", ".mypy_cache", "uv.lock", "node_modules", "dist"),
    "static",
)

Function = ast.FunctionDef | ast.AsyncFunctionDef


@cache
def tree(path: Path) -> ast.Module:
    return ast.parse((ROOT / path).read_text(), str(path))


def functions(path: Path) -> Iterator[Function]:
    return (node for node in ast.walk(tree(path)) if isinstance(node, Function))


def lines(node: Function) -> int:
    return (node.end_lineno or 0) - node.lineno + 1


@cache
def tracked() -> tuple[Path, ...]:
    """What a clone has: all that is committed or would be; a tree without git, all of it."""
    if not (ROOT / ".git").exists():
        found = (path.relative_to(ROOT) for path in ROOT.rglob("*") if path.is_file())
        return tuple(path for path in found if not set(path.parts) & set(NOT_TRACKED))
    listed = subprocess.run(
        [
            "git",
            "-c",
            "safe.directory=*",
            "ls-files",
            "--cached",
            "--others",
            "--exclude-standard",
            "-z",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    return tuple(Path(name) for name in listed.stdout.split("\0") if (ROOT / name).is_file())


def text_of(path: Path) -> str:
    try:
        return (ROOT / path).read_text(encoding="utf-8")
    except UnicodeDecodeError:
        return ""


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_everything_fits_on_a_screen(path: Path) -> None:
    assert len((ROOT / path).read_text().splitlines()) <= FILE_LINES_MAX
    assert [f.name for f in functions(path) if lines(f) > FUNCTION_LINES_MAX] == []


def test_most_of_it_is_small() -> None:
    """Aims, not limits: they are shown with `-rA`, and only nonsense fails."""
    files = [len((ROOT / path).read_text().splitlines()) for path in SOURCES]
    sizes = [lines(f) for path in SOURCES for f in functions(path)]

    print(f"files: median {statistics.median(files):.0f} (aim 100), of {len(files)}")  # noqa: T201
    print(f"functions: median {statistics.median(sizes):.0f}, p95 {p95(sizes):.0f} (aim 40)")  # noqa: T201

    assert statistics.median(sizes) < FUNCTION_LINES_MAX / 2


def p95(numbers: list[int]) -> float:
    return statistics.quantiles(numbers, n=20)[-1]


@pytest.mark.parametrize("path", DOMAIN, ids=str)
def test_the_domain_imports_only_the_standard_library(path: Path) -> None:
    allowed = sys.stdlib_module_names | {"domain"}
    imported = set()
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.Import):
            imported |= {alias.name.partition(".")[0] for alias in node.names}
        elif isinstance(node, ast.ImportFrom) and node.level == 0:
            imported.add((node.module or "").partition(".")[0])

    assert imported - allowed == set()


@pytest.mark.parametrize("path", DOMAIN, ids=str)
def test_the_domain_knows_no_float(path: Path) -> None:
    named = [n.lineno for n in ast.walk(tree(path)) if isinstance(n, ast.Name) and n.id == "float"]
    written = [
        node.lineno
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, float)
    ]

    assert named + written == []


@pytest.mark.parametrize("path", sorted({*SOURCES} - MAY_PRINT), ids=str)
def test_only_the_command_line_prints(path: Path) -> None:
    calls = [node for node in ast.walk(tree(path)) if isinstance(node, ast.Call)]

    assert [c.lineno for c in calls if isinstance(c.func, ast.Name) and c.func.id == "print"] == []


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_error_is_swallowed(path: Path) -> None:
    handlers = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ExceptHandler)]
    broad = [h for h in handlers if h.type is None or catches_everything(h.type)]

    assert [h.lineno for h in broad if all(isinstance(s, ast.Pass) for s in h.body)] == []


def catches_everything(caught: ast.expr) -> bool:
    return isinstance(caught, ast.Name) and caught.id in {"Exception", "BaseException"}


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_every_test_proves_something(path: Path) -> None:
    """Each asserts or expects an error, itself or through what it calls of ours."""
    known = {function.name: function for function in (*helpers(path), *functions(path))}
    tests = [function for function in functions(path) if function.name.startswith("test_")]

    assert [t.name for t in tests if not proves(t, known, frozenset({t.name}))] == []
    assert tests or inherits(path)


def inherits(path: Path) -> bool:
    """Whether it has a class of tests that are written elsewhere, with cases of its own."""
    classes = [node for node in ast.walk(tree(path)) if isinstance(node, ast.ClassDef)]
    return any(node.name.startswith("Test") and node.bases for node in classes)


def helpers(path: Path) -> Iterator[Function]:
    """The functions of the test modules that this one imports from."""
    for node in ast.walk(tree(path)):
        if isinstance(node, ast.ImportFrom) and (node.module or "").startswith("tests."):
            module = Path(*(node.module or "").split(".")).with_suffix(".py")
            if (ROOT / module).exists():
                yield from functions(module)


def proves(function: Function, known: dict[str, Function], seen: frozenset[str]) -> bool:
    for node in ast.walk(function):
        if isinstance(node, ast.Assert | ast.Raise):
            return True
        if isinstance(node, ast.Attribute) and node.attr in {"raises", "warns", "fail"}:
            return True
        called = node.id if isinstance(node, ast.Name) else getattr(node, "attr", "")
        if called in known and called not in seen and proves(known[called], known, seen | {called}):
            return True
    return False


@pytest.mark.parametrize("path", TESTS, ids=str)
def test_no_test_is_skipped_or_proves_a_mock(path: Path) -> None:
    weak = re.compile(r"mark\.(skip|xfail)|pytest\.(skip|xfail)|mock\.patch|monkeypatch\.setattr")
    if path == Path(__file__).relative_to(ROOT):
        assert weak.search("@pytest.mark." + "skip")
        return

    assert weak.findall((ROOT / path).read_text()) == []


def test_nothing_is_left_unfinished() -> None:
    unfinished = re.compile(r"\b(TODO|FIXME|XXX|HACK|NotImplementedError|placeholder|for now)\b")
    found = [
        f"{path}:{number}"
        for path in SOURCES
        for number, line in enumerate((ROOT / path).read_text().splitlines(), 1)
        if unfinished.search(line)
    ]

    assert found == []


def test_the_lock_has_hashes_and_no_address() -> None:
    for name in ("requirements.lock", "uv.req"):
        lock = (ROOT / name).read_text()
        assert "://" not in lock
        pins = re.findall(r"^([\w.\[\]-]+)==\S+", lock, re.MULTILINE)
        assert pins
        assert lock.count("\n    --hash=sha256:") >= len(pins)


def test_the_lock_is_in_step_with_the_project() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    asked = [*project["dependencies"], *project["optional-dependencies"]["dev"]]
    lock = dict(
        re.findall(
            r"^([\w.-]+)(?:\[\S+\])?==(\S+)", (ROOT / "requirements.lock").read_text(), re.MULTILINE
        )
    )

    for requirement in asked:
        found = re.match(r"([\w.-]+)(?:\[\w+\])?([^;]*)", requirement)
        assert found
        name, wanted = found[1].lower(), found[2].strip()
        assert name in lock, f"{name} is not locked: compile the lock again"
        fits = SpecifierSet(wanted).contains(lock[name], prereleases=True)
        assert fits, f"{name} is locked at {lock[name]}, not {wanted}"


def test_no_tracked_file_is_one_that_a_tool_makes() -> None:
    assert [str(path) for path in tracked() if set(path.parts) & set(NOT_TRACKED)] == []


def test_no_tracked_file_points_to_a_package_file_or_to_one_machine() -> None:
    away = re.compile(
        r"https?://\S+\.(?:whl|tgz|tar\.gz)\b|\"resolved\":|index-ur[l]"
        r"|(?:^|[\s\"'`=(])/(?:work|root)/\w",
        re.MULTILINE,
    )
    this = Path(__file__).relative_to(ROOT)
    found = {str(path): away.search(text_of(path)) for path in tracked() if path != this}

    assert {name: hit[0] for name, hit in found.items() if hit} == {}


def test_the_readme_is_short_and_starts_with_the_two_commands() -> None:
    readme = (ROOT / "README.md").read_text()

    assert len(readme.splitlines()) <= README_LINES_MAX
    assert "./dashtam up" in readme
    assert "./dashtam test" in readme


def test_ci_is_the_same_command_that_people_use() -> None:
    run = ROOT / ".ci" / "run"

    assert run.read_text().rstrip().endswith("./dashtam test")
    assert run.stat().st_mode & 0o111


@pytest.mark.parametrize("path", SOURCES, ids=str)
def test_no_pattern_has_a_possessive_group(path: Path) -> None:
    """Pythons before 3.11.5 match one wrongly (python/cpython#106052), and Debian 12 has 3.11.2."""
    texts = [
        node.value
        for node in ast.walk(tree(path))
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    ]

    assert [t for t in texts if re.search(r"\)(?:[*+?]|\{\d*,?\d*\})\+|\(\?>", t)] == []
