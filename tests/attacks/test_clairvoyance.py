"""clairvoyance, which draws a schema out of suggestions, learns nothing from production."""

import asyncio
import json
import shutil
import sys
import venv
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.asgi import create_app
from gateway.settings import Settings
from tests.attacks.misspelled import names
from tests.attacks.stand import production, served
from tests.e2e.stack import environment
from tests.servers import Postgres

LOCK = Path(__file__).with_name("clairvoyance.lock")
UV = shutil.which("uv", path=Path(sys.executable).parent)  # ./dashtam brings it where it can
TOOL_S_MAX = 120
# Each a letter short of a name that there is. An answer has no more errors than these at once, and
# the tool takes for a name what it was told nothing of.
MISSPELLED = ("acounts", "holdngs", "provders", "viewr")
MEANT = {"accounts", "holdings", "providers", "viewer"}


@dataclass(frozen=True, slots=True)
class Gateways:
    """The addresses of one as an operator sets it up, and of one that says what it knows."""

    production: str
    development: str


@pytest.fixture(scope="module")
async def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In an environment of its own, since it needs other versions of what we need too."""
    folder: Path = tmp_path_factory.mktemp("clairvoyance")
    await asyncio.to_thread(venv.create, folder)
    python, locked = folder / "bin" / "python", ("--require-hashes", "-r", LOCK)
    if UV is None or (await _run(UV, "pip", "install", "--python", python, *locked))[0] != 0:
        pip = (sys.executable, "-m", "pip", "--python", python, "install")
        code, said = await _run(*pip, *locked)
        assert code == 0, said
    return folder / "bin" / "clairvoyance"


@pytest.fixture(scope="module")
async def gateways(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Gateways]:
    async with AsyncExitStack() as stack:
        urls = []
        for of in (production, environment):
            database = await stack.enter_async_context(postgres.fresh_database())
            folder = tmp_path_factory.mktemp("gateway")
            settings = Settings.read(of(database, folder, port=8_000))
            app = create_app(settings)
            urls.append(await stack.enter_async_context(served(app, settings)))
        yield Gateways(*urls)


async def test_it_recovers_no_name(gateways: Gateways, tool: Path, tmp_path: Path) -> None:
    told, _ = await recovered(tool, gateways.production, tmp_path, *MISSPELLED)
    assert told == set()


async def test_who_knows_a_name_learns_nothing_more(
    gateways: Gateways, tool: Path, tmp_path: Path
) -> None:
    told, said = await recovered(tool, gateways.production, tmp_path, "viewer", "emal")
    assert (told, "Unable to get TypeRef" in said) == (None, True)


async def test_it_would_have_found_what_there_is(
    gateways: Gateways, tool: Path, tmp_path: Path
) -> None:
    """So that the silence above means something."""
    told, _ = await recovered(tool, gateways.development, tmp_path, *MISSPELLED)
    assert told is not None
    assert told >= {*MEANT, "Account", "Viewer"}
    told, _ = await recovered(tool, gateways.development, tmp_path, "viewer", "emal")
    assert told == {"viewer", "Viewer", "email"}


async def recovered(tool: Path, url: str, folder: Path, *words: str) -> tuple[set[str] | None, str]:
    """The names of our schema in what it made of the answers, None where it gave up; its words."""
    listed, found = folder / "words.txt", folder / "schema.json"
    listed.write_text("\n".join(words))
    found.unlink(missing_ok=True)
    code, said = await _run(tool, "-w", listed, "-o", found, f"{url}/graphql")
    if code != 0:
        return None, said
    return {*_strings(json.loads(found.read_text()))} & names(), said


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return [value] if isinstance(value, str) else []


async def _run(*command: str | Path) -> tuple[int | None, str]:
    """The code that it ended with, and what it said."""
    process = await asyncio.create_subprocess_exec(
        *command, stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TOOL_S_MAX):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    return process.returncode, out.decode()
