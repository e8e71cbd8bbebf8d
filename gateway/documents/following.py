"""What is published, brought into this process before it is ready, and while it runs."""

import asyncio
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, AsyncExitStack, asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

import asyncpg
import structlog

from adapters.postgres import documents as stored
from adapters.postgres.documents import DOCUMENTS_CHANGED, PublishedRow
from gateway.documents import builtin
from gateway.documents.limits import OWN, allowing, most_generous
from gateway.documents.names import HASH
from gateway.documents.published import Own, Published
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.documents.usage import Unpublished, Usage
from gateway.operations.clients import Client
from gateway.operations.guard import Refused
from gateway.settings import Limits as LimitFigures
from gateway.settings import SettingsError

if TYPE_CHECKING:
    from gateway.wiring.root import Wired

LOOK_EVERY_S = 30.0  # the longest that a publication waits where the news of it were lost
RETRY_S = 1.0
NAMED_MAX = 5  # documents that a warning names

log = structlog.get_logger("dashtam.documents")

Warm = Callable[[Iterable[Document]], Awaitable[None]]
News = AbstractAsyncContextManager[AsyncIterator[str | None]]


async def _as_they_are(_: Iterable[Document]) -> None:
    return None


class Following:
    """Keeps `documents.published` as the database has it. What cannot be read leaves what is there
    where it is; a document that this schema refuses is refused, and named in the log. `warm` is
    awaited with new ones before they are served."""

    def __init__(
        self,
        documents: Documents,
        pool: asyncpg.Pool,
        news: Callable[[], News],
        usual: Mapping[str, int],
        warm: Warm = _as_they_are,
    ) -> None:
        self._warm = warm
        self._documents, self._pool, self._news = documents, pool, news
        self._usual = usual
        self._rows: Sequence[PublishedRow] | None = None
        self._changed = asyncio.Event()
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

    async def run(self) -> None:
        """For ever, as a task of whoever opened this."""
        async with asyncio.TaskGroup() as tasks:
            tasks.create_task(self._hear())
            while True:
                with suppress(TimeoutError):
                    # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                    async with asyncio.timeout(LOOK_EVERY_S):
                        await self._changed.wait()
                self._changed.clear()
                try:
                    await self.look()
                except Exception as error:  # noqa: BLE001 - without it, the next would be missed
                    self._keep(error)
                    self._changed.set()
                    await asyncio.sleep(RETRY_S)

    async def _hear(self) -> None:
        async with self._news() as news:
            async for _ in news:  # None too: something may have been missed
                self._changed.set()

    async def look(self) -> None:
        """Raises: Unavailable, asyncpg.PostgresError."""
        rows = await stored.published(self._pool)
        if rows != self._rows:
            before = self._documents.published
            own = _own_limits(rows, self._usual)
            texts = await stored.texts(self._pool, _new(own, before))
            # A thread: of a thousand documents it takes seconds.
            made = await asyncio.to_thread(_made, self._documents, rows, own, before, texts)
            found = (made.find(hash_) for hash_ in texts)
            await self._warm([each for each in found if isinstance(each, Document)])
            self._documents.published = made
            self._rows = rows
            self._tell(rows, made)
        self._problem = None

    def _tell(self, rows: Sequence[PublishedRow], made: Published) -> None:
        refused = []
        for row in rows:
            if row.sha256 is None or not isinstance(made.find(row.sha256), Refused):
                continue
            refused.append(f"{row.client_name} {row.client_version} {row.id}")
            log.error(
                "documents.does_not_fit",
                client=row.client_name,
                version=row.client_version,
                document=row.id,
            )
        self._refused = refused
        log.info("documents.loaded", count=len(made.documents))

    def _keep(self, error: Exception) -> None:
        if self._problem is None:
            log.error("documents.kept", reason=type(error).__name__, exc_info=error)
        self._problem = "published documents cannot be read: those from before are served"


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
    following = Following(
        documents,
        wired.pool,
        lambda: wired.endings.subscribe(DOCUMENTS_CHANGED),
        usual(wired.settings.limits),
        warm,
    )
    try:
        await following.look()
    except asyncpg.UndefinedTableError:
        why = "The database is of an older version: run `dashtam migrate`."
        raise SettingsError(why) from None
    usage, unpublished = Usage(documents, wired.pool, wired.app.now), Unpublished(documents)
    documents.used, documents.unknown = usage.note, unpublished.note
    async with AsyncExitStack() as stack:
        stack.push_async_callback(usage.close)
        tasks = [asyncio.create_task(run()) for run in (following.run, usage.run)]
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


def _new(own: Mapping[str, Mapping[str, int]], before: Published) -> list[str]:
    known = before.documents
    return [h for h, limits in own.items() if h not in known or known[h].limits != limits]


def _made(
    documents: Documents,
    rows: Sequence[PublishedRow],
    own: Mapping[str, Mapping[str, int]],
    before: Published,
    texts: Mapping[str, str],
) -> Published:
    found: dict[str, Own] = {}
    for hash_, limits in own.items():
        if hash_ not in texts:
            found[hash_] = before.documents[hash_]
            continue
        outcome = documents.outcome(texts[hash_], allowing(documents.limits, limits))
        if not isinstance(outcome, Refused):
            outcome = replace(outcome, is_published=True, cost_max=limits.get("cost"))
        found[hash_] = Own(outcome, limits)
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
        documents=found,
        ids=ids,
        clients=dict(clients),
        an_id=an_id,
        are_enforced=any(row.client_name != builtin.NAME for row in rows),
    )
