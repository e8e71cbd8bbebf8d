"""Documents in memory: those that were published, and those that were sent, in a bounded cache."""

from collections.abc import Callable
from functools import partial

from graphql import DocumentNode, GraphQLError, GraphQLSchema

from gateway.documents.names import Name, digest
from gateway.documents.published import NOTHING
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
        introspection: bool = True,
        mode: Mode = Mode.OPEN,
        used: Seen = _unseen,
        unknown: Seen = _unseen,
    ) -> None:
        self.schema, self.limits, self.hide_suggestions = schema, limits, hide_suggestions
        self.mode, self.published, self.used, self.unknown = mode, NOTHING, used, unknown
        self._alone, self._introspection = alone, introspection
        self._known: Recent[Document] = Recent(size, CHARACTERS_MAX)
        self._reading: ReadingPool[Document | Refused] = ReadingPool()
        self._refused: Recent[Refused] = Recent(max(size // 8, 1), CHARACTERS_MAX // 8)

    @property
    def takes_text(self) -> bool:
        """Not where only published documents may run; until there are any, everything may."""
        return self.mode is not Mode.TRUSTED or not self.published.are_enforced

    async def chosen(self, asked: Parameters, client: Client = ANONYMOUS) -> Document:
        """By its text or by its name.

        Raises:
            Refused: the document may not run, or there is none of that name.
            Fault: 400, the text is not the document that was named beside it.
        """
        if asked.query is None:
            document = self._named(asked.name)
        elif not self.takes_text:
            raise not_registered() if asked.registers else document_required()
        else:
            document = await self.load(asked.query, asked.name)
        if document.is_published:
            self.used(document, client)
        elif self.mode is not Mode.OPEN:
            self.unknown(document, client)
        return document

    def get(self, text: str) -> DocumentNode:
        """Raises: Refused."""
        return self.find(text).node

    def find(self, text: str) -> Document:
        """Raises: Refused."""
        hash_ = digest(text)
        return self._remembered(hash_) or self._remember(text, hash_, self.outcome(text))

    async def load(self, text: str, name: Name | None = None) -> Document:
        """The same, with what takes long to read kept off the event loop. `name` is what the
        text has to be called. Raises: Refused, Fault 400, 503.
        """
        hash_ = digest(text)
        if name is not None and hash_ != self.published.hash_of(name):
            raise another_text()
        known = self._remembered(hash_)
        if known is not None:
            return known
        if len(text) <= SHORT:
            outcome = self.outcome(text)
        else:
            outcome = await self._reading.outcome(hash_, partial(self.outcome, text))
        return self._remember(text, hash_, outcome)

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
                introspection=self._introspection,
                errors_max=errors_max,
            )
        except Refused as refused:
            return refused.again()

    def _named(self, name: Name | None) -> Document:
        """Raises: Refused."""
        hash_ = None if name is None else self.published.hash_of(name)
        if hash_ is None:
            raise not_found()
        published = self.published.find(hash_)
        if isinstance(published, Refused):
            raise published.again()
        document = published or (self._known.get(hash_) if self.takes_text else None)
        if document is None:
            raise not_found()
        return document

    def _remembered(self, hash_: str) -> Document | None:
        published = self.published.find(hash_)
        if isinstance(published, Document):
            return published
        if refused := self._refused.get(hash_):
            raise refused.again()
        return self._known.get(hash_)

    def _remember(self, text: str, hash_: str, outcome: Document | Refused) -> Document:
        if isinstance(outcome, Refused):
            self._refused.put(hash_, outcome, len(text))
            raise outcome.again()
        self._known.put(hash_, outcome, len(text))
        return outcome


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
