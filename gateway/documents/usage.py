"""Which published documents are in use, by whom, and which others are asked for beside them."""

import asyncio
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import datetime
from time import monotonic
from typing import TYPE_CHECKING

import structlog
from graphql import OperationDefinitionNode

from adapters.postgres.documents import UNKNOWN, Use, note_uses
from adapters.postgres.pool import Pool
from gateway import telemetry
from gateway.documents.published import Published
from gateway.documents.reading import Document
from gateway.operations.clients import Client
from gateway.telemetry.naming import id_of, name_of

if TYPE_CHECKING:
    from gateway.documents.store import Documents

FLUSH_S = 30.0
FIRST_FLUSH_S = 1.0
LAST_FLUSH_S_MAX = 3.0
NAMED_MAX = 4_096  # texts that are remembered as named already
NAMED_A_MINUTE_MAX = 60

log = structlog.get_logger("dashtam.documents")


@dataclass(slots=True)
class _Uses:
    count: int
    last: datetime


class Usage:
    """Counts in memory, and says them to the database every FLUSH_S; what this process has not said
    before, after FIRST_FLUSH_S, so that what has just come into use is not retired. There is an
    entry for each document of each published version, and one for each that anybody else used: a
    client that makes up names makes no entries."""

    def __init__(
        self,
        documents: "Documents",
        pool: Pool,
        now: Callable[[], datetime],
        *,
        first_flush_s: float = FIRST_FLUSH_S,
    ) -> None:
        self._documents, self._pool, self._now = documents, pool, now
        self._first_flush_s = first_flush_s
        self._uses: dict[tuple[str, str, str], _Uses] = {}
        self._said: set[tuple[str, str, str]] = set()
        self._has_new = asyncio.Event()

    def note(self, document: Document, client: Client) -> None:
        """Called for each request: nothing waits here."""
        published, hash_ = self._documents.published, document.sha256
        own = published.clients.get(client, {}).get(hash_)
        key = (client.name, client.version, own) if own else _unknown(published, hash_)
        found = self._uses.get(key)
        if found is None:
            self._uses[key] = _Uses(1, self._now())
            if key not in self._said:
                self._has_new.set()
        else:
            found.count, found.last = found.count + 1, self._now()

    async def run(self) -> None:
        """For ever, as a task of whoever opened this."""
        while True:
            with suppress(TimeoutError):
                # `wait_for` of Python 3.11 forgets a cancellation that comes with the event.
                async with asyncio.timeout(FLUSH_S):
                    await self._has_new.wait()
                    await asyncio.sleep(self._first_flush_s)
            self._has_new.clear()
            await self.flush()

    async def close(self) -> None:
        """The last ones; what cannot be said then is lost."""
        try:
            async with asyncio.timeout(LAST_FLUSH_S_MAX):
                await self.flush()
        except TimeoutError:
            log.warning("documents.usage_not_noted", count=len(self._uses), reason="no answer")
        if self._uses:
            log.warning("documents.usage_lost", count=len(self._uses))

    async def flush(self) -> None:
        """What cannot be said now is said the next time."""
        told, self._uses = self._uses, {}
        if not told:
            return
        said: Sequence[Use] = [
            Use(client_name=name, client_version=version, id=id_, count=u.count, last=u.last)
            for (name, version, id_), u in told.items()
        ]
        try:
            await note_uses(self._pool, said)
        except Exception as error:  # noqa: BLE001 - whatever it is, the next may go well
            log.warning("documents.usage_not_noted", count=len(told), reason=type(error).__name__)
            self._put_back(told)
        except asyncio.CancelledError:
            self._put_back(told)
            raise
        else:
            self._said.update(told)

    def _put_back(self, told: dict[tuple[str, str, str], _Uses]) -> None:
        for key, uses in told.items():
            since = self._uses.setdefault(key, uses)
            if since is not uses:
                since.count += uses.count


def _unknown(published: Published, hash_: str) -> tuple[str, str, str]:
    return UNKNOWN, "", published.an_id.get(hash_, hash_)


class Unpublished:
    """Counts what runs without having been published, and names each text once: by its operation
    and its client, where that is published; by its hash, where the text has no string in it, which
    somebody with the log could otherwise guess."""

    def __init__(self, documents: "Documents") -> None:
        self._documents = documents
        self._named: set[str] = set()
        self._minute, self._this_minute = 0, 0

    def note(self, document: Document, client: Client) -> None:
        if (watch := telemetry.current()) is not None:
            watch.unpublished_document()
        if document.sha256 in self._named or not self._may_name():
            return
        if len(self._named) >= NAMED_MAX:
            self._named.clear()
        self._named.add(document.sha256)
        is_known = any(client.name == each.name for each in self._documents.published.clients)
        log.warning(
            "documents.unpublished",
            operation=operation_of(document),
            document=id_of(document.node),
            client=client.name if is_known else UNKNOWN,
            version=client.version if is_known else None,
        )

    def _may_name(self) -> bool:
        minute = int(monotonic() // 60)
        if minute != self._minute:
            self._minute, self._this_minute = minute, 0
        self._this_minute += 1
        return self._this_minute <= NAMED_A_MINUTE_MAX


def operation_of(document: Document) -> str | None:
    """The name of its first operation."""
    for node in document.node.definitions:
        if isinstance(node, OperationDefinitionNode):
            return name_of(node)
    return None
