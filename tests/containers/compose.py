"""docker-compose.yml as Compose reads it, without Compose: merged, and with .env put in."""

import re
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from ruamel.yaml import YAML

ROOT = Path(__file__).parents[2]
FILE = ROOT / "docker-compose.yml"
EXAMPLE = ROOT / ".env.example"

# ${NAME:?message} or ${NAME:-default}; a default may hold another one.
VARIABLE = re.compile(r"\$\{(\w+)(?::([?-])((?:[^${}]|\$\{[^{}]*\})*))?\}")


def services() -> dict[str, dict[str, Any]]:
    found: dict[str, dict[str, Any]] = document()["services"]
    return found


def document() -> dict[str, Any]:
    """With its anchors merged."""
    found: dict[str, Any] = YAML(typ="safe").load(FILE.read_text())
    return found


def variables(text: str) -> dict[str, tuple[str, str]]:
    """Every ${VAR}, those in defaults too, with `?` or `-` or nothing, and what follows it."""
    found: dict[str, tuple[str, str]] = {}
    for name, kind, rest in VARIABLE.findall(text):
        found |= {name: (kind, rest)} | variables(rest)
    return found


def filled(text: str, environ: Mapping[str, str]) -> str:
    """`text` with its variables put in, as Compose does it."""

    def value(match: re.Match[str]) -> str:
        name, kind, rest = match.groups()
        if environ.get(name):
            return environ[name]
        assert kind == "-", f"{name} is not set: {rest}"
        return filled(rest, environ)

    return VARIABLE.sub(value, text)


def environment(service: str, environ: Mapping[str, str]) -> dict[str, str]:
    """What a process of this service gets; a name without a value is handed on where it is set."""
    said = services()[service].get("environment", {})
    given = {name: filled(str(text), environ) for name, text in said.items() if text is not None}
    return given | {name: environ[name] for name in said.keys() - given.keys() if name in environ}


def example() -> dict[str, str]:
    """What .env.example assigns, its comments apart."""
    lines = EXAMPLE.read_text().splitlines()
    return dict(re.findall(r"^(\w+)=(.*)$", "\n".join(lines), re.MULTILINE))


def commented() -> dict[str, str]:
    """What .env.example would assign once its defaults are uncommented."""
    return dict(re.findall(r"^#(\w+)=(.*)$", EXAMPLE.read_text(), re.MULTILINE))
