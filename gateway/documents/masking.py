"""What is wrong with a document, in words that name nothing of the schema that it does not name."""

import re

from graphql import GraphQLError

# Of the language itself, and of every schema.
EVERYBODYS = frozenset(
    {
        *("Int", "Float", "String", "Boolean", "ID", "Query", "Mutation", "Subscription"),
        *("include", "skip", "if", "deprecated", "specifiedBy", "oneOf", "defer", "stream"),
    }
)
HIDDEN = "'…'"
MESSAGE_MAX, NAME_MAX = 1_000, 100  # characters: what is longer is no name of ours
_SUGGESTED = re.compile(r"\s*Did you mean .*", re.DOTALL)
_GIVEN = re.compile(r"[.,;]? [Ff]ound: .*|(?<= value)(?<! invalid value): .*", re.DOTALL)
_QUOTED = re.compile(r"'([^']*)'")
_NAME = re.compile(r"[_A-Za-z]\w*", re.ASCII)


def unnamed(error: GraphQLError, text: str) -> GraphQLError:
    """The error in other words: what graphql-core quotes is hidden, unless `text` has it too.

    Without suggestions it still names types, and arguments and fields that are required.
    """
    said = _SUGGESTED.sub("", error.message[:MESSAGE_MAX])
    given = _GIVEN.search(said)
    head, tail = (said[: given.start()], said[given.start() :]) if given else (said, "")
    if head.count("'") % 2:  # a quote of the client's own: nobody can say what is quoted
        head, tail = "The document or its variables do not fit the schema.", ""
    head = _QUOTED.sub(lambda quoted: quoted[0] if _has(text, quoted[1]) else HIDDEN, head)
    return GraphQLError(head + tail, error.nodes, extensions=error.extensions)


def _has(text: str, quoted: str) -> bool:
    names = set(_NAME.findall(quoted)) - EVERYBODYS
    return all(len(name) <= NAME_MAX and _is_word(name, text) for name in names)


def _is_word(name: str, text: str) -> bool:
    return name in text and bool(re.search(rf"(?<!\w){name}(?!\w)", text, re.ASCII))
