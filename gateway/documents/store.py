"""Documents in memory: those that were published, and those that were sent, in a bounded cache."""

from collections.abc import Callable, Hashable
from dataclasses import replace
from functools import partial

from graphql import GraphQLError, GraphQLSchema

from gateway.documents.limits import allowing
from gateway.documents.names import Name, digest
from gateway.documents.published import NOTHING, PublishedDocument
from gateway.documents.reading import ERRORS_MAX, Document, read
from gateway.documents.reading_pool import SHORT, ReadingPool
from gateway.documents.recent import Recent
from gateway.operations.clients import ANONYMOUS, Client
from gateway.operations.faults import Fault, bad_request
from gateway.operations.guard import Limits, Refused
from gateway.operations.parameters import Parameters
from gateway.settings import Documents as Mode

CHARACTERS_MAX = 1 << 19
"""Of all cached texts together: a tree is some 100 times as large as its text, and its readers
twice that."""

Seen = Callable[[Document, Client], None]


def _unseen(_: Document, __: Client) -> None:
    return None


class Documents:
    """Hash of a text to its document. `published` are pinned, whoever publishes more replaces
    them as a whole; of those that clients send the least recently used goes first, and with it
    what APQ registered.

    Texts that were refused have a cache of their own, an eighth of the size, so that garbage
    does not push out what clients use.

    `used` is told of each published document that is asked for, `unknown` of each other one where
    only published ones should be.
    """

    def __init__(
        self,
        schema: GraphQLSchema,
        *,
        limits: Limits,
        size: int = 1024,
        alone: frozenset[str] = frozenset(),
        hide_suggestions: bool = False,
        mode: Mode = Mode.OPEN,
        used: Seen = _unseen,
        unknown: Seen = _unseen,
    ) -> None:
        self.schema, self.limits, self.hide_suggestions = schema, limits, hide_suggestions
        self.mode, self.published, self.used, self.unknown = mode, NOTHING, used, unknown
        self._alone = alone
        self._known: Recent[Document] = Recent(size, CHARACTERS_MAX)
        self._reading: ReadingPool[Document | Refused] = ReadingPool()
        self._refused: Recent[Refused] = Recent(max(size // 8, 1), CHARACTERS_MAX // 8)

    @property
    def takes_text(self) -> bool:
        """Not where only published documents may run; until there are any, everything may."""
        return self.mode is not Mode.TRUSTED or not self.published.are_enforced

    async def chosen(
        self, asked: Parameters, client: Client = ANONYMOUS, whose: Hashable = None
    ) -> Document:
        """By its text or by its name. What has to be read first has its turn by `whose` it is.

        Raises:
            Refused: the document may not run, or there is none of that name.
            Fault: 400, the text is not the document that was named beside it; 503.
        """
        if asked.query is None:
            document = await self._named(asked.name, whose)
        elif not self.takes_text:
            raise not_registered() if asked.registers else document_required()
        else:
            document = await self.load(asked.query, asked.name, whose)
        if document.is_published:
            self.used(document, client)
        elif self.mode is not Mode.OPEN:
            self.unknown(document, client)
        return document

    async def load(self, text: str, name: Name | None = None, whose: Hashable = None) -> Document:
        """By its text, which has to be what `name` says, where that is given.

        Raises: Refused, Fault 400, 503.
        """
        hash_ = digest(text)
        if name is not None and hash_ != self.published.hash_of(name):
            raise another_text()
        if (published := self.published.documents.get(hash_)) is not None:
            return await self._published(published, whose)
        if (refused := self._refused.get(hash_)) is not None:
            raise refused.again()
        if (known := self._known.get(hash_)) is not None:
            return known
        outcome = await self._read(hash_, text, partial(self.outcome, text), whose)
        if isinstance(outcome, Refused):
            self._refused.put(hash_, outcome, len(text))
            raise outcome.again()
        self._known.put(hash_, outcome, len(text))
        return outcome

    async def read(self, published: PublishedDocument) -> Document | Refused:
        """What becomes of it, which is kept with it, however long that takes."""
        if published.outcome is None:
            await self._reading.reading(published, partial(self._settle, published))
        return self._settle(published)

    def outcome(
        self, text: str, limits: Limits | None = None, *, errors_max: int = ERRORS_MAX
    ) -> Document | Refused:
        """What becomes of it, remembered by nobody."""
        try:
            return read(
                self.schema,
                text,
                limits or self.limits,
                alone=self._alone,
                hide_suggestions=self.hide_suggestions,
                errors_max=errors_max,
            )
        except Refused as refused:
            return refused.again()

    async def _named(self, name: Name | None, whose: Hashable) -> Document:
        """Raises: Refused, Fault 503."""
        hash_ = None if name is None else self.published.hash_of(name)
        if hash_ is None:
            raise not_found()
        if (published := self.published.documents.get(hash_)) is not None:
            return await self._published(published, whose)
        document = self._known.get(hash_) if self.takes_text else None
        if document is None:
            raise not_found()
        return document

    async def _published(self, published: PublishedDocument, whose: Hashable) -> Document:
        """Raises: Refused, Fault 503."""
        outcome = published.outcome
        if outcome is None:
            settle = partial(self._settle, published)
            outcome = await self._read(published, published.text, settle, whose)
        if isinstance(outcome, Refused):
            raise outcome.again()
        return outcome

    def _settle(self, published: PublishedDocument) -> Document | Refused:
        if published.outcome is None:
            own = published.limits
            outcome = self.outcome(published.text, allowing(self.limits, own))
            if isinstance(outcome, Document):
                outcome = replace(outcome, is_published=True, cost_max=own.get("cost"))
            published.outcome = outcome
        return published.outcome

    async def _read(
        self,
        key: Hashable,
        text: str,
        read: Callable[[], Document | Refused],
        whose: Hashable,
    ) -> Document | Refused:
        """What takes long to read is kept off the event loop. Raises: Fault 503."""
        if len(text) <= SHORT:
            return read()
        return await self._reading.outcome(key, read, whose)


def not_found() -> Refused:
    """In the words by which Apollo's clients and urql's know it; they then send the text."""
    return Refused("PERSISTED_QUERY_NOT_FOUND", [GraphQLError("PersistedQueryNotFound")])


def not_registered() -> Refused:
    """To a text that is to be had by its hash from now on, in the same clients' words."""
    return Refused("PERSISTED_QUERY_NOT_SUPPORTED", [GraphQLError("PersistedQueryNotSupported")])


def document_required() -> Refused:
    message = "Only published documents run here: send a documentId, and no query."
    return Refused("DOCUMENT_REQUIRED", [GraphQLError(message)])


def another_text() -> Fault:
    return bad_request("the query is not the text of the document that is named")
