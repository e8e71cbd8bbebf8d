"""What real clients judge: a gateway that takes any text, and one in production that takes
published documents only, on one database with a year of somebody's data.
"""

import asyncio
import json
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tests.conformance.node import Node
from tests.e2e.linking import linked
from tests.e2e.stack import (
    PASSWORD,
    Client,
    Program,
    Stack,
    a_free_port,
    a_stack,
    dashtam,
    environment,
    running,
    until_ready,
)
from tests.servers import Database

GOLDEN = Path(__file__).parent / "golden"
OPERATIONS = Path(__file__).parent / "mobile" / "operations"
VERSION = "1.0"
MANIFESTS = {
    "apollo": GOLDEN / "apollo.json",
    "codegen": GOLDEN / "codegen" / "persisted-documents.json",
    "relay": GOLDEN / "relay-sha256.json",
    "relay-md5": GOLDEN / "relay-md5.json",
    "folder": OPERATIONS,
}
NEWS = "{ links { id lastRun { id } } accounts { id } }"


@dataclass(frozen=True, slots=True, kw_only=True)
class Judged:
    """`published` is what the shell said of each manifest."""

    stack: Stack
    trusted: Program
    owner: Client
    run: str
    account: str
    published: dict[str, str]

    def told(self, program: Program, **more: Any) -> str:
        said = {
            "url": f"{program.url}/graphql",
            "token": self.owner.token,
            "credentials": {"email": self.owner.email, "password": PASSWORD},
            "run": self.run,
            "account": self.account,
            "version": VERSION,
        }
        return json.dumps(said | more)

    async def heard(self, node: Node, script: str, program: Program, **more: Any) -> Any:
        """What a script of a client found out."""
        return json.loads(await node.run(f"clients/{script}", self.told(program, **more)))


def documents_of(manifest: str) -> Iterator[tuple[str, str]]:
    """The ids of a manifest and their texts."""
    content = json.loads(MANIFESTS[manifest].read_text())
    if "operations" in content:
        yield from ((each["id"], each["body"]) for each in content["operations"])
    else:
        yield from content.items()


async def published(environ: dict[str, str], folder: Path) -> dict[str, str]:
    """What the shell says of each manifest."""
    found = {}
    for name, path in MANIFESTS.items():
        words = ("documents", "publish", str(path), "--client", name, "--version", VERSION)
        said = await dashtam(*words, environ=environ, folder=folder)
        assert (said.code, said.err) == (0, ""), said
        found[name] = said.out.rstrip()
    return found


@asynccontextmanager
async def judged_here(database: Database, folder: Path) -> AsyncIterator[Judged]:
    async with a_stack(database, folder) as stack, stack.somebody() as owner:
        production = environment(
            database,
            folder / "production",
            a_free_port(),
            DASHTAM_MODE="production",
            DASHTAM_DOCUMENTS="trusted",
            DASHTAM_KEYRING=str(stack.settings.keyring),
            DASHTAM_ARGON2="m=19456,t=2,p=1",
            DASHTAM_MIGRATIONS_URL=database.owner_url,
        )
        (folder / "production").mkdir()
        said, _ = await asyncio.gather(published(production, folder), linked(owner))
        news = await owner.ask(NEWS)
        async with running("serve", production, folder / "production") as trusted:
            await until_ready(trusted)
            yield Judged(
                stack=stack,
                trusted=trusted,
                owner=owner,
                run=news["links"][0]["lastRun"]["id"],
                account=news["accounts"][0]["id"],
                published=said,
            )
            assert trusted.process.returncode is None, trusted.log.read_text()
