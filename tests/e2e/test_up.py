"""`dashtam up` for real, on folders of its own: from nothing to an answer, and through every death."""

import asyncio
import json
import os
import re
import secrets
import signal
import socket
import tempfile
import time
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.e2e.linking import checking, import_file
from tests.e2e.stack import PASSWORD, PROGRAM, Client, Said, bare_environment, dashtam

EVENT_S_MAX = 60.0


@dataclass(slots=True)
class Up:
    data_dir: Path
    process: asyncio.subprocess.Process
    printed: Path
    began: float

    def said(self) -> str:
        return self.printed.read_text()

    async def until(self, pattern: str) -> re.Match[str]:
        give_up_at = time.monotonic() + EVENT_S_MAX
        while (found := re.search(pattern, self.said())) is None:
            assert self.process.returncode is None, self.said()
            assert time.monotonic() < give_up_at, self.said()
            await asyncio.sleep(0.02)
        return found

    async def url(self) -> str:
        return (await self.until(r"answers at (http://127\.0\.0\.1:\d+)/graphql "))[1]

    def instance(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads((self.data_dir / "instance.json").read_text())
        return found

    def tree(self) -> dict[str, int]:
        """The process ids of its parts."""
        pids = {"up": self.process.pid}
        for pid in children(self.process.pid):
            words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
            name = next((w for w in ("serve", "worker") if w in words), "postgres")
            pids[name] = pid
        return pids

    async def end(self, word: signal.Signals = signal.SIGINT) -> int:
        self.process.send_signal(word)
        async with asyncio.timeout(EVENT_S_MAX):
            return await self.process.wait()


def children(pid: int) -> list[int]:
    return [int(p) for p in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


def descendants(pid: int) -> list[int]:
    found = [pid]
    for child in children(pid):
        found += descendants(child)
    return found


def alive(pids: list[int]) -> list[int]:
    return [p for p in pids if Path(f"/proc/{p}").exists() and "\nState:\tZ" not in status(p)]


def status(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/status").read_text()
    except (FileNotFoundError, ProcessLookupError):
        return "\nState:\tZ"


async def until_gone(pids: list[int]) -> None:
    give_up_at = time.monotonic() + 10
    while left := alive(pids):
        assert time.monotonic() < give_up_at, [status(p)[:60] for p in left]
        await asyncio.sleep(0.05)


@pytest.fixture(scope="module")
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dashtam-") as folder:
        yield Path(folder) / "data"


@asynccontextmanager
async def up(data_dir: Path, *words: str) -> AsyncIterator[Up]:
    printed = data_dir.parent / f"up-{secrets.token_hex(4)}"
    began = time.monotonic()
    with printed.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *("up", "--data-dir", str(data_dir), "--port", "0", *words),
            env=bare_environment(),
            cwd=data_dir.parent,
            stdout=out,
            stderr=out,
            start_new_session=True,
        )
    try:
        yield Up(data_dir, process, printed, began)
    finally:
        if process.returncode is None:
            process.kill()
        await process.wait()


async def shell(data_dir: Path, *words: str, stdin: str = "") -> Said:
    return await dashtam(
        *words,
        environ=bare_environment() | {"DASHTAM_DATA_DIR": str(data_dir)},
        folder=data_dir.parent,
        stdin=stdin,
    )


@asynccontextmanager
async def as_printed(running: Up) -> AsyncIterator[tuple[Client, str]]:
    """Signed in with the very words on the screen; gives the printed query too."""
    url = await running.url()
    text = running.said()
    sign_in = next(line for line in text.splitlines() if line.startswith("mutation"))
    query = text[text.index("query Dashboard") :]
    async with httpx2.AsyncClient(base_url=url, timeout=40) as http:
        client = Client(http)
        payload = (await client.ask(sign_in))["signIn"]
        assert payload["errors"] == []
        client.token = payload["accessToken"]
        yield client, query[: query.rindex("}") + 1]


async def test_from_an_empty_folder_to_the_printed_dashboard(data_dir: Path) -> None:
    async with up(data_dir) as running:
        await running.url()
        cold_s = time.monotonic() - running.began
        text = running.said()
        assert "demo@example.com" in text
        assert "correct-horse-battery-staple" in text
        assert f"at {await running.url()}/graphiql\n" in text
        async with as_printed(running) as (client, query):
            data = await client.ask(query)
            assert len(data["accounts"]) == 6
            assert (await client.http.get("/readyz")).json() == {"status": "ready", "warnings": []}

        # ── somebody else tries the same ──
        async with up(data_dir) as second:
            assert await second.process.wait() == 1
            assert "Dashtam runs already at http://127.0.0.1:" in second.said()
            assert "Traceback" not in second.said()

        # ── the shell finds what runs ──
        made, doctor = await asyncio.gather(
            shell(data_dir, "user", "create", "me@example.com", stdin=f"{PASSWORD}\n"),
            shell(data_dir, "doctor"),
        )
        assert (made.code, made.out) == (0, "me@example.com can sign in (USER)\n")
        assert doctor.code == 0, doctor
        assert f"up runs at {running.instance()['url']}" in doctor.out
        migrated = await shell(data_dir, "migrate")
        assert migrated.out.endswith(" already\n")

        everyone = descendants(running.process.pid)
        assert await running.end() == 0
        await until_gone(everyone)
    assert not (data_dir / "instance.json").exists()
    print(f"cold start: {cold_s:.1f} s")  # noqa: T201 - shown with -rA


async def test_without_up_the_shell_starts_the_database_itself(data_dir: Path) -> None:
    file = data_dir.parent / "month.qfx"
    file.write_bytes(checking("-1.00", "-2.00"))

    said = await shell(data_dir, "import", str(file), "--email", "me@example.com")
    doctor = await shell(data_dir, "doctor")

    assert (said.code, said.err) == (0, "")
    assert "transactions: 2 new" in said.out
    assert doctor.code == 0, doctor
    assert "up does not run" in doctor.out
    assert not (data_dir / "postgres" / "pgdata" / "postmaster.pid").exists()


async def test_a_warm_start_is_quick_and_changes_nothing(data_dir: Path) -> None:
    async with up(data_dir) as running:
        await running.url()
        warm_s = time.monotonic() - running.began
        async with httpx2.AsyncClient(base_url=await running.url()) as http:
            me = Client(http)
            await me.sign_in("me@example.com")
            assert await me.ask("{ transactions { totalCount } }") == {
                "transactions": {"totalCount": 2}
            }
        async with as_printed(running) as (client, _):
            runs = await client.ask("{ syncRuns { nodes { trigger status } } }")
            assert runs["syncRuns"]["nodes"] == [{"trigger": "CONNECT", "status": "SUCCEEDED"}]
        assert await running.end(signal.SIGTERM) == 0
    print(f"warm start: {warm_s:.1f} s")  # noqa: T201 - same


async def test_whoever_of_its_parts_is_killed_nothing_is_lost(data_dir: Path) -> None:
    """Each in turn; what the one before left behind is whole again."""
    names = {"serve": "gateway", "worker": "worker", "postgres": "database"}
    async with up(data_dir) as running:
        everyone: list[int] = []
        for number, (victim, name) in enumerate(names.items(), 11):
            token, before = await imported(running, number)
            everyone += descendants(running.process.pid)

            os.kill(running.tree()[victim], signal.SIGKILL)

            await running.until(f"The {name} ended unasked.*; it is started again in 0.5 s")
            await again(running, token, before)
            await until_whole(running)
        everyone += descendants(running.process.pid)
        assert await running.end() == 0
        await until_gone(everyone)
        assert "Traceback" not in running.said()


async def test_killed_itself_it_loses_nothing_either(data_dir: Path) -> None:
    async with up(data_dir) as running:
        token, before = await imported(running, 14)
        everyone = descendants(running.process.pid)

        os.kill(running.process.pid, signal.SIGKILL)

        await running.process.wait()
        await until_gone(everyone)
        assert "Traceback" not in running.said()
    async with up(data_dir) as next_one:
        await again(next_one, token, before)
        assert await next_one.end() == 0


async def imported(running: Up, dollars: int) -> tuple[str, dict[str, Any]]:
    """Whose token, and what there is then."""
    async with as_printed(running) as (client, _):
        done = await import_file(client, checking(f"-{dollars}.00"))
        assert done["errors"] == []
        assert client.token is not None
        return client.token, await client.ask("{ transactions { totalCount } accounts { id } }")


async def until_whole(running: Up) -> None:
    give_up_at = time.monotonic() + 20
    while sorted(running.tree()) != ["postgres", "serve", "up", "worker"]:
        assert time.monotonic() < give_up_at, running.said()
        await asyncio.sleep(0.05)


async def again(running: Up, token: str, before: dict[str, Any]) -> None:
    """The whole tree runs, and the same answer comes."""
    url = await running.url()
    give_up_at = time.monotonic() + 20
    async with httpx2.AsyncClient(base_url=url) as http:
        while True:
            assert time.monotonic() < give_up_at, running.said()
            try:
                ready = (await http.get("/readyz", timeout=5)).status_code == 200
            except httpx2.TransportError:
                ready = False
            if ready:
                break
            await asyncio.sleep(0.05)
    async with as_printed(running) as (client, _):
        assert await client.ask("{ transactions { totalCount } accounts { id } }") == before


async def test_a_port_that_is_taken_is_said_so(data_dir: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        async with up(data_dir, "--port", str(port)) as running:
            assert await running.process.wait() == 1
    said = running.said()
    assert said == (
        f"dashtam: Port {port} is in use by another program: end that, or choose another port "
        "with --port.\n"
    )


async def test_a_database_of_a_newer_dashtam_is_left_alone(data_dir: Path) -> None:
    async with up(data_dir, "--no-demo") as running:
        await running.url()
        assert f"user create you@example.com --data-dir {data_dir}\n" in running.said()
        connection = await asyncpg.connect(running.instance()["migrations_url"])
        try:
            [revision] = await connection.fetchrow(
                "UPDATE alembic_version SET version_num = '9999' RETURNING (SELECT version_num FROM alembic_version)"
            )
        finally:
            await connection.close()
        assert await running.end() == 0

    async with up(data_dir) as running:
        assert await running.process.wait() == 1
        assert "made by a newer Dashtam: revision 9999 is unknown here" in running.said()
        assert len(running.said().splitlines()) == 1

    doctor = await shell(data_dir, "doctor")
    assert "Traceback" not in doctor.err
    assert revision < "9999"


async def test_a_folder_of_a_newer_postgresql_is_left_alone(data_dir: Path) -> None:
    version = data_dir / "postgres" / "pgdata" / "PG_VERSION"
    before = version.read_text()
    version.write_text("99\n")
    try:
        async with up(data_dir) as running:
            assert await running.process.wait() == 1
        doctor = await shell(data_dir, "doctor")
    finally:
        version.write_text(before)

    assert "99" in running.said()
    assert len(running.said().splitlines()) == 1, running.said()
    assert doctor.code == 1
    assert "99" in doctor.out


async def test_a_database_without_its_keyring_gets_no_new_one(data_dir: Path) -> None:
    ring = data_dir / "keyring.json"
    kept = ring.read_bytes()
    ring.unlink()
    try:
        async with up(data_dir) as running:
            assert await running.process.wait() == 1
        doctor = await shell(data_dir, "doctor")
        assert not ring.exists()
    finally:
        ring.write_bytes(kept)
        ring.chmod(0o600)

    assert "put it back from your copy" in running.said()
    assert len(running.said().splitlines()) == 1, running.said()
    assert doctor.code == 1
    assert "put back the keyring that belongs to it" in doctor.out
