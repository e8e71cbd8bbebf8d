"""The Dockerfile: what the image is made from and who it runs as. CONTRIBUTING.md builds it."""

import json
import re
import tomllib

from tests.containers.compose import ROOT

TEXT = (ROOT / "Dockerfile").read_text().replace("\\\n", " ")
LINES = [line for line in TEXT.splitlines() if line.strip() and not line.startswith("#")]
STEPS = [(line.split()[0], line.split(None, 1)[1]) for line in LINES if not line.startswith(" ")]
RELEASE = re.compile(
    r"(python|node):\d+\.\d+\.\d+-slim-bookworm|(python|node):\d+\.\d+\.\d+-\w+-slim"
)


def all_of(instruction: str) -> list[str]:
    return [rest for word, rest in STEPS if word == instruction]


def copied() -> list[str]:
    """What is copied from the checkout."""
    found = [rest.split() for rest in all_of("COPY") if not rest.startswith("--from=")]
    return [source for *sources, _ in found for source in sources]


def test_its_bases_are_arguments_with_an_exact_release() -> None:
    bases = dict(argument.split("=", 1) for argument in all_of("ARG"))
    used = {re.sub(r"\W", "", stage.split()[0]) for stage in all_of("FROM")}

    assert used == set(bases) == {"BASE", "NODE_BASE"}
    for base in bases.values():
        assert RELEASE.fullmatch(base), base


def test_it_runs_as_a_numeric_user_and_without_a_shell() -> None:
    last = len(STEPS) - 1 - [word for word, _ in STEPS][::-1].index("FROM")
    final = dict(STEPS[last:])

    assert final["USER"] == "10001:10001"
    assert json.loads(final["ENTRYPOINT"]) == ["dashtam"]
    assert json.loads(final["CMD"]) == ["serve"]
    assert "HEALTHCHECK" in final
    assert isinstance(json.loads(final["HEALTHCHECK"].partition("CMD")[2]), list)
    assert "RUN" not in {word for word, rest in STEPS[last:] if "install -d" not in rest}


def test_it_fetches_nothing_but_packages_whose_hashes_are_known() -> None:
    assert all_of("ADD") == []
    assert "://" not in TEXT.replace("http://127.0.0.1", "")
    installs = re.findall(r"pip install\s[^&\n]*", TEXT)
    assert len(installs) == 4
    assert [i for i in installs if "--require-hashes" not in i and "dist/*.whl" not in i] == []
    assert "npm ci" in TEXT


def test_what_it_copies_is_there_and_not_ignored() -> None:
    ignore = (ROOT / ".dockerignore").read_text().splitlines()
    rules = [line for line in ignore if line and not line.startswith("#")]
    let_in = {line.removeprefix("!") for line in rules if line.startswith("!")}

    assert rules[0] == "*"
    for source in copied():
        assert (ROOT / source).exists(), source
        assert source.split("/")[0] in let_in, source
    assert {source.split("/")[0] for source in copied()} == let_in


def test_every_package_of_ours_is_in_it() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text())
    packages = project["tool"]["hatch"]["build"]["targets"]["wheel"]["packages"]

    assert set(packages) <= {source.rstrip("/") for source in copied()}
