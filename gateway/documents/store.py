"""Documents in memory: each text is read once, in a bounded cache."""

import asyncio

from graphql import DocumentNode, GraphQLSchema

from gateway.documents.reading import Document, read
from gateway.guard import Limits, Refused
from gateway.recent import Recent

LONG = 64 << 10  # characters: 2,000 tokens of a megabyte take the lexer up to 0.3 s
CHARACTERS_MAX = 1 << 19
"""Of all cached texts together: a tree is some 100 times as large as its text, and its readers
twice that."""


class Documents:
    """Text to document, least recently used first out.

    Texts that were refused have a cache of their own, an eighth of the size, so that garbage
    does not push out what clients use.
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
    ) -> None:
        self.schema, self.limits, self.hide_suggestions = schema, limits, hide_suggestions
        self._alone, self._introspection = alone, introspection
        self._known: Recent[Document] = Recent(size, CHARACTERS_MAX)
        self._refused: Recent[Refused] = Recent(max(size // 8, 1), CHARACTERS_MAX // 8)

    def get(self, text: str) -> DocumentNode:
        """Raises: Refused."""
        return self.find(text).node

    def find(self, text: str) -> Document:
        """Raises: Refused."""
        return self._remembered(text) or self._remember(text, self._outcome(text))

    async def load(self, text: str) -> Document:
        """The same, with what takes long to read kept off the event loop. Raises: Refused."""
        if len(text) <= LONG:
            return self.find(text)
        known = self._remembered(text)
        return known or self._remember(text, await asyncio.to_thread(self._outcome, text))

    def _remembered(self, text: str) -> Document | None:
        if refused := self._refused.get(text):
            raise refused.again()
        return self._known.get(text)

    def _remember(self, text: str, outcome: Document | Refused) -> Document:
        if isinstance(outcome, Refused):
            self._refused.put(text, outcome)
            raise outcome.again()
        self._known.put(text, outcome)
        return outcome

    def _outcome(self, text: str) -> Document | Refused:
        try:
            return read(
                self.schema,
                text,
                self.limits,
                alone=self._alone,
                hide_suggestions=self.hide_suggestions,
                introspection=self._introspection,
            )
        except Refused as refused:
            return refused.again()
