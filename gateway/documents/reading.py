"""A document from its text: parsed, guarded and validated."""

import re
from dataclasses import dataclass, field
from time import thread_time
from typing import Any

from graphql import (
    ASTValidationRule,
    DocumentNode,
    GraphQLError,
    GraphQLSchema,
    GraphQLSyntaxError,
    OverlappingFieldsCanBeMergedRule,
    StringValueNode,
    ValidationContext,
    ValidationRule,
    Visitor,
    parse,
    specified_rules,
    validate,
    visit,
)
from graphql.validation.validate import ValidationAbortedError

from gateway.cost.formula import Cost
from gateway.documents.masking import unnamed
from gateway.documents.names import digest
from gateway.operations import guard, strict_json
from gateway.operations.executor import Readers
from gateway.operations.guard import Limits, Measured, Refused
from schema.versioned import is_versioned

ERRORS_MAX = 5
VALIDATION_S_MAX = 0.5  # of the processor; 2,000 tokens take up to 0.06
COMPARISONS_MAX = 20_000
"""Of graphql-core's default 500,000, which take seconds; 1,000 fields, each twice, need 4,000."""

_ABORTED = "Parsing aborted."
_HALF_PAIR = re.compile(r"Invalid Unicode escape sequence: '\\u(\{0*)?d[89a-f]", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class Document:
    """A document that may run, and what was learnt of it on the way, by its operations too.

    `cost` prices its operations; `cost_max` is the most that one may cost, where it was published
    with a limit of its own. `sha256` is of its text, in lower case. `is_versioned`: its answers
    change with the viewer's data version only.
    """

    node: DocumentNode
    measured: Measured
    cost: Cost
    sha256: str = ""
    is_published: bool = False
    cost_max: int | None = None
    is_versioned: bool = False
    readers: Readers = field(default_factory=dict)


class _BoundedMerging(OverlappingFieldsCanBeMergedRule):
    """The rule that fields of one name are one field, with a budget that takes milliseconds."""

    def __init__(self, context: Any) -> None:
        super().__init__(context)
        self.rule_context.remaining_complexity_budget = COMPARISONS_MAX


class _Deadline(ValidationRule):
    """What no limit has foreseen ends all the same. The thread's own time counts: a busy machine
    makes no document too complex."""

    def __init__(self, context: ValidationContext) -> None:
        super().__init__(context)
        self._until = thread_time() + VALIDATION_S_MAX

    def enter_field(self, *_: object) -> None:
        if thread_time() > self._until:
            message = "The document takes too long to validate."
            raise Refused("TOO_COMPLEX", [GraphQLError(message)])


RULES: tuple[type[ASTValidationRule], ...] = (
    _Deadline,
    *(
        _BoundedMerging if rule is OverlappingFieldsCanBeMergedRule else rule
        for rule in specified_rules
    ),
)


def read(
    schema: GraphQLSchema,
    text: str,
    limits: Limits,
    *,
    alone: frozenset[str],
    hide_suggestions: bool,
    errors_max: int = ERRORS_MAX,
) -> Document:
    """Raises: Refused."""
    node = _parsed(text, limits)
    measured = guard.check(node, limits, alone)
    _check_literals(text, node)
    errors = validate(
        schema,
        node,
        RULES,
        max_errors=errors_max,
        hide_suggestions=hide_suggestions,
    )
    if errors:
        # Alone, the abort says that comparing the fields would have taken too long.
        aborted = isinstance(errors[0], ValidationAbortedError)
        if hide_suggestions:
            errors = [unnamed(error, text) for error in errors]
        raise Refused("TOO_COMPLEX" if aborted else "GRAPHQL_VALIDATION_FAILED", errors)
    cost = Cost(schema, node)
    return Document(node, measured, cost, digest(text), is_versioned=is_versioned(schema, node))


def _parsed(text: str, limits: Limits) -> DocumentNode:
    guard.within("characters", len(text), limits.characters)
    try:
        return parse(
            text,
            max_lexical_tokens=limits.tokens,
            max_comments=limits.tokens,
            allow_empty_selection_sets=False,  # graphql-core's default is no GraphQL
        )
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
