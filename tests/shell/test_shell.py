"""The commands of the shell: what they do, what they say, and how they end."""

import asyncio
import os
import secrets
import socket
from pathlib import Path

import pytest
from alembic.script import ScriptDirectory
from click.testing import CliRunner

from domain.identity import Actor
from gateway.__main__ import main
from gateway.migrate import SCRIPTS, _revisions
from gateway.settings import Settings
from gateway.wiring.root import Wired
from schema.schema import printed
from tests.e2e.linking import checking as a_statement
from tests.e2e.stack import PASSWORD, make_user
from tests.ofx.samples import CHASE_CARD, bank, transaction
from tests.servers import Postgres
from tests.shell.conftest import Shell

COMMANDS = ["", "up", "serve", "worker", "migrate", "import", "sync", "user", "user create"]
COMMANDS += ["user grant", "user list", "schema permissions"]
COMMANDS += ["documents", "documents publish", "documents list", "documents retire"]
COMMANDS += ["keys", "keys create", "schema", "schema print", "schema check", "doctor"]


async def a_person(wired: Wired) -> tuple[str, Actor]:
    email = f"shell-{secrets.token_hex(4)}@example.com"
    await make_user(wired, email)
    known = await wired.app.doors.user_by_email(email)
    assert known is not None
    return email, Actor(user_id=known.user.id, role=known.user.role)


async def accounts_of(wired: Wired, actor: Actor) -> list[str]:
    reads = wired.snapshot(actor)
    try:
        return [account.name for account in await reads.accounts()]
    finally:
        await reads.close()


async def test_every_command_explains_itself(shell: Shell) -> None:
    answers = await asyncio.gather(*(shell(*command.split(), "--help") for command in COMMANDS))

    for command, said in zip(COMMANDS, answers, strict=True):
        assert said.code == 0
        assert said.out.startswith(f"Usage: dashtam {command}".strip()), said.out
        assert said.err == ""


async def test_the_printed_schema_is_the_file(shell: Shell) -> None:
    said = await shell("schema", "print")

    assert (said.code, said.err) == (0, "")
    assert said.out == printed()
    assert said.out == (Path(__file__).parents[2] / "schema" / "schema.graphql").read_text()


# ── people ──────────────────────────────────────────────────────────────────


async def test_a_user_is_made_whose_password_comes_by_standard_input(
    shell: Shell, wired: Wired
) -> None:
    email = f"made-{secrets.token_hex(4)}@example.com"

    said = await shell("user", "create", email.upper(), "--role", "ADMIN", stdin=f"{PASSWORD}\n")
    again = await shell("user", "create", email, stdin=f"{PASSWORD}\n")

    assert (said.code, said.out) == (0, f"{email} can sign in (ADMIN)\n")
    assert PASSWORD not in said.out + said.err
    known = await wired.app.doors.user_by_email(email)
    assert known is not None
    assert await wired.app.passwords.verify(PASSWORD, known.password_hash)
    assert again.code == 1
    assert again.out == ""
    assert again.err.startswith("dashtam: ")
    assert len(again.err.splitlines()) == 1


@pytest.mark.parametrize(
    ("email", "password", "words"),
    [
        ("weak@example.com", "short", "at least 15 characters"),
        ("weak@example.com", "", "at least 15 characters"),
        ("weak@example.com", "aaaaaaaaaaaaaaaa", "a row of characters"),
        ("no address", PASSWORD, "not an e-mail address"),
    ],
)
async def test_a_user_who_cannot_be_made_is_explained(
    shell: Shell, email: str, password: str, words: str
) -> None:
    said = await shell("user", "create", email, stdin=f"{password}\n")

    assert (said.code, said.out) == (1, "")
    assert words in said.err
    assert len(said.err.splitlines()) == 1


# ── importing ───────────────────────────────────────────────────────────────


async def test_files_are_imported_and_the_bad_one_does_not_stop_the_others(
    shell: Shell, wired: Wired, tmp_path: Path
) -> None:
    email, actor = await a_person(wired)
    files = {
        "card.qfx": CHASE_CARD.encode("cp1252"),
        "broken.qfx": a_statement("-1.00")[:-40],
        "notes.pdf": b"%PDF-1.7",
        "month.ofx": bank(transaction(TRNAMT="ten") + transaction(FITID="good")),
    }
    for name, content in files.items():
        (tmp_path / name).write_bytes(content)

    preview = await shell("import", str(tmp_path / "card.qfx"), "--email", email, "--dry-run")
    nothing = await accounts_of(wired, actor)
    said = await shell("import", *(str(tmp_path / name) for name in files), "--email", email)
    again = await shell("import", str(tmp_path / "card.qfx"), "--email", email)

    assert preview.code == 0
    assert "nothing was changed" in preview.out
    assert "transactions: 3 new, 0 changed, 0 unchanged" in preview.out
    assert "-1,234.56 USD" in preview.out
    assert nothing == []
    assert said.code == 1
    assert "card.qfx: succeeded" in said.out
    assert "transactions: 3 new, 0 changed, 0 unchanged" in said.out
    assert "broken.qfx, line" in said.out
    assert "notes.pdf, line 1: this is a PDF" in said.out
    assert "month.ofx: succeeded" in said.out
    assert "1 unreadable" in said.out
    assert len(await accounts_of(wired, actor)) == 2
    assert again.code == 0
    assert "transactions: 0 new, 0 changed, 3 unchanged" in again.out


async def test_what_cannot_be_imported_at_all_is_explained(
    shell: Shell, wired: Wired, tmp_path: Path
) -> None:
    email, _ = await a_person(wired)
    file, large, folder = tmp_path / "a [b].qfx", tmp_path / "large.qfx", tmp_path / "folder"
    file.write_bytes(a_statement("-1.00"))
    large.write_bytes(b"x" * (10 * 2**20 + 1))
    folder.mkdir()

    for words, code, what in (
        ((str(file), "--email", "nobody@example.com"), 1, "there is no user nobody@example.com"),
        ((str(file),), 2, "Missing option '--email'"),
        ((str(tmp_path / "none.qfx"), "--email", email), 2, "does not exist"),
        ((str(folder), "--email", email), 2, "is a directory"),
        ((str(file), "--email", email, "--provider", "sandbox"), 1, "takes no files"),
        ((str(file), "--email", email, "--provider", "nobody"), 1, "no such provider"),
        ((str(large), "--email", email), 1, "at most 10 MiB"),
    ):
        said = await shell("import", *words)
        assert said.code == code, said
        assert what in said.out + said.err, said
    said = await shell("import", str(file), "--email", f" {email.upper()} ")
    assert (said.code, "a [b].qfx: succeeded" in said.out) == (0, True), said


# ── syncing ─────────────────────────────────────────────────────────────────


async def test_links_are_synced_and_too_soon_is_said(shell: Shell, wired: Wired) -> None:
    from domain.commands.links import ConnectProvider, connect_provider

    email, actor = await a_person(wired)
    none = await shell("sync", "--email", email)
    link = await connect_provider(
        wired.app,
        ConnectProvider(
            actor=actor,
            provider_slug="sandbox",
            link_id=None,
            alias=None,
            credentials=None,
            nothing=True,
            at=wired.app.now(),
        ),
    )

    first = await shell("sync", "--email", email)
    second = await shell("sync", "--email", email, "--link", str(link.id))
    soon = await shell("sync", "--email", email)
    forced = await shell("sync", "--email", email, "--force")
    absent = await shell("sync", "--email", email, "--link", "nonsense")

    assert (none.code, none.out) == (0, "there is no link that can be synced\n")
    assert first.code == 0
    assert "succeeded" in first.out
    assert "accounts: 6 new" in first.out
    assert second.code == 0
    assert soon.code == 1
    assert "try again in" in soon.err
    assert (forced.code, "accounts: 0 new" in forced.out) == (0, True)
    assert absent.code == 1
    assert "no such link" in absent.err


# ── the operator ────────────────────────────────────────────────────────────


async def test_migrating_twice_changes_nothing(shell: Shell, postgres: Postgres) -> None:
    async with postgres.fresh_database(migrated=False) as fresh:
        urls = {"DASHTAM_DATABASE_URL": fresh.app_url, "DASHTAM_MIGRATIONS_URL": fresh.owner_url}

        first = await shell("migrate", **urls)
        second = await shell("migrate", **urls)
        by_the_wrong_role = await shell(
            "migrate", **(urls | {"DASHTAM_MIGRATIONS_URL": fresh.app_url})
        )

    assert first.code == second.code == 0
    assert first.out.startswith("from nothing to 00")
    assert second.out.endswith(" already\n")
    assert by_the_wrong_role.code == 1
    assert "dashtam_owner" in by_the_wrong_role.err
    assert len(by_the_wrong_role.err.splitlines()) == 1


def test_migrations_are_named_for_the_order_in_which_alembic_runs_them() -> None:
    found = [script.revision for script in ScriptDirectory(str(SCRIPTS)).walk_revisions()]

    assert _revisions() == tuple(reversed(found))


@pytest.mark.parametrize(
    ("more", "words"),
    [
        ({"DASHTAM_DATABASE_URL": "postgresql://a:b@127.0.0.1:1/x"}, "the database is away"),
        ({"DASHTAM_PORT": "many"}, "DASHTAM_PORT is 'many': give a whole number"),
        ({"DASHTAM_PROT": "1"}, "DASHTAM_PROT is not a setting: the nearest is DASHTAM_PORT"),
        ({"DASHTAM_KEYRING": "/dev/null"}, "/dev/null"),
        ({"DASHTAM_MODE": "production"}, "DASHTAM_KEYRING"),
    ],
    ids=["away", "bad value", "unknown name", "no keys", "production"],
)
async def test_what_cannot_start_says_why_in_one_sentence(
    shell: Shell, more: dict[str, str], words: str
) -> None:
    commands: list[tuple[str, ...]] = [
        ("serve", "--port", "18999"),
        ("serve", "--port", "18999", "--workers", "2"),
        ("worker",),
        ("user", "create", "a@example.com"),
        ("sync", "--email", "a@example.com"),
    ]
    more["DASHTAM_REDIS_URL"] = "redis://127.0.0.1:1"
    for said in await asyncio.gather(*(shell(*c, stdin=f"{PASSWORD}\n", **more) for c in commands)):
        assert said.code == 1, said
        assert said.err.startswith("dashtam: "), said
        assert words in said.err, said
        assert len(said.err.splitlines()) == 1, said


def test_up_listens_where_the_settings_say() -> None:
    said = CliRunner().invoke(main, ["up"], env={"DASHTAM_PORT": "70000"})

    assert said.exit_code == 2
    assert "Invalid value for '--port'" in said.output


def test_a_folder_without_an_instance_is_said_so(tmp_path: Path) -> None:
    unset = dict.fromkeys(name for name in os.environ if name.startswith("DASHTAM_"))
    said = CliRunner().invoke(main, ["user", "list", "--data-dir", str(tmp_path)], env=unset)

    assert said.exit_code == 1
    assert said.output.startswith(f"dashtam: {tmp_path} holds no instance: give the folder")


async def test_a_port_that_is_taken_is_said_so(shell: Shell) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]

        said = await shell("serve", "--port", str(port))

    assert said.code == 1
    assert said.err.startswith(f"dashtam: Port {port} of 127.0.0.1 cannot be opened (Address"), said


async def test_several_gateways_need_redis(shell: Shell) -> None:
    said = await shell("serve", "--workers", "2")

    assert said.code == 1
    assert "DASHTAM_REDIS_URL" in said.err


def test_the_environment_of_these_tests_is_development(environ: dict[str, str]) -> None:
    assert Settings.read(environ).is_development


@pytest.mark.parametrize("command", ["serve", "worker", "user create you@example.com"])
async def test_a_database_without_tables_is_told_to_migrate(
    shell: Shell, postgres: Postgres, command: str
) -> None:
    async with postgres.fresh_database(migrated=False) as fresh:
        said = await shell(*command.split(), stdin=PASSWORD, DASHTAM_DATABASE_URL=fresh.app_url)

    assert said.code == 1
    assert said.err.strip() == ("dashtam: The database has no tables yet: run `dashtam migrate`.")


async def test_keys_are_made_once_and_for_nobody_else(shell: Shell, tmp_path: Path) -> None:
    file = tmp_path / "keyring.json"

    made = await shell("keys", "create", str(file))
    kept = file.read_bytes()
    again = await shell("keys", "create", str(file))

    assert (made.code, again.code) == (0, 1)
    assert file.stat().st_mode & 0o777 == 0o600
    assert file.read_bytes() == kept
    assert again.err.startswith("dashtam: ")
