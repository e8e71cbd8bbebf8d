"""Gateways that are replaced while they are used: nobody's request fails, and sockets come back."""

import asyncio
import os
import signal
from collections import Counter
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from pathlib import Path

import httpx2
import pytest
import websockets

from tests.e2e.live import live
from tests.e2e.stack import Program, Stack, a_free_port, environment, running, until_ready
from tests.telemetry.test_metrics import first_of_three, started

SOCKETS = 6
REPLACED = 2 if os.environ.get("DASHTAM_TEST_LONG") else 1
AFRESH = httpx2.Limits(max_keepalive_connections=0)  # each request by a connection of its own
ASK = {"query": "{ importFormats { name } }"}


def production(stack: Stack, folder: Path, port: int, **more: str) -> dict[str, str]:
    return environment(
        stack.database,
        folder,
        port,
        DASHTAM_MODE="production",
        DASHTAM_KEYRING=str(stack.settings.keyring),
        DASHTAM_ARGON2="m=19456,t=2,p=1",
        DASHTAM_DB_READ_POOL="2",
        DASHTAM_DB_WRITE_POOL="2",
        DASHTAM_LIMIT_POINTS="1000000",
        **more,
    )


@dataclass
class Seen:
    """What clients met with, until `over`."""

    urls: list[str]
    over: bool = False
    ready: dict[str, bool] = field(default_factory=dict)
    answers: Counter[str] = field(default_factory=Counter)
    closes: Counter[int] = field(default_factory=Counter)
    open: int = 0

    async def balance(self) -> None:
        """Looks at /readyz of each, as a balancer does."""
        async with httpx2.AsyncClient(timeout=5, limits=AFRESH) as http:
            while not self.over:
                for url in self.urls:
                    self.ready[url] = await self._is_ready(http, url)
                await asyncio.sleep(0.1)

    async def _is_ready(self, http: httpx2.AsyncClient, url: str) -> bool:
        with suppress(httpx2.TransportError):
            return (await http.get(f"{url}/readyz")).status_code == 200
        return False

    async def follow(self) -> None:
        """Keeps its connections, and asks whoever is ready; retries nothing."""
        async with httpx2.AsyncClient(timeout=30) as http:
            while not self.over:
                for url in [url for url, is_ready in self.ready.items() if is_ready]:
                    await self._ask(http, url, "followed")
                await asyncio.sleep(0.02)

    async def insist(self) -> None:
        """Looks at nothing; asks the next one where a connection is refused."""
        at = 0
        async with httpx2.AsyncClient(timeout=30, limits=AFRESH) as http:
            while not self.over:
                try:
                    await self._ask(http, self.urls[at % len(self.urls)], "insisted")
                except httpx2.ConnectError:
                    at += 1
                await asyncio.sleep(0.01)

    async def _ask(self, http: httpx2.AsyncClient, url: str, how: str) -> None:
        answer = await http.post(f"{url}/graphql", json=ASK)
        self.answers[f"{how} {answer.status_code} {'data' in answer.json()}"] += 1

    async def stay(self, programs: Callable[[str], Program]) -> None:
        """One socket, opened again wherever it can be whenever it is closed."""
        at = 0
        while not self.over:
            url, at = self.urls[at % len(self.urls)], at + 1
            try:
                async with live(programs(url)) as talk:
                    await talk.ask("{ __typename }")
                    self.open += 1
                    try:
                        await talk.socket.wait_closed()
                    finally:
                        self.open -= 1
                    self.closes[talk.socket.close_code or 0] += 1
            except (OSError, websockets.InvalidStatus):
                await asyncio.sleep(0.05)


@asynccontextmanager
async def clients(seen: Seen, at: Callable[[str], Program]) -> AsyncIterator[None]:
    work = [seen.balance(), seen.follow(), seen.insist(), *[seen.stay(at) for _ in range(SOCKETS)]]
    tasks = [asyncio.create_task(each) for each in work]
    try:
        yield
        seen.over = True
        await asyncio.gather(*tasks[:3])
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not holds():  # noqa: ASYNC110 - seen from outside only
            await asyncio.sleep(0.02)


async def test_two_gateways_are_replaced_and_no_request_fails_and_every_socket_comes_back(
    stack: Stack, tmp_path_factory: pytest.TempPathFactory
) -> None:
    folder = tmp_path_factory.mktemp("rolling")
    environs = [production(stack, folder, a_free_port()) for _ in range(2)]
    async with AsyncExitStack() as old:
        both = [await old.enter_async_context(running("serve", e, folder)) for e in environs]
        for program in both:
            await until_ready(program)
        by_url = {program.url: program for program in both}
        seen = Seen([*by_url])
        async with AsyncExitStack() as new, clients(seen, by_url.__getitem__):
            await until(lambda: seen.open == SOCKETS and len(seen.answers) == 2)
            for program, environ in [*zip(both, environs, strict=True)][:REPLACED]:
                assert await program.end() == -signal.SIGTERM
                fresh = await new.enter_async_context(running("serve", environ, folder))
                await until_ready(fresh)
                by_url[fresh.url] = fresh
            await until(lambda: seen.open == SOCKETS)

    assert set(seen.answers) == {"followed 200 True", "insisted 200 True"}
    assert min(seen.answers.values()) > 20
    assert set(seen.closes) == {1012}
    assert seen.closes[1012] >= 1


async def test_processes_of_one_gateway_drain_as_a_single_one_and_one_that_is_killed_is_replaced(
    stack: Stack, redis_url: str, tmp_path: Path
) -> None:
    ops = first_of_three()
    more = {"DASHTAM_OPS_PORT": str(ops), "OTEL_SDK_DISABLED": "true"}
    environ = production(stack, tmp_path, a_free_port(), DASHTAM_REDIS_URL=redis_url, **more)
    async with started("serve", "--workers", "2", environ=environ, folder=tmp_path) as gateway:
        each = [replace(gateway, port=port) for port in (ops, ops + 1)]
        await until_each_is_ready(each)
        children = Path(f"/proc/{gateway.process.pid}/task/{gateway.process.pid}/children")
        before = workers_of(children)
        assert len(before) == 2
        seen, said = Seen([gateway.url]), gateway.log.read_text
        async with clients(seen, lambda _: gateway):
            os.kill(before[0], signal.SIGTERM)
            await until(lambda: before[0] not in workers_of(children))
            await until_each_is_ready(each)
            assert len(workers_of(children)) == 2
            await until(lambda: seen.open == SOCKETS)

            gateway.process.send_signal(signal.SIGTERM)
            red = await until_ready(gateway, ready=False)
            assert red == {"status": "not ready", "reason": "draining"}
            await until(lambda: not seen.ready[gateway.url] and seen.closes.total() >= SOCKETS)
        assert await asyncio.wait_for(gateway.process.wait(), 10) == 0

    assert set(seen.answers) <= {"followed 200 True", "insisted 200 True"}
    assert set(seen.closes) == {1012}
    assert said().count('"process.draining"') == 3
    assert "Traceback" not in said()


async def until_each_is_ready(workers: list[Program]) -> None:
    """At the ports for operators, since the one that they share says it of any of them. Whoever is
    not up yet has nothing to drain, and says nothing of it.
    """
    for worker in workers:
        await until_ready(worker)


def workers_of(children: Path) -> list[int]:
    """Without multiprocessing's own, which tracks what they share."""
    pids = [int(word) for word in children.read_text().split()]
    return [p for p in pids if b"resource_tracker" not in Path(f"/proc/{p}/cmdline").read_bytes()]
