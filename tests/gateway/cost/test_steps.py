"""Guard and cost take no more steps than the document is long, whatever its shape.

A step is a call of a function of ours, which is counted: the same on every machine.
"""

import sys
from collections.abc import Callable
from types import FrameType
from typing import Any

import pytest
from graphql import DocumentNode, Lexer, Source, TokenKind, parse

from gateway.cost.formula import Cost
from gateway.operations.guard import Limits, Refused, check
from schema.schema import schema

HAS = {"links": 3, "accounts": 10, "accounts_of_link": 4, "sessions": 100}
OURS = ("/gateway/cost/", "/gateway/operations/guard.py")
STEPS_A_TOKEN = 8
KINDS = ("Account", "Link", "Holding", "Transaction", "SyncRun", "Session", "Viewer", "Security")
BELOW = ("Account", "link"), ("Link", "accounts"), ("Holding", "account"), ("SyncRun", "link")


def chain(of: str, links: int, last: str, *, times: int = 1) -> str:
    """Fragments of which each spreads the next."""
    each = (f"fragment F{n} on {of} {{ {f'...F{n + 1} ' * times}}} " for n in range(links))
    return "".join(each) + f"fragment F{links} on {of} {{ {last} }}"


def some(count: int, text: str) -> str:
    return " ".join(text.replace("%", str(n)) for n in range(count))


def variables(count: int, of: str) -> str:
    return f"query({some(count, f'$v%: {of}')})"


HOSTILE = {
    "a bomb": "{ ...F0 } " + chain("Query", 20, "viewer { id }", times=2),
    "a chain of 59 that doubles": "{ ...F0 } " + chain("Query", 59, "viewer { id }", times=2),
    "a chain spread often": "{ viewer { " + "...F0 " * 760 + "} } " + chain("Viewer", 58, "id"),
    "a chain in many places": "{ accounts { "
    + some(19, "link { ...F0 }")
    + " } links { ...F0 accounts { link { ...F0 } } } } "
    + chain("Link", 50, "accounts { id }"),
    "wide": "{ viewer { " + some(990, "f%") + " } }",
    "wide lists": "{ accounts { " + some(30, "a%: link { id }") + some(20, " link { id }") + " } }",
    "deep": "{ accounts {" + " link { accounts {" * 6 + " id " + "} }" * 6 + " } }",
    "inline fragments in one another": "{ " + "... on Query { " * 95 + "viewer { id }" + " }" * 96,
    "the same, and wide": "{ accounts { "
    + "... on Account { " * 90
    + some(30, "a%: link { id }")
    + " }" * 92,
    "aliases of nodes": "{ "
    + some(20, "n%: node(id: 1) { " + " ".join(f"... on {kind} {{ id }}" for kind in KINDS) + " }")
    + " }",
    "nodes of nodes": "{ "
    + some(
        20,
        "n%: node(id: 1) { " + " ".join(f"... on {k} {{ {f} {{ id }} }}" for k, f in BELOW) + " }",
    )
    + " }",
    "fragments to merge": "{ accounts { "
    + some(58, "...S%")
    + " } } "
    + some(58, "fragment S% on Account { link { lastRun { link { accounts { link { id } } } } } }"),
    "variables": variables(200, "Int = 5")
    + " { "
    + some(20, "t%: transactions(first: $v%) { nodes { id } }")
    + " }",
    "directives": variables(50, "Boolean!")
    + " { accounts { "
    + some(50, "...F @include(if: $v%)")
    + " } } fragment F on Account { link { id lastRun { id } } holdings { nodes { id } } }",
    "directives in one another": variables(48, "Boolean!")
    + " { accounts { "
    + some(48, "... @include(if: $v%) { ...F ")
    + "} " * 48
    + "} } fragment F on Account { link { lastRun { id } } }",
    "operations": some(90, "query A% { ...F viewer { id } }")
    + " fragment F on Query { viewer { "
    + "sessions { id } " * 15
    + "} accounts { "
    + "link { ...X } " * 19
    + "} } fragment X on Link { accounts { id } }",
    "operations of what is spread often": some(143, "query A% { ...F }")
    + " fragment F on Query { "
    + "...G " * 450
    + "} fragment G on Query { ...G }",
}


def tokens(text: str) -> int:
    lexer, count = Lexer(Source(text)), 0
    while lexer.advance().kind is not TokenKind.EOF:
        count += 1
    return count


def steps(work: Callable[[], Any]) -> int:
    count = 0

    def note(frame: FrameType, event: str, _: Any) -> None:
        nonlocal count
        count += event == "call" and any(of in frame.f_code.co_filename for of in OURS)

    sys.setprofile(note)
    try:
        work()
    finally:
        sys.setprofile(None)
    return count


def guarded_and_priced(document: DocumentNode, *, is_valid: bool) -> None:
    try:
        check(document, Limits(), frozenset({"signIn"}))
    except Refused:
        return
    if is_valid:
        cost = Cost(schema, document)
        name = document.definitions[0].name  # type: ignore[attr-defined]
        cost.price(name.value if name else None, {}, HAS)


@pytest.mark.parametrize("shape", HOSTILE)
def test_a_hostile_document_takes_no_more_steps_than_it_is_long(shape: str) -> None:
    text = HOSTILE[shape]
    length, document = tokens(text), parse(text)
    assert length <= 2_000

    is_valid = "...G } " not in text + " "  # what spreads itself is never priced
    taken = steps(lambda: guarded_and_priced(document, is_valid=is_valid))

    assert 0 < taken <= STEPS_A_TOKEN * length + 500
