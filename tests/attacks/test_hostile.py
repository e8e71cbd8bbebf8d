"""What is sent to take a gateway down is answered, soon, and leaves nothing behind in it."""

import os
import secrets
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path

import httpx2
import pytest
import structlog
import websockets

from gateway.settings import Settings
from gateway.wiring.root import wire
from tests.attacks.envelopes import envelopes
from tests.attacks.hostile import Request, documents
from tests.attacks.raw import Answer, wired
from tests.attacks.stand import errors_of, production
from tests.e2e.live import live
from tests.e2e.stack import (
    Client,
    Program,
    a_free_port,
    make_user,
    running,
    until_ready,
)
from tests.servers import Postgres

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
ROUNDS = 30 if LONG else 1
SHARE = 1 if LONG else 3  # of what is sent by other transports, every so many
WARM_UP = 1  # rounds until the caches are as full as they get
GROWTH_MAX = 24 << 20  # bytes; a leak of one request's body a round would be 40 MB
REQUESTS_MIN = 120
CPU_MS_MAX = 100  # of the gateway for any of them, once it is warm

log = structlog.get_logger("dashtam.tests")


@pytest.fixture(scope="module")
async def gateway(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[tuple[Program, Client]]:
    """A process of its own, whose memory is nobody else's; and who is signed in at it."""
    folder: Path = tmp_path_factory.mktemp("hostile")
    async with postgres.fresh_database() as database:
        environ = production(database, folder, port=a_free_port())
        email = f"person-{secrets.token_hex(6)}@example.com"
        async with wire(Settings.read(environ)) as opened:
            await make_user(opened, email)
        async with running("serve", environ, folder) as program:
            await until_ready(program)
            async with httpx2.AsyncClient(base_url=program.url, timeout=40) as http:
                client = Client(http)
                assert (await client.sign_in(email))["errors"] == []
                yield program, client


async def test_every_hostile_request_is_answered_and_memory_stays_flat(
    gateway: tuple[Program, Client],
) -> None:
    program, client = gateway
    requests = [*documents(), *envelopes()]
    assert len({each.name for each in requests}) == len(requests) >= REQUESTS_MIN
    sizes, times = [], dict[str, list[float]]()
    async with wired(program.port, client.token or "") as connection:
        for number in range(WARM_UP + ROUNDS):
            wrong = []
            for request in requests:
                begun = cpu_ms(program)
                wrong += judged(request, await connection.send(request))
                if number >= WARM_UP:
                    times.setdefault(request.name, []).append(cpu_ms(program) - begun)
            assert "\n".join(wrong) == ""
            sizes.append(resident(program))
    best = sorted(((min(ms), name) for name, ms in times.items()), reverse=True)
    every = sorted(ms for each in times.values() for ms in each)
    log.info("hostile", requests=len(requests), resident_mb=[size >> 20 for size in sizes])
    log.info(
        "cpu_ms", median=round(every[len(every) // 2], 1), p99=round(every[-len(every) // 100], 1)
    )
    log.info("slowest", cpu_ms=[f"{name}: {ms:.0f}" for ms, name in best[:5]])
    if LONG:  # the best of 30 rounds is of the request, and not of what else was done meanwhile
        assert best[0][0] < CPU_MS_MAX
    assert sizes[-1] - sizes[WARM_UP - 1] < GROWTH_MAX, [size >> 20 for size in sizes]
    assert program.process.returncode is None
    lines = program.lines()
    assert [line for line in lines if line["level"] in ("error", "critical")] == []


async def test_the_same_by_event_streams_and_sockets(gateway: tuple[Program, Client]) -> None:
    """A socket answers, or is closed with a code that says why."""
    program, client = gateway
    carried = [each for each in documents() if is_carried(each)]
    assert len(carried) > 90
    carried = carried[::SHARE]
    wrong, begun = [], resident(program)
    async with wired(program.port, client.token or "") as connection:
        for request in carried:
            headers = tuple(h for h in request.headers if h[0] != b"accept")
            events = replace(request, headers=(*headers, (b"accept", b"text/event-stream")))
            wrong += judged(request, await connection.send(events))
    for request in carried:
        async with live(program, client.token) as socket:
            try:
                text = request.content.decode()
                await socket.socket.send(f'{{"id":"1","type":"subscribe","payload":{text}}}')
                errors = errors_of((await socket.next()).get("payload", []))
            except websockets.ConnectionClosed:
                if (socket.socket.close_code, "BAD_REQUEST" in request.codes) != (4400, True):
                    wrong.append(f"{request.name}: closed with {socket.socket.close_code}")
                continue
        codes = {error["extensions"]["code"] for error in errors}
        if not codes <= request.codes or bool(codes) is not bool(request.codes):
            wrong.append(f"{request.name}, on a socket: {errors}")
    assert "\n".join(wrong) == ""
    assert resident(program) - begun < GROWTH_MAX


def is_carried(request: Request) -> bool:
    """Subscriptions are for sockets and event streams, and have no end."""
    return b'"query": "subscription' not in request.content


def judged(request: Request, answer: Answer) -> list[str]:
    """What is wrong with the answer."""
    if answer.status >= 500:
        return [f"{request.name}: {answer.status} {answer.body[:300]!r}"]
    errors = errors_of(answer.said)
    codes = {error["extensions"]["code"] for error in errors}
    if not codes <= request.codes or (request.codes and not codes):
        return [f"{request.name}: {answer.status} {answer.body[:300]!r}"]
    if request.codes and len(answer.body) > 20_000:
        return [f"{request.name}: refused in {len(answer.body)} bytes"]
    return []


def cpu_ms(program: Program) -> float:
    """All that it has worked so far, by the clock that Linux has of each process."""
    return time.clock_gettime(~program.process.pid << 3 | 2) * 1_000


def resident(program: Program) -> int:
    """Bytes."""
    for line in Path(f"/proc/{program.process.pid}/status").read_text().splitlines():
        if line.startswith("VmRSS:"):
            return int(line.split()[1]) << 10
    raise AssertionError("a process without memory")
