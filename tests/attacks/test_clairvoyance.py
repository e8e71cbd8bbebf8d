"""clairvoyance, which draws a schema out of suggestions, learns nothing from production."""

import asyncio
import json
import sys
import venv
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gateway.asgi import create_app
from gateway.settings import Settings
from tests.attacks.misspelled import names
from tests.attacks.stand import Target, served
from tests.e2e.stack import environment
from tests.servers import Postgres

LOCK = Path(__file__).with_name("clairvoyance.lock")
TOOL_S_MAX = 300
# Each a letter short of a name that there is.
WORDS = ("acounts", "viewr", "transactons", "holdngs", "provders", "netWrth", "syncRns", "chnges")


@pytest.fixture(scope="module")
async def tool(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """In an environment of its own, since it needs other versions of what we need too."""
    folder: Path = tmp_path_factory.mktemp("clairvoyance")
    await asyncio.to_thread(venv.create, folder, with_pip=True)
    words = ("-m", "pip", "install", "-q", "--require-hashes", "-r", str(LOCK))
    await _output(folder / "bin" / Path(sys.executable).name, *words)
    return folder / "bin" / "clairvoyance"


@pytest.fixture(scope="module")
async def development(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[str]:
    folder: Path = tmp_path_factory.mktemp("development")
    async with postgres.fresh_database() as database:
        settings = Settings.read(environment(database, folder, 8_000))
        async with served(create_app(settings), settings) as url:
            yield url


async def test_it_recovers_no_name(
    target: Target, development: str, tool: Path, tmp_path: Path
) -> None:
    told = {
        url: await recovered(tool, url, tmp_path / name)
        for name, url in (("production", target.url), ("development", development))
    }
    assert told[target.url] == set()
    assert len(told[development]) >= len(WORDS), "it would not have found what there is"


async def recovered(tool: Path, url: str, folder: Path) -> set[str]:
    """The names of our schema in what it made of the answers."""
    folder.mkdir()  # noqa: ASYNC240 - of a test of its own
    words, found = folder / "words.txt", folder / "schema.json"
    words.write_text("\n".join(WORDS))
    options = ("-w", str(words), "-o", str(found), "-p", "slow", "-m", "1")
    await _output(tool, *options, f"{url}/graphql", succeeds=False)
    said = json.loads(found.read_text()) if found.exists() else {}
    return set(_strings(said)) & names()


def _strings(value: Any) -> list[str]:
    if isinstance(value, dict):
        return [text for each in value.values() for text in _strings(each)]
    if isinstance(value, list):
        return [text for each in value for text in _strings(each)]
    return [value] if isinstance(value, str) else []


async def _output(*command: Path | str, succeeds: bool = True) -> str:
    process = await asyncio.create_subprocess_exec(
        *map(str, command), stdout=asyncio.subprocess.PIPE, stderr=asyncio.subprocess.STDOUT
    )
    try:
        async with asyncio.timeout(TOOL_S_MAX):
            out, _ = await process.communicate()
    finally:
        if process.returncode is None:
            process.kill()
    assert process.returncode == 0 or not succeeds, out.decode()
    return out.decode()
