"""What operations cost, by their variables and by what the viewer has."""

from collections.abc import Iterator
from typing import Any

import pytest
from graphql import (
    GraphQLInterfaceType,
    GraphQLObjectType,
    get_named_type,
    get_nullable_type,
    is_leaf_type,
    is_list_type,
)

from gateway.cost.formula import Cost
from gateway.cost.steps import lists_without_a_size, steps_of
from gateway.cost.sums import CountsNeeded
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.operations.guard import Limits
from schema.schema import schema
from schema.sizes import SIZES

HAS = {"links": 3, "accounts": 10, "accounts_of_link": 4, "sessions": 100}
DOCUMENTS = Documents(schema, limits=Limits())


def cost(text: str) -> Cost:
    found = DOCUMENTS.outcome(text)
    assert isinstance(found, Document)
    return found.cost


def price(text: str, **variables: Any) -> int:
    return cost(text).price(None, variables, HAS)


# ── the table of lists ──────────────────────────────────────────────────────


def lists() -> Iterator[tuple[str, str, Any]]:
    for of in schema.type_map.values():
        if isinstance(of, GraphQLObjectType | GraphQLInterfaceType):
            for name, field in of.fields.items():
                is_list = is_list_type(get_nullable_type(field.type))
                if is_list or "first" in field.args:
                    yield of.name, name, field


def test_every_list_of_what_can_lead_to_an_id_says_how_long_it_gets() -> None:
    assert [*lists_without_a_size(schema)] == []

    leading = steps_of(schema).fields
    free = [
        f"{of}.{name}"
        for of, name, field in lists()
        if not of.startswith("__")
        and not is_leaf_type(get_named_type(field.type))
        and name not in leading[of]
    ]
    assert [name for name in free if "id" in item_fields(name)] == []
    assert {"NetWorth.byGroup", "Query.balanceHistory", "Query.providers"} <= set(free)


def item_fields(coordinate: str) -> dict[str, Any]:
    type_name, name = coordinate.split(".")
    of: Any = schema.type_map[type_name]
    item: Any = get_named_type(of.fields[name].type)
    found: dict[str, Any] = item.fields
    return found


def test_no_line_of_the_table_is_about_what_is_not_there() -> None:
    there = {f"{of}.{name}" for of, name, _ in lists()}

    assert set(SIZES) <= there


def test_a_page_belongs_to_a_first() -> None:
    """Else nothing would say how long it gets."""
    steps = steps_of(schema).fields
    paged = {of for of, each in steps.items() for s in each.values() if s.size and s.size.is_page}

    assert len(paged) >= 6
    for of, each in steps.items():
        for step in each.values():
            assert step.of not in paged or step.first is not None, f"{of}.{step.name}"


# ── what things cost ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "comes_to"),
    [
        ("{ viewer { id } }", 1),
        ("{ viewer { email baseCurrency } }", 1),
        ("{ __typename netWorth { total { amount } byProvider { provider { slug } } } }", 0),
        ("{ providers { slug } importFormats { name provider { slug } } }", 0),
        ("{ balanceHistory { at } netWorthHistory { at byGroup { group } } }", 0),
        ("{ accounts { id balanceHistory { at } latestBalance { at } } }", 10),
        ("{ links { id } }", 3),
        ("{ links { accounts { id } } }", 3 + 3 * 4),
        ("{ viewer { sessions { id } } }", 1 + 100),
        ("{ transactions { nodes { id } } }", 50),
        ("{ transactions(first: 7) { nodes { id } } }", 7),
        ("{ transactions(first: 7) { edges { node { id } } } }", 7),
        ("{ transactions(first: 7) { nodes { id } edges { node { id } } } }", 14),
        ("{ transactions(first: 7) { pageInfo { endCursor } totalCount } }", 7),
        ("{ transactions(first: 7) { nodes { id security { id } account { id } } } }", 21),
        ("{ accounts { holdings(first: 5) { nodes { security { id } } } } }", 10 + 100),
        ("{ syncRuns(first: 2) { nodes { quarantine(first: 3) { id } } } }", 2 + 2 * 3),
        ('{ node(id: "x") { id } }', 1),
        ('{ nodes(ids: ["x", "y"]) { id } }', 2),
        ('{ nodes(ids: "x") { id } }', 1),
        ("{ nodes(ids: []) { id } }", 0),
        ('{ accounts(filter: {ids: ["a", "b"]}) { link { id } } }', 4),
        ("{ accounts(filter: {ids: null}) { id } }", 10),
        ("{ accounts(filter: {includeInactive: true}) { id } }", 10),
    ],
)
def test_objects_with_an_id_cost_one_and_values_nothing(text: str, comes_to: int) -> None:
    assert price(text) == comes_to


def test_an_abstract_type_costs_what_its_dearest_does() -> None:
    some = "... on Account { link { id } } ... on Link { accounts { id } }"

    assert price(f"query($ids: [ID!]!) {{ nodes(ids: $ids) {{ {some} }} }}", ids=["a", "b"]) == 10
    assert (
        price(f'{{ node(id: "x") {{ ...S ... on Node {{ id {some} }} }} }} {ON_LINK}') == 1 + 4 + 1
    )


ON_LINK = "fragment S on Link { lastRun { id } }"


def test_what_is_selected_twice_is_answered_and_priced_once() -> None:
    both = "{ accounts { ...A ...B } ...C } fragment C on Query { accounts { ...A } } "
    a = "fragment A on Account { holdings(first: 5) { nodes { id } } } "
    b = "fragment B on Account { holdings(first: 5) { nodes { security { id } } } }"

    assert price(both + a + b) == 10 + 10 * 5 * 2
    assert price("{ viewer { id } viewer { email } me: viewer { id } }") == 2


@pytest.mark.parametrize(
    ("said", "comes_to"),
    [
        ({}, 3),
        ({"n": 9}, 9),
        ({"n": 9.0}, 9),
        ({"n": None}, 50),  # where it may be null, the field's own default counts
        ({"n": 500}, 500),
        ({"n": 501}, 500),  # which its resolver refuses, as it does what is less than 1
        ({"n": 10**30}, 500),
        ({"n": -5}, 1),
        ({"n": "9"}, 1),  # none that runs
        ({"n": [9]}, 1),
        ({"n": True}, 1),
    ],
)
def test_a_first_is_what_its_variable_says(said: dict[str, Any], comes_to: int) -> None:
    text = "query($n: Int = 3) { transactions(first: $n) { nodes { id } } }"

    assert price(text, **said) == comes_to


def test_ids_are_counted_in_variables_too() -> None:
    text = "query($f: AccountFilter) { accounts(filter: $f) { id } }"
    within = "query($ids: [ID!]) { accounts(filter: {ids: $ids}) { id } }"
    default = 'query($f: AccountFilter = {ids: ["a"]}) { accounts(filter: $f) { id } }'

    assert price(text) == price(text, f=None) == price(text, f={}) == price(within) == 10
    assert price(text, f={"ids": ["a"] * 4}) == price(within, ids=["a"] * 4) == 4
    assert price(text, f={"ids": ["a"] * 40}) == price(within, ids=["a"] * 40) == 10
    assert price(text, f={"ids": "a"}) == price(default) == 1
    assert price(text, f="nonsense") == 10


def test_what_is_left_out_costs_nothing() -> None:
    text = (
        "query($more: Boolean!, $less: Boolean = false) { viewer { id } accounts @include(if: "
        "$more) { id ... @skip(if: $less) { link { id } ...F } } links @skip(if: true) { id } } "
        "fragment F on Account { link @include(if: $more) { lastRun { id } } }"
    )

    assert price(text, more=False) == 1
    assert price(text, more=True) == 1 + 10 + 10 + 10
    assert price(text, more=True, less=True) == 1 + 10
    assert price(text) == 31  # it will not run, and is not taken to be left out


def test_a_fragment_that_is_left_out_here_is_not_left_out_there() -> None:
    text = "query($a: Boolean!) {{ {} }} fragment F on Query {{ viewer {{ id }} }}"
    first = text.format("... @include(if: $a) { ...F } ...F")

    assert price(first, a=False) == price(first, a=True) == 1
    assert price(text.format("...F ... on Query @skip(if: $a) { ...F }"), a=True) == 1
    assert price(text.format("...F @skip(if: $a)"), a=True) == 0


def test_an_operation_is_priced_by_its_name() -> None:
    named = [f"query Q{n} {{ transactions(first: {n}) {{ nodes {{ id }} }} }}" for n in range(1, 9)]
    many = cost(" ".join(named))

    assert [many.price(f"Q{n}", None, {}) for n in (1, 8, 5)] == [1, 8, 5]


def test_payloads_of_mutations_are_priced_as_answers_are() -> None:
    text = (
        "mutation { sync(input: {}) { runs { id link { accounts { id } } } errors { code } } "
        'updateLink(input: {linkId: "x"}) { link { id } } }'
    )

    assert price(text) == 3 + 3 + 3 * 4 + 1


def test_who_has_how_many_is_asked_only_where_it_matters() -> None:
    assert cost("{ transactions { nodes { id } } }").price(None, {}, {}) == 50
    text = "query($a: Boolean!) { viewer { id } accounts @include(if: $a) { id } }"
    assert cost(text).price(None, {"a": False}, {}) == 1
    with pytest.raises(CountsNeeded):
        cost(text).price(None, {"a": True}, {})


@pytest.mark.parametrize(
    ("text", "path", "how"),
    [
        (
            "{ viewer { id } accounts { id holdings(first: 400) { nodes { id } } } }",
            "accounts.holdings.nodes",
            "ask holdings for a smaller `first`, which is 400 now, or for less of each",
        ),
        (
            "{ accounts { link { id } } }",
            "accounts.link",
            "ask accounts for fewer by `filter.ids`, which is 10 now, or for less of each",
        ),
        (
            "{ links { accounts { id } } }",
            "links.accounts",
            "accounts has up to 4; leave out some of what is asked of each",
        ),
    ],
)
def test_the_dearest_path_is_named_and_what_makes_it_cheaper(
    text: str, path: str, how: str
) -> None:
    assert cost(text).dearest(None, {}, HAS) == f"The dearest is {path}: {how}."
