"""`dashtam doctor` as a person starts it: what it prints, and how it ends."""

import asyncio
import os
import signal
import subprocess
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import TypeAlias

import pytest

from adapters.security.keyring import Keyring
from gateway import embedded
from gateway.doctor.keys import readable
from gateway.settings import Mode, Settings
from tests.e2e.stack import PROGRAM, Said, a_free_port, bare_environment, dashtam, environment
from tests.servers import Database

Doctor: TypeAlias = Callable[..., Awaitable[Said]]


@pytest.fixture
def doctor(database: Database, tmp_path: Path) -> Doctor:
    environ = environment(database, tmp_path, a_free_port())
    environ["DASHTAM_MIGRATIONS_URL"] = database.owner_url

    async def run(**more: str) -> Said:
        merged = {name: text for name, text in (environ | more).items() if text}
        words = ("doctor", "--data-dir", str(tmp_path / "none"))
        said = await dashtam(*words, environ=merged, folder=tmp_path)
        for secret in (database.app_url, database.owner_url):
            assert secret.split(":")[2].partition("@")[0] not in said.out + said.err
        return said

    return run


def the_bad(said: Said) -> str:
    """The one finding that is bad, and how to mend it."""
    lines = said.out.splitlines()
    [at] = [number for number, line in enumerate(lines) if line.startswith("bad")]
    assert said.code == 1, said
    return f"{lines[at]} {lines[at + 1]}"


async def test_the_doctor_finds_nothing_wrong(doctor: Doctor) -> None:
    said = await doctor()

    assert said.code == 0, said
    assert "bad " not in said.out
    for what in ("Python 3", "database answers: PostgreSQL", "migrations are complete", "keys"):
        assert what in said.out


async def test_what_is_wrong_is_found_once_and_comes_with_how_to_mend_it(
    doctor: Doctor, database: Database
) -> None:
    found = {
        "is not a setting: the nearest is": {"DASHTAM_NONSENSE": "1"},
        "DASHTAM_PUBLIC_URL must be https": {
            "DASHTAM_MODE": "production",
            "DASHTAM_ARGON2": "",
            "DASHTAM_KEYRING": "/dev/null",
            "DASHTAM_PUBLIC_URL": "http://money.example.com",
        },
        "OTEL_TRACES_EXPORTER is 'zipkin': give otlp": {"OTEL_TRACES_EXPORTER": "zipkin"},
        "not a superuser's": {"DASHTAM_DATABASE_URL": database.superuser_url},
        "set DASHTAM_DATABASE_URL": {
            "DASHTAM_MODE": "production",
            "DASHTAM_DATABASE_URL": "",
            "DASHTAM_MIGRATIONS_URL": "",
        },
    }
    answers = await asyncio.gather(*(doctor(**more) for more in found.values()))

    for words, said in zip(found, answers, strict=True):
        assert words in the_bad(said)


def test_keys_that_cannot_be_used_are_named_with_the_command_that_mends_them(
    tmp_path: Path,
) -> None:
    good, torn, exposed, gone = (tmp_path / n for n in ("good", "torn", "exposed", "gone"))
    Keyring.create(good)
    Keyring.create(exposed)
    exposed.chmod(0o644)
    torn.write_text("{}")
    torn.chmod(0o600)

    def said(file: Path, mode: Mode = Mode.PRODUCTION) -> str | None:
        [finding] = readable(Settings(mode=mode, keyring=file))
        return finding.mend

    assert said(good) is None
    assert "restore it from a backup" in (said(torn) or "")
    assert f"chmod 600 {exposed}" in (said(exposed) or "")
    assert "make one with `dashtam keys create`" in (said(gone) or "")
    assert said(gone, Mode.DEVELOPMENT) is None
    assert "cannot be used" in (said(good / "under a file") or "")
    Keyring.rotate(good)
    [well, note] = readable(Settings(mode=Mode.PRODUCTION, keyring=good))
    assert (well.word, note.word) == ("ok", "note")
    assert "`dashtam keys rotate` again" in (note.mend or "")


def test_an_embedded_server_that_was_killed_is_well_again(tmp_path: Path) -> None:
    server = embedded.start(tmp_path, durable=False)
    assert server.process is not None
    os.kill(server.process.pid, signal.SIGKILL)
    server.process.wait()
    assert (server.pgdata / "postmaster.pid").exists()

    environ = bare_environment() | {"DASHTAM_PORT": str(a_free_port())}
    words = [*PROGRAM, "doctor", "--data-dir", str(tmp_path)]
    said = subprocess.run(words, env=environ, capture_output=True, text=True, check=False)
    left = (server.pgdata / "postmaster.pid").exists()

    assert "database answers: PostgreSQL" in said.stdout, said
    [bad] = [line for line in said.stdout.splitlines() if line.startswith("bad")]
    assert bad == "bad  migrations"  # nobody has migrated it yet
    assert said.returncode == 1
    assert not left  # it has stopped what it started
