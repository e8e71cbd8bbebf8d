"""How far a run has come, on a terminal; and nothing of it where there is none."""

import asyncio
import os
import re
import secrets
from collections.abc import Mapping
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import pytest

from domain.commands.links import ConnectProvider, connect_provider
from domain.identity import Actor
from domain.secret import Secrets
from domain.sync import SyncCounts, SyncRun, SyncScope, SyncStatus
from gateway.shell.drawing import doing
from gateway.wiring.root import Wired
from tests.builders import a_run
from tests.e2e.linking import checking
from tests.e2e.stack import PROGRAM, make_user
from tests.shell.conftest import Shell


async def a_linked_person(wired: Wired) -> str:
    email = f"shell-{secrets.token_hex(4)}@example.com"
    await make_user(wired, email)
    known = await wired.app.doors.user_by_email(email)
    assert known is not None
    await connect_provider(
        wired.app,
        ConnectProvider(
            actor=Actor(user_id=known.user.id, role=known.user.role),
            provider_slug="sandbox",
            link_id=None,
            alias=None,
            credentials=Secrets({"scenario": "large"}),
            nothing=None,
            at=wired.app.now(),
        ),
    )
    return email


async def on_a_terminal(*words: str, environ: Mapping[str, str], folder: Path) -> str:
    """What a person sees, with what moves the cursor."""
    ours, theirs = os.openpty()
    try:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM,
            *words,
            env={**environ, "TERM": "xterm", "COLUMNS": "120"},
            cwd=folder,
            stdin=theirs,
            stdout=theirs,
            stderr=theirs,
        )
    finally:
        os.close(theirs)
    seen = b""
    while chunk := await asyncio.to_thread(_read, ours):
        seen += chunk
    os.close(ours)
    assert await process.wait() == 0, seen
    return seen.decode()


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # nobody writes to it any more
        return b""


async def test_a_sync_is_drawn_step_by_step_on_a_terminal(
    wired: Wired, environ: Mapping[str, str], shell_folder: Path
) -> None:
    email = await a_linked_person(wired)

    seen = await on_a_terminal("sync", "--email", email, environ=environ, folder=shell_folder)

    shares = [int(share) for share in re.findall(r"(\d+)%", seen)]
    assert len(set(shares)) > 3
    assert shares == sorted(shares)
    received = re.findall(r"transactions: ([\d,]+) received", seen)
    assert len(set(received)) > 1
    assert "succeeded" in seen


async def test_an_import_is_drawn_on_a_terminal(
    wired: Wired, environ: Mapping[str, str], shell_folder: Path, tmp_path: Path
) -> None:
    email = f"shell-{secrets.token_hex(4)}@example.com"
    await make_user(wired, email)
    (tmp_path / "month.ofx").write_bytes(checking("-1.00"))
    words = ("import", str(tmp_path / "month.ofx"), "--email", email)

    seen = await on_a_terminal(*words, environ=environ, folder=shell_folder)

    assert "month.ofx" in seen
    assert "%" in seen
    assert "transactions: 1 new" in seen


async def test_where_there_is_no_terminal_only_the_outcome_is_said(
    shell: Shell, wired: Wired
) -> None:
    said = await shell("sync", "--email", await a_linked_person(wired))

    assert said.code == 0
    assert "\x1b" not in said.out + said.err
    assert "%" not in said.out
    assert said.out.splitlines()[0].endswith(": succeeded")
    assert said.err == ""


@pytest.mark.parametrize(
    ("changes", "words"),
    [
        ({}, "queued"),
        ({"status": SyncStatus.RUNNING}, "running"),
        (
            {"step": SyncScope.TRANSACTIONS, "transactions": SyncCounts(created=1_000, updated=25)},
            "transactions: 1,025 received",
        ),
        ({"step": SyncScope.HOLDINGS, "holdings": SyncCounts(removed=3)}, "holdings: 0 received"),
    ],
)
def test_what_it_is_doing_is_said_in_words(changes: dict[str, object], words: str) -> None:
    run: SyncRun = replace(a_run(), status=SyncStatus.QUEUED, progress=Decimal(0))

    assert doing(replace(run, **changes)) == words  # type: ignore[arg-type]
