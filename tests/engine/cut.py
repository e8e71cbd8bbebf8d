"""A way to the database that can be cut at the worst moment: after COMMIT, before its answer."""

import asyncio
import tempfile
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, replace
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

from tests.servers import Database

SOCKET = ".s.PGSQL.5432"
Meanwhile = Callable[[], Awaitable[None]]


async def nothing() -> None:
    pass


@dataclass(slots=True)
class Cut:
    """`database` is the same one, by this way."""

    database: Database
    armed: Meanwhile | None = None
    before: int = 0

    def arm(self, meanwhile: Meanwhile = nothing, *, before: int) -> None:
        """Lose the answer to a COMMIT, so many others before, and do this meanwhile."""
        self.armed, self.before = meanwhile, before

    async def carry(self, client: "Ends", server: "Ends") -> None:
        asked = asyncio.create_task(self._ask(client[0], server[1]))
        try:
            while said := await server[0].read(65536):
                if (meanwhile := self.armed) is not None and b"COMMIT\0" in said:
                    self.before -= 1
                    if self.before < 0:
                        self.armed = None
                        await meanwhile()
                        return
                client[1].write(said)
        finally:
            asked.cancel()
            for _, writer in (client, server):
                writer.transport.abort()

    async def _ask(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while said := await reader.read(65536):
            writer.write(said)
        writer.transport.abort()


Ends = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def cut(database: Database) -> AsyncIterator[Cut]:
    [folder] = parse_qs(urlsplit(database.app_url).query)["host"]
    with tempfile.TemporaryDirectory(prefix="cut-") as own:
        url = database.app_url.replace(folder, own)
        way = Cut(replace(database, app_url=url))

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                server = await asyncio.open_unix_connection(str(Path(folder) / SOCKET))
                await way.carry((reader, writer), server)
            writer.transport.abort()

        listening = await asyncio.start_unix_server(connected, Path(own) / SOCKET)
        async with listening:
            yield way
            listening.close()
