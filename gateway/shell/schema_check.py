"""`dashtam schema check`: what the schema of this program would break of what was there before."""

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path

from graphql import GraphQLError, GraphQLSchema, build_ast_schema, build_schema, parse, validate
from graphql.validation.validate import validate_sdl

from adapters.postgres import documents
from adapters.postgres.pool import open_pool
from gateway.processes.instance import running_instance
from gateway.settings import Settings
from schema.comparing import Change, Severity, compare
from schema.schema import printed

WORDS = {Severity.BREAKING: "breaking", Severity.DANGEROUS: "warning"}
STANDARD_INPUT = "-"


class NoSchema(Exception):
    """What is wrong with the old schema, where one can say it with file and line."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Broken:
    """A published document that the new schema refuses."""

    client: str
    version: str
    id: str
    why: str

    def __str__(self) -> str:
        return f"{self.client} {self.version}: {self.id}: {self.why}"


def check(text: str, name: str, database_url: str | None, say: Callable[[str], None]) -> bool:
    """Whether nothing breaks. `text` is the old schema's SDL, `name` its file's.

    Raises:
        NoSchema: it is none.
        Unavailable: the database, where one is named, is away.
    """
    new = build_schema(printed())
    changes = compare(_read(text, name), new)
    for change in changes:
        if change.severity in WORDS:
            say(f"{_place(name, change)}: {WORDS[change.severity]}: {change.says}")
    counted = Counter(change.severity for change in changes)
    said = (
        f"{_many(counted[Severity.BREAKING], 'breaking change')}, "
        f"{_many(counted[Severity.DANGEROUS], 'dangerous one')}, "
        f"{_many(counted[Severity.SAFE], 'safe one')}"
    )
    broken: list[Broken] = []
    if database_url is not None:
        count, broken = asyncio.run(_published(database_url, new))
        for each in broken:
            say(f"{each}")
        said += f"; of {_many(count, 'published document')} {len(broken) or 'none'} would break"
    say(said)
    return not (counted[Severity.BREAKING] or broken)


def configured(environ: Mapping[str, str], data_dir: Path) -> str | None:
    """The database of the environment, or of the development instance that runs.

    Raises: SettingsError.
    """
    if environ.get("DASHTAM_DATABASE_URL"):
        return Settings.read(environ).database_url
    instance = running_instance(data_dir)
    return None if instance is None else instance.database_url


def _read(text: str, name: str) -> GraphQLSchema:
    """Raises NoSchema."""
    try:
        document = parse(text)
        if found := validate_sdl(document):
            raise found[0]
        return build_ast_schema(document)
    except GraphQLError as error:
        at = "".join(f":{place.line}:{place.column}" for place in (error.locations or ())[:1])
        raise NoSchema(f"{name}{at}: {error.message}") from None
    except (TypeError, RecursionError) as error:
        raise NoSchema(f"{name}: {str(error).splitlines()[0]}") from None


def _place(name: str, change: Change) -> str:
    return f"{name}:{change.line}" if change.line else name


def _many(count: int, what: str) -> str:
    return f"{count:,} {what}{'' if count == 1 else 's'}"


async def _published(database_url: str, new: GraphQLSchema) -> tuple[int, list[Broken]]:
    """How many there are, and those that break, in the order in which they are listed."""
    pool = await open_pool(database_url, 1)
    try:
        rows = [row for row in await documents.published(pool) if row.id and row.sha256]
        texts = await documents.texts(pool, {row.sha256 for row in rows if row.sha256})
    finally:
        await pool.close()
    why = {sha256: _why(text, new) for sha256, text in texts.items()}
    return len(rows), [
        Broken(client=row.client_name, version=row.client_version, id=row.id, why=said)
        for row in rows
        if row.id and row.sha256 and (said := why.get(row.sha256)) is not None
    ]


def _why(text: str, new: GraphQLSchema) -> str | None:
    try:
        found = validate(new, parse(text), max_errors=1)
    except GraphQLError as error:
        found = [error]
    return found[0].message if found else None
