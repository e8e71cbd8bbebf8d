"""What is published, brought into this process before it is ready, and while it runs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING

import asyncpg
import structlog

from adapters.postgres import documents as stored
from adapters.postgres.documents import DOCUMENTS_CHANGED, PublishedRow
from gateway.documents import builtin
from gateway.documents.limits import OWN, most_generous
from gateway.documents.names import HASH
from gateway.documents.published import Published, PublishedDocument
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.documents.usage import Unpublished, Usage
from gateway.operations.clients import Client
from gateway.operations.guard import Refused
from gateway.settings import LimitFigures, SettingsError
from gateway.wiring.refreshing import keep_fresh

if TYPE_CHECKING:
    from gateway.wiring.root import Wired

LOOK_EVERY_S = 30.0  # the longest that a publication waits where the news of it were lost
REST = 9.0  # times as long as reading a document took: the rest is for those who ask meanwhile
NAMED_MAX = 5  # documents that a warning names

log = structlog.get_logger("dashtam.documents")

Warm = Callable[[Iterable[Document], float], Awaitable[None]]


async def _as_they_are(_: Iterable[Document], __: float) -> None:
    return None


class Following:
    """Keeps `documents.published` as the database has it. What is new is there at once, as a whole,
    and read when somebody asks for it, or else after a while, in the background, where `warm` is
    awaited with it then; a document that this schema refuses is named in the log. What cannot be
    looked at leaves what is there where it is."""

    def __init__(
        self,
        documents: Documents,
        pool: asyncpg.Pool,
        usual: Mapping[str, int],
        warm: Warm = _as_they_are,
    ) -> None:
        self._documents, self._pool, self._usual, self._warm = documents, pool, usual, warm
        self._rows: Sequence[PublishedRow] | None = None
        self._has_new = asyncio.Event()
        self._problem: str | None = None
        self._refused: Sequence[str] = ()

    def warning(self) -> str | None:
        return self._problem

    def refused(self) -> str | None:
        """In a sentence, which published documents do not run here."""
        if not self._refused:
            return None
        named = ", ".join(self._refused[:NAMED_MAX])
        more = "" if len(self._refused) <= NAMED_MAX else ", …"
        return f"{len(self._refused)} published documents do not fit this schema: {named}{more}"

    async def look(self) -> None:
        """Raises: Unavailable, asyncpg.PostgresError."""
        rows = await stored.published(self._pool)
        if rows != self._rows:
            before = self._documents.published.documents
            limits = _own_limits(rows, self._usual)
            known = {h: before[h] for h in limits if h in before and before[h].limits == limits[h]}
            texts = await stored.texts(self._pool, limits.keys() - known.keys())
            new = {hash_: PublishedDocument(text, limits[hash_]) for hash_, text in texts.items()}
            self._documents.published = _published(rows, known | new)
            self._rows = rows
            self._has_new.set()
        self._problem = None

    async def looked(self) -> bool:
        """The same; False where nobody could look."""
        try:
            await self.look()
        except Exception as error:  # without it, the next would be missed
            if self._problem is None:
                log.exception("documents.kept", reason=type(error).__name__)
            self._problem = "published documents cannot be read: those from before are served"
            return False
        return True

    async def read(self, *, rest: float) -> None:
        """What was not read yet. After each, `rest` times as long as it took is left to others."""
        self._has_new.clear()
        read = []
        for each in self._documents.published.documents.values():
            if each.outcome is None:
                begun = perf_counter()
                read.append(await self._documents.read(each))
                await asyncio.sleep(rest * (perf_counter() - begun))
        await self._warm([each for each in read if isinstance(each, Document)], rest)
        self._tell()

    async def read_on(self) -> None:
        """For ever, as a task of whoever opened this."""
        while True:
            await self._has_new.wait()
            try:
                await self.read(rest=REST)
            except Exception as error:  # whoever asks for it meets that again
                log.exception("documents.not_read", reason=type(error).__name__)

    def _tell(self) -> None:
        refused, documents = [], self._documents.published.documents
        for row in self._rows or ():
            found = documents.get(row.sha256 or "")
            if found is not None and isinstance(found.outcome, Refused):
                refused.append(f"{row.client_name} {row.client_version} {row.id}")
                log.error(
                    "documents.does_not_fit",
                    client=row.client_name,
                    version=row.client_version,
                    document=row.id,
                )
        self._refused = refused
        log.info("documents.loaded", count=len(documents))


@asynccontextmanager
async def followed(
    documents: Documents, wired: "Wired", warm: Warm = _as_they_are
) -> AsyncIterator[Following]:
    """All that is published is read, guarded and validated before the block begins, and followed
    until it ends; uses are noted. `warm` is awaited with what is about to be served.

    Raises:
        SettingsError: the database has no tables for them.
        Unavailable: it cannot be reached.
    """
    following = Following(documents, wired.pool, usual(wired.settings.limits), warm)
    try:
        await following.look()
    except asyncpg.UndefinedTableError:
        why = "The database is of an older version: run `dashtam migrate`."
        raise SettingsError(why) from None
    await following.read(rest=0)
    usage, unpublished = Usage(documents, wired.pool, wired.app.now), Unpublished(documents)
    documents.used, documents.unknown = usage.note, unpublished.note
    look_on = partial(
        keep_fresh, following.looked, wired.endings, DOCUMENTS_CHANGED, every_s=LOOK_EVERY_S
    )
    async with AsyncExitStack() as stack:
        stack.push_async_callback(usage.close)
        runs = (look_on, following.read_on, usage.run)
        tasks = [asyncio.create_task(run()) for run in runs]
        stack.push_async_callback(_end, tasks)
        yield following


async def _end(tasks: Sequence[asyncio.Task[None]]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def usual(figures: LimitFigures) -> dict[str, int]:
    """The figures that a document may have its own of."""
    return {name: getattr(figures, name) for name in OWN}


def _own_limits(
    rows: Iterable[PublishedRow], usual: Mapping[str, int]
) -> dict[str, dict[str, int]]:
    """Of each text."""
    said: defaultdict[str, list[Mapping[str, int]]] = defaultdict(list)
    for row in rows:
        if row.sha256 is not None:
            said[row.sha256].append(row.limits)
    return {hash_: most_generous(each, usual) for hash_, each in said.items()}


def _published(
    rows: Sequence[PublishedRow], documents: Mapping[str, PublishedDocument]
) -> Published:
    clients: defaultdict[Client, dict[str, str]] = defaultdict(dict)
    ids: dict[str, str] = {}
    an_id: dict[str, str] = {}
    for row in rows:
        if row.id is None or row.sha256 is None:
            continue
        clients[Client(row.client_name, row.client_version)][row.sha256] = row.id
        an_id[row.sha256] = row.id
        if not HASH.fullmatch(row.id):
            ids[row.id] = row.sha256
    return Published(
        documents=documents,
        ids=ids,
        clients=dict(clients),
        an_id=an_id,
        are_enforced=any(row.client_name != builtin.NAME for row in rows),
    )
