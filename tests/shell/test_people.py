"""People and their roles from the shell, by whoever has the database."""

import asyncio
import secrets
from collections.abc import AsyncIterator

import pytest
from click.testing import CliRunner

from domain.errors import Conflict, NotFound
from domain.identity import Role
from gateway.__main__ import main
from gateway.settings import Settings
from gateway.shell.people import grant, show
from gateway.wiring.root import Wired, wire
from tests.e2e.stack import PASSWORD, make_user
from tests.postgres.writes.world import connected
from tests.servers import Database, Postgres
from tests.shell.conftest import Shell


@pytest.fixture
async def alone(postgres: Postgres, environ: dict[str, str]) -> AsyncIterator[Settings]:
    """Where nobody is yet."""
    async with postgres.fresh_database() as fresh:
        yield Settings.read(environ | {"DASHTAM_DATABASE_URL": fresh.app_url})


async def listed(settings: Settings, search: str | None = None) -> list[list[str]]:
    """The words of each line but the first."""
    lines: list[str] = []
    await show(settings, search, lines.append, each=1)
    assert lines[0].split() == ["address", "role", "verified", "since", "last", "sign-in"]
    return [line.split() for line in lines[1:]]


async def test_the_first_administrator_is_made_granted_and_listed(
    shell: Shell, wired: Wired
) -> None:
    admin, other = (f"grant-{secrets.token_hex(4)}@example.com" for _ in range(2))
    await make_user(wired, other)

    made, granted = await asyncio.gather(
        shell("user", "create", admin, "--role", "admin", stdin=f"{PASSWORD}\n"),
        shell("user", "grant", f" {other.upper()} ", "Admin"),
    )
    seen, unknown = await asyncio.gather(
        shell("user", "list", "--search", "GRANT-"),
        shell("user", "grant", "nobody@example.com", "ADMIN"),
    )

    assert (made.code, made.out) == (0, f"{admin} can sign in (ADMIN)\n")
    assert (granted.code, granted.out) == (0, f"{other} has the role ADMIN now, and had USER\n")
    assert (seen.code, seen.err) == (0, "")
    found = {line.split()[0]: line.split()[1:3] for line in seen.out.splitlines()[1:]}
    assert found == {admin: ["ADMIN", "yes"], other: ["ADMIN", "yes"]}
    assert (unknown.code, unknown.out) == (1, "")
    assert unknown.err.startswith("dashtam: there is no user nobody@example.com: make one with")
    assert len(unknown.err.splitlines()) == 1


async def test_a_grant_is_made_once_and_the_last_administrator_stays_one(alone: Settings) -> None:
    async with wire(alone) as wired:
        await make_user(wired, "zoe@example.com", role=Role.ADMIN)
        await make_user(wired, "adam@example.com")

    assert await grant(alone, "adam@example.com", "ADMIN") == (
        "adam@example.com has the role ADMIN now, and had USER"
    )
    assert await grant(alone, "adam@example.com", "ADMIN") == (
        "adam@example.com has the role ADMIN already"
    )
    assert await grant(alone, "zoe@example.com", "READONLY") == (
        "zoe@example.com has the role READONLY now, and had ADMIN"
    )
    with pytest.raises(Conflict, match="the last administrator stays one"):
        await grant(alone, "adam@example.com", "USER")
    with pytest.raises(NotFound, match="there is no user no address"):
        await grant(alone, "no address", "USER")
    roles = [(words[0], words[1]) for words in await listed(alone)]
    assert roles == [("adam@example.com", "ADMIN"), ("zoe@example.com", "READONLY")]


async def test_a_list_tells_who_signed_in_and_moves_no_terminal(
    alone: Settings, database: Database
) -> None:
    assert await listed(alone) == []
    async with wire(alone) as wired:
        for name in ("adam@example.com", "zoe@example.com"):
            await make_user(wired, name)
    superuser = database.superuser_url.replace(database.name, _name(alone))
    async with connected(superuser) as spy:
        await spy.execute(
            "UPDATE users SET email = chr(155) || '[31m' || email, email_verified = false"
            " WHERE email LIKE 'adam%'"
        )
        await spy.execute(
            "UPDATE users SET last_sign_in_at = '2026-01-02 03:04:05Z' WHERE email LIKE 'zoe%'"
        )

    adam, zoe = sorted(await listed(alone), key=lambda words: words[0], reverse=True)

    assert adam[:3] == ["\N{REPLACEMENT CHARACTER}[31madam@example.com", "USER", "no"]
    assert adam[-1] == "never"
    assert (zoe[0], zoe[-2:]) == ("zoe@example.com", ["2026-01-02", "03:04Z"])
    assert await listed(alone, "ZOE") == [zoe]
    assert await listed(alone, "%") == []


@pytest.mark.parametrize(
    ("words", "what"),
    [
        (("nobody@example.com", "owner"), "'owner' is not one of"),
        (("nobody@example.com",), "Missing argument"),
        ((), "Missing argument 'EMAIL'"),
    ],
)
def test_words_that_are_none_are_explained(words: tuple[str, ...], what: str) -> None:
    said = CliRunner().invoke(main, ["user", "grant", *words])

    assert said.exit_code == 2
    assert what in said.output


def _name(settings: Settings) -> str:
    assert settings.database_url is not None
    return settings.database_url.split("@/")[1].split("?")[0]
