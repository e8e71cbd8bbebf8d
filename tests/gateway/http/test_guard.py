"""The guard measures what will run, and takes no longer than the document is long."""

import time

import pytest
from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    FragmentSpreadNode,
    InlineFragmentNode,
    OperationDefinitionNode,
    SelectionSetNode,
    get_introspection_query,
    parse,
)
from hypothesis import given, settings
from hypothesis import strategies as st

from gateway.operations.guard import Limits, Refused, check

LIMITS = Limits()
ALONE = frozenset({"signIn", "signOut"})


def doubling(levels: int) -> str:
    """Each fragment spreads the next one twice: 2 ** `levels` fields."""
    chain = "".join(f"fragment F{n} on Q{{...F{n + 1} ...F{n + 1}}} " for n in range(levels))
    return f"{{...F0}} {chain} fragment F{levels} on Q{{a}}"


def refusal(text: str, limits: Limits = LIMITS) -> str:
    """What the document exceeds, or ""."""
    refused = refused_by(parse(text), limits)
    if refused is None:
        return ""
    assert refused.code == "TOO_COMPLEX"
    return refused.errors[0].message.removeprefix("The document's ").partition(" exceed")[0]


def refused_by(document: DocumentNode, limits: Limits = LIMITS) -> Refused | None:
    try:
        check(document, limits, ALONE)
    except Refused as refused:
        return refused
    return None


def nested(depth: int) -> str:
    return "{a" * depth + "}" * depth


def wide(count: int, name: str = "f") -> str:
    return " ".join(f"{name}{n}" for n in range(count))


@pytest.mark.parametrize(
    ("within", "beyond", "what"),
    [
        (nested(15), nested(16), "depth"),
        ("{a{" + wide(999) + "}}", "{a{" + wide(1_000) + "}}", "fields"),
        (f"{{a{{{' '.join(f'x{n}:a' for n in range(30))}}}}}",
         f"{{a{{{' '.join(f'x{n}:a' for n in range(31))}}}}}", "aliases"),
        (f"{{{wide(20)}}}", f"{{{wide(21)}}}", "root fields"),
        ("{a " + "@d " * 50 + "}", "{a " + "@d " * 51 + "}", "directives"),
        ("{a{" + "b " * 20 + "}}", "{a{" + "b " * 21 + "}}", "duplicates"),
        (f"{{{'...{' * 50}a{'}' * 50}}}", f"{{{'...{' * 101}a{'}' * 101}}}", "nesting"),
        ("{__type{" + "t{" * 14 + "t" + "}" * 14 + "}}",
         "{__type{" + "t{" * 15 + "t" + "}" * 15 + "}}", "introspection depth"),
    ],
)  # fmt: skip
def test_each_limit_holds_exactly(within: str, beyond: str, what: str) -> None:
    assert refusal(within) == ""
    assert refusal(beyond) == what


def test_fragments_are_limited_in_number() -> None:
    def with_fragments(count: int) -> str:
        spreads = " ".join(f"...F{n}" for n in range(min(count, 20)))
        return f"{{{spreads}}}" + "".join(f"fragment F{n} on Q{{a}} " for n in range(count))

    assert refusal(with_fragments(60)) == ""
    assert refusal(with_fragments(61)) == "fragments"


def test_limits_reach_through_fragments() -> None:
    assert refusal("{...A} fragment A on Q " + nested(16)) == "depth"
    assert refusal("{a{" + "...A " * 11 + "}} fragment A on Q{" + wide(100) + "}") == "fields"
    assert refusal("{" + "...A " * 3 + "} fragment A on Q{" + wide(7) + "}") == "root fields"
    assert refusal("{" + "...on Q{a} " * 21 + "}") == "duplicates"
    assert (
        refusal("{a} fragment Unused on Q{" + " ".join(f"x{n}:a" for n in range(31)) + "}")
        == "aliases"
    )


def test_directives_count_wherever_they_are() -> None:
    everywhere = "query($v:Int @d) @d {a @d ...A @d ...on Q @d{b}} fragment A on Q @d{a}"
    assert refusal(everywhere, Limits(directives=6)) == ""
    assert refusal(everywhere, Limits(directives=5)) == "directives"


def test_the_introspection_query_of_clients_is_within_every_limit() -> None:
    every_option = get_introspection_query(
        specified_by_url=True, directive_is_repeatable=True, schema_description=True,
        input_value_deprecation=True,
    )  # fmt: skip
    measured = check(parse(every_option), LIMITS)
    assert measured.introspects


def test_each_operation_has_its_root_fields_by_name() -> None:
    document = parse("query A{a ...F ...on Q{c}} mutation B{d} fragment F on Q{b ...F}")
    measured = check(document, LIMITS)
    assert measured.root_fields == {"A": {"a", "b", "c"}, "B": {"d"}}
    assert not measured.introspects


@pytest.mark.parametrize("text", [doubling(55), doubling(20)])
def test_doubling_fragments_are_refused_at_once(text: str) -> None:
    document = parse(text)
    started = time.process_time()
    with pytest.raises(Refused) as refused:
        check(document, LIMITS)
    assert time.process_time() - started < 0.05
    assert refused.value.code == "TOO_COMPLEX"


@pytest.mark.parametrize(
    "text",
    [
        "{...A} fragment A on Q{...A}",
        "{...A} fragment A on Q{a{...B}} fragment B on Q{b{...A}}",
        "{...A ...Missing} fragment A on Q{...B ...C} fragment B on Q{...C} fragment C on Q{...A}",
    ],
)
def test_cycles_and_unknown_fragments_are_left_to_validation(text: str) -> None:
    assert not check(parse(text), LIMITS).introspects


@pytest.mark.parametrize(
    "text",
    [
        "mutation{signIn}",
        "mutation{__typename signIn x:__typename}",
        "mutation{...F} fragment F on M{signIn __typename}",
        "mutation{...on M{signOut}}",
        "mutation{write again:write}",
        "mutation A{signIn} mutation B{write}",
        "{viewer{signIn other}}",
    ],
)
def test_a_mutation_that_stands_alone_passes(text: str) -> None:
    assert check(parse(text), LIMITS, ALONE).root_fields


@pytest.mark.parametrize(
    "text",
    [
        "mutation{signIn signOut}",
        "mutation{signIn write}",
        "mutation{signIn signIn}",
        "mutation{a:signIn}",
        "mutation{write ...F} fragment F on M{signIn}",
        "mutation{...F ...F} fragment F on M{signIn}",
        "mutation{...on M{signIn} ...on M{write}}",
        "mutation{...F} fragment F on M{...on M{x:signIn}}",
        "mutation{signIn @skip(if:true) write}",
        "mutation A{write} mutation B{signIn write}",
    ],
)
def test_a_mutation_that_stands_alone_takes_no_company_and_no_alias(text: str) -> None:
    with pytest.raises(Refused) as refused:
        check(parse(text), LIMITS, ALONE)
    assert refused.value.code == "GRAPHQL_VALIDATION_FAILED"


NAMES = st.sampled_from(["a", "b", "__typename", "__schema", "signIn", "x:a"])
SPREADS = st.sampled_from([f"...F{n}" for n in range(6)])
SELECTIONS = st.recursive(
    NAMES | SPREADS,
    lambda inner: st.builds(
        lambda head, items: head + "{" + " ".join(items) + "}",
        st.sampled_from(["a", "b", "...", "__type", "y:b", "a @d"]),
        st.lists(inner, min_size=1, max_size=4),
    ),
    max_leaves=12,
)
SETS = st.lists(SELECTIONS, min_size=1, max_size=4).map(lambda items: "{" + " ".join(items) + "}")


@st.composite
def documents(draw: st.DrawFn) -> DocumentNode:
    """Any shape, cycles and unknown fragments too."""
    operation = draw(st.sampled_from(["query", "mutation", "query Q"]))
    fragments = [f"fragment F{n} on Q{draw(SETS)}" for n in range(draw(st.integers(0, 5)))]
    return parse(" ".join([operation + draw(SETS), *fragments]))


@given(documents())
@settings(deadline=None, max_examples=300)
def test_any_document_is_measured_or_refused(document: DocumentNode) -> None:
    refused = refused_by(document)
    if refused is not None:
        assert refused.code in ("TOO_COMPLEX", "GRAPHQL_VALIDATION_FAILED")
        assert refused.errors


@st.composite
def trees(draw: st.DrawFn) -> DocumentNode:
    """Fragments that spread only later ones: what validation would let through."""
    count = draw(st.integers(0, 4))
    sets = [draw(SETS) for _ in range(count + 1)]
    for at in range(count + 1):
        for name in range(6):
            if name < at or name >= count:
                sets[at] = sets[at].replace(f"...F{name}", "z")
    fragments = [f"fragment F{n} on Q{text}" for n, text in enumerate(sets[1:])]
    return parse(" ".join([f"query{sets[0]}", *fragments]))


@given(trees())
@settings(deadline=None, max_examples=300)
def test_the_counts_are_those_of_the_document_written_out(document: DocumentNode) -> None:
    fields, depth, roots = written_out(document)
    exact = Limits(fields=fields, depth=depth, root_fields=roots, introspection_depth=1_000)
    check(document, exact)
    for less in (
        Limits(fields=fields - 1, depth=depth, root_fields=roots, introspection_depth=1_000),
        Limits(fields=fields, depth=depth, root_fields=roots - 1, introspection_depth=1_000),
    ):
        with pytest.raises(Refused):
            check(document, less)


def written_out(document: DocumentNode) -> tuple[int, int, int]:
    """Fields, depth outside of introspection and root fields, by walking every spread."""
    fragments = {
        d.name.value: d for d in document.definitions if isinstance(d, FragmentDefinitionNode)
    }

    def walk(node: SelectionSetNode, depth: int) -> tuple[int, int, int]:
        fields = deepest = roots = 0
        for s in node.selections:
            if isinstance(s, FieldNode):
                hidden = s.name.value in ("__schema", "__type")
                below = walk(s.selection_set, depth + 1) if s.selection_set else (0, 0, 0)
                deepest = max(deepest, depth if hidden else max(depth, below[1]))
                fields, roots = fields + 1 + below[0], roots + 1
                continue
            inner = (
                s.selection_set
                if isinstance(s, InlineFragmentNode)
                else fragments[s.name.value].selection_set
                if isinstance(s, FragmentSpreadNode)
                else None
            )
            assert inner is not None
            below = walk(inner, depth)
            fields, roots = fields + below[0], roots + below[2]
            deepest = max(deepest, below[1])
        return fields, deepest, roots

    operation = document.definitions[0]
    assert isinstance(operation, OperationDefinitionNode)
    return walk(operation.selection_set, 1)


def test_the_time_grows_with_the_length_and_stays_under_5_ms() -> None:
    """2,000 tokens of the shapes that are slow elsewhere; the best of several tries."""
    fragments = "".join(f"fragment F{n} on Q{{...F{n + 1} ...F{n + 1} a b c}} " for n in range(59))
    shapes = [
        "{a{" + wide(990) + "}}",
        "{a{" + " ".join(f"f{n}{{id}}" for n in range(480)) + "}}",
        "{...F0} " + fragments + "fragment F59 on Q{a}",
        "{" + "...{" * 90 + "a" + "}" * 90 + "}",
    ]
    for text in shapes:
        document, best = parse(text), 1.0
        for _ in range(7):
            started = time.process_time()
            refused_by(document)
            best = min(best, time.process_time() - started)
        assert best < 0.005, text[:40]
