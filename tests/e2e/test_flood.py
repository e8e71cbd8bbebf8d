"""A flood of sign-ins: what it does to everybody else, with production's cost of a password.

The short profile looks at what is answered, the long one at how fast, too; the figures are printed.
"""

import asyncio
import json
import os
import sys
from pathlib import Path
from statistics import quantiles
from typing import Any

import httpx2

from gateway.processes import demo
from gateway.settings import Settings
from gateway.wiring.root import wire
from tests.e2e.stack import (
    ROOT,
    SIGN_IN,
    Client,
    Program,
    a_free_port,
    bare_environment,
    environment,
    running,
    until_ready,
)
from tests.servers import Database

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
READS, FLOOD, SECONDS = (20, 200, 20.0) if LONG else (20, 100, 1.0)
DASHBOARD = """{ viewer { email } netWorth { total { amount currency } } accounts { name
  balance { amount } holdings(first: 5) { nodes { quantity marketValue { amount } } }
  transactions(first: 10) { nodes { date description amount { amount } } } } }"""


async def came_of(
    port: int, rate: float, seconds: float, said: list[dict[str, Any]], file: Path, nice: int = -10
) -> dict[str, Any]:
    await asyncio.to_thread(file.write_text, json.dumps(said))
    words = (str(port), str(rate), str(seconds), str(file), str(nice))
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "tests.e2e.flood", *words),
        stdout=asyncio.subprocess.PIPE,
        env=bare_environment(),
        cwd=ROOT,
    )
    out, _ = await process.communicate()
    assert process.returncode == 0
    found: dict[str, Any] = json.loads(out)
    return found


def guesses() -> list[dict[str, Any]]:
    """Each at another account, from one of a thousand addresses: no limit refuses them."""
    return [
        {
            "headers": {"x-forwarded-for": f"203.0.{n % 1_000 // 250}.{n % 250}"},
            "body": {
                "query": SIGN_IN,
                "variables": {"input": {"email": f"{n}@example.com", "password": "a guess"}},
            },
        }
        for n in range(int(FLOOD * (SECONDS + 1)))
    ]


def resident_mib(pid: int) -> float:
    pages = int(Path(f"/proc/{pid}/statm").read_text().split()[1])
    return pages * os.sysconf("SC_PAGE_SIZE") / 2**20


def p50_and_p99(ms: list[float]) -> tuple[float, float]:
    cuts = quantiles(ms, n=100)
    return cuts[49], cuts[98]


async def token_of_the_demo_user(gateway: Program, password: str) -> str:
    async with httpx2.AsyncClient(base_url=gateway.url, timeout=20) as http:
        client = Client(http)
        await client.sign_in(demo.EMAIL, password)
        assert client.token is not None
        return client.token


async def test_a_flood_of_sign_ins_slows_nobody_else_and_takes_no_memory(
    database: Database, tmp_path: Path
) -> None:
    environ = environment(
        database,
        tmp_path,
        a_free_port(),
        DASHTAM_ARGON2="m=19456,t=2,p=1",
        DASHTAM_TRUSTED_PROXIES="127.0.0.1",
        DASHTAM_LOG_LEVEL="error",
    )
    async with wire(Settings.read(environ)) as wired:
        await demo.prepare_demo(wired)
    async with running("serve", environ, tmp_path) as gateway:
        await until_ready(gateway)
        token = await token_of_the_demo_user(gateway, demo.PASSWORD)
        ask = [{"headers": {"authorization": f"Bearer {token}"}, "body": {"query": DASHBOARD}}]
        port, pid = gateway.port, gateway.process.pid
        await came_of(port, READS, SECONDS / 5, ask, tmp_path / "warm")
        quiet = await came_of(port, READS, SECONDS, ask, tmp_path / "quiet")
        before = resident_mib(pid)

        flooding = asyncio.create_task(
            came_of(port, FLOOD, SECONDS + 1, guesses(), tmp_path / "flood", nice=10)
        )
        await asyncio.sleep(0.5)
        busy = await came_of(port, READS, SECONDS, ask, tmp_path / "busy")
        during = resident_mib(pid)
        flood = await flooding

        assert {*quiet["statuses"]} == {*busy["statuses"]} == {"200"}
        assert {*flood["statuses"]} <= {"200", "503"}
        assert during - before < 48  # MiB: hashes take 19 each, and connections a little
        for name, found in (("quiet", quiet), ("busy", busy), ("flood", flood)):
            p50, p99 = p50_and_p99(found["ms"])
            sys.stdout.write(f"{name}: p50 {p50:.1f} ms, p99 {p99:.1f} ms, {found['statuses']}\n")
        sys.stdout.write(f"memory: {before:.0f} MiB before, {during:.0f} MiB during\n")
        if LONG:
            assert p50_and_p99(busy["ms"])[1] < 2 * p50_and_p99(quiet["ms"])[1]
