"""What only waits holds nobody else up, however long it does."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx2
import pytest

from gateway.asgi import _sessions, graphql_view
from tests.engine.world import Engine, running_engine
from tests.gateway.http.served import served
from tests.gateway.test_auth import look, sign_in
from tests.servers import Database

CONNECT = """mutation { connectProvider(input: {provider: "sandbox", using: {nothing: true}}) {
  link { lastRun { status } } errors { code } } }"""
SYNC = """mutation { sync(input: {waitSeconds: 25}) { runs { status } errors { code } } }"""


@pytest.fixture
async def engine(database: Database, tmp_path: Path) -> AsyncIterator[Engine]:
    """Without a worker: what is queued stays so."""
    async with running_engine(database, tmp_path) as running:
        yield running


async def test_a_sync_that_is_waited_for_leaves_its_place_to_others(engine: Engine) -> None:
    settings = engine.wired.settings
    narrow = replace(settings, limits=replace(settings.limits, operations=1))
    wired = replace(engine.wired, settings=narrow)
    async with _sessions(wired) as authenticator:
        view = graphql_view(wired, authenticator)
        async with served(view) as url, httpx2.AsyncClient(base_url=url, timeout=30) as client:
            token = await sign_in(client, "BODY")

            async def ask(query: str) -> Any:
                headers = {"authorization": f"Bearer {token}"}
                answer = await client.post("/graphql", json={"query": query}, headers=headers)
                return answer.json()["data"]

            assert (await ask(CONNECT))["connectProvider"]["errors"] == []
            waiting = asyncio.create_task(ask(SYNC))
            async with asyncio.timeout(10):
                while view.operations.places._taken == 0:  # noqa: ASYNC110
                    await asyncio.sleep(0.001)
                while (await look(client, token)).status_code == 503:
                    assert not waiting.done()
            assert (await look(client, token)).status_code == 200
            assert not waiting.done()
            waiting.cancel()
            await asyncio.gather(waiting, return_exceptions=True)
