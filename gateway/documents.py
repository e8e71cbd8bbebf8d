"""Documents: parsed, guarded and validated once, in a bounded cache."""

import asyncio
import re
from dataclasses import dataclass, field
from typing import Any

from graphql import (
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OverlappingFieldsCanBeMergedRule,
    StringValueNode,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.validation.validate import ValidationAbortedError

from gateway import guard, strict_json
from gateway.executor import Readers
from gateway.guard import Limits, Measured, Refused
from gateway.recent import Recent

ERRORS_MAX = 5
LONG = 64 << 10  # characters: 2,000 tokens of a megabyte take the lexer up to 0.3 s
CHARACTERS_MAX = 1 << 19
"""Of all cached texts together: a tree is some 100 times as large as its text, and its readers
twice that."""
COMPARISONS_MAX = 20_000
"""Of graphql-core's default 500,000, which take seconds; 1,000 fields, each twice, need 4,000."""

_ABORTED = "Parsing aborted."
_HALF_PAIR = re.compile(r"Invalid Unicode escape sequence: '\\u(\{0*)?d[89a-f]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """A document that may run, and what was learnt of it on the way, by its operations too."""

    node: DocumentNode
    measured: Measured
    readers: Readers = field(default_factory=dict)


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
            return self._read(text)
        except Refused as refused:
            return refused.again()

    def _read(self, text: str) -> Document:
        node = _parsed(text, self.limits)
        measured = guard.check(node, self.limits, self._alone)
        _check_literals(text, node)
        if measured.introspects and not self._introspection:
            raise introspection_is_off()
        errors = validate(
            self.schema,
            node,
            RULES,
            max_errors=ERRORS_MAX,
            hide_suggestions=self.hide_suggestions,
        )
        if errors:
            # Alone, the abort says that comparing the fields would have taken too long.
            aborted = isinstance(errors[0], ValidationAbortedError)
            raise Refused("TOO_COMPLEX" if aborted else "GRAPHQL_VALIDATION_FAILED", errors)
        return Document(node, measured)


def introspection_is_off() -> Refused:
    return Refused("GRAPHQL_VALIDATION_FAILED", [GraphQLError("Introspection is switched off.")])


class _BoundedMerging(OverlappingFieldsCanBeMergedRule):
    """The rule that fields of one name are one field, with a budget that takes milliseconds."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = COMPARISONS_MAX


RULES = tuple(
    _BoundedMerging if rule is OverlappingFieldsCanBeMergedRule else rule
    for rule in specified_rules
)


def _parsed(text: str, limits: Limits) -> DocumentNode:
    try:
        return parse(text, max_lexical_tokens=limits.tokens, max_comments=limits.tokens)
    except GraphQLSyntaxError as error:
        if error.message.endswith(_ABORTED):  # of the three limits of the parser, one was met
            raise Refused("TOO_COMPLEX", [error]) from None
        if _HALF_PAIR.search(error.message):
            raise _bad_text(error.message, None) from None
        raise Refused("GRAPHQL_PARSE_FAILED", [error]) from None
    except RecursionError:
        raise Refused("TOO_COMPLEX", [GraphQLError("The document is nested too deep.")]) from None


def _check_literals(text: str, document: DocumentNode) -> None:
    """The lexer takes NUL, written out or escaped, in a string; PostgreSQL takes it nowhere."""
    if "\0" not in text and "\\u" not in text:
        return
    found: list[StringValueNode] = []

    class Strings(Visitor):
        def enter_string_value(self, node: StringValueNode, *_: object) -> None:
            if not strict_json.storable(node.value):
                found.append(node)

    visit(document, Strings())
    if found:
        raise _bad_text("Text holds no NUL and no lone surrogate.", found)


def _bad_text(message: str, nodes: list[StringValueNode] | None) -> Refused:
    return Refused("BAD_USER_INPUT", [GraphQLError(message, nodes)])
