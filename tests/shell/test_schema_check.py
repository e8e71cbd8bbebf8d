"""`dashtam schema check`, as whoever is about to deploy a new version starts it."""

import re
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path

import asyncpg
import pytest

from gateway.shell.schema_check import NoSchema, check
from schema.schema import printed
from tests.servers import Database
from tests.shell.conftest import Shell

GONE = "  isGone: Boolean!\n"
BY_BOTH = "query Now { viewer { email } }"
BY_OLD = "query Then { viewer { email isGone } }"
PUBLISH = """
INSERT INTO client_versions (client_name, client_version, published_at)
VALUES ('check-app', '1.2', now());
INSERT INTO documents (sha256, body) SELECT encode(sha256(convert_to(d, 'UTF8')), 'hex'), d
FROM unnest(ARRAY['{0}', '{1}']) AS d;
INSERT INTO document_ids (id, sha256) SELECT sha256, sha256 FROM documents
WHERE body IN ('{0}', '{1}');
INSERT INTO published_documents (client_name, client_version, id, name)
SELECT 'check-app', '1.2', sha256, 'x' FROM documents WHERE body IN ('{0}', '{1}');
"""
RETIRE = "DELETE FROM published_documents WHERE client_name = 'check-app'"


def old() -> str:
    """Of a version before this one, whose viewers had one more field."""
    before, found, after = printed().partition("type Viewer implements Node {\n")
    assert found
    return before + found + GONE + after


@pytest.fixture
async def published(shell_database: Database) -> AsyncIterator[str]:
    """The id of the one that breaks."""
    db = await asyncpg.connect(shell_database.superuser_url)
    try:
        await db.execute(PUBLISH.format(BY_BOTH, BY_OLD))
        yield sha256(BY_OLD.encode()).hexdigest()
        await db.execute(RETIRE)
    finally:
        await db.close()


async def test_nothing_breaks_between_a_version_and_itself(shell: Shell) -> None:
    said = await shell("schema", "check", "-", stdin=printed())

    assert (said.code, said.err) == (0, "")
    assert said.out.startswith("0 breaking changes, 0 dangerous ones, 0 safe ones; of ")
    assert said.out.endswith(" published documents none would break\n")


async def test_what_breaks_is_named_with_its_line_and_so_is_who_it_breaks(
    shell: Shell, shell_folder: Path, published: str
) -> None:
    (shell_folder / "old.graphql").write_text(old())
    line = old().splitlines().index(GONE.rstrip("\n")) + 1

    said = await shell("schema", "check", "old.graphql")

    assert (said.code, said.err) == (1, "")
    broken, document, counted = said.out.splitlines()
    assert broken == f"old.graphql:{line}: breaking: Field Viewer.isGone was removed."
    assert document.startswith(f"check-app 1.2: {published}: Cannot query field 'isGone'")
    assert counted.startswith("1 breaking change, 0 dangerous ones, 0 safe ones; of ")
    assert counted.endswith(" published documents 1 would break")


def test_without_a_database_no_documents_are_looked_at() -> None:
    said: list[str] = []

    assert not check(old(), "old.graphql", None, said.append)
    assert said[-1] == "1 breaking change, 0 dangerous ones, 0 safe ones"


@pytest.mark.parametrize(
    ("text", "says"),
    [
        ("", "old:1:1: Syntax Error: Unexpected <EOF>."),
        ("type Query {\n  a: Foo\n}", "old:2:6: Unknown type 'Foo'."),
        ("type Query { a: " + "[" * 5_000, "old:1:218: Syntax Error: Document is nested"),
    ],
)
def test_what_is_no_schema_is_neither_good_nor_bad(text: str, says: str) -> None:
    with pytest.raises(NoSchema, match=re.escape(says)):
        check(text, "old", None, print)


async def test_what_cannot_be_told_is_neither(shell: Shell, shell_folder: Path) -> None:
    (shell_folder / "binary.graphql").write_bytes(b"\xff\xfe")
    nowhere = "postgresql://x:y@127.0.0.1:1/x"

    absent = await shell("schema", "check", "absent.graphql")
    binary = await shell("schema", "check", "binary.graphql")
    away = await shell("schema", "check", "-", stdin=printed(), DASHTAM_DATABASE_URL=nowhere)

    assert (absent.code, binary.code, away.code) == (2, 2, 2)
    assert "No such file" in absent.err
    assert "binary.graphql is not UTF-8" in binary.err
    assert "the database is away" in away.err
