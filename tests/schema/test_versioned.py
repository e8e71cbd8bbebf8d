"""Every field is versioned or is not, on purpose; a document is where all of its fields are."""

import pytest
from graphql import (
    GraphQLNamedType,
    build_schema,
    get_named_type,
    is_abstract_type,
    is_object_type,
    parse,
)

from schema.schema import schema
from schema.versioned import EVERY, UNVERSIONED, VERSIONED, is_versioned


def read_by_queries() -> dict[str, set[str]]:
    """The fields of each type that a query reaches."""
    found: dict[str, set[str]] = {}
    waiting: list[GraphQLNamedType] = [schema.type_map["Query"]]
    while waiting:
        of = waiting.pop()
        if is_abstract_type(of):
            waiting.extend(schema.get_possible_types(of))
        elif is_object_type(of) and of.name not in found:
            found[of.name] = set(of.fields)
            waiting.extend(get_named_type(field.type) for field in of.fields.values())
    return found


def test_every_field_says_whether_it_is_versioned() -> None:
    unsaid = {
        f"{name}.{field}"
        for name, fields in read_by_queries().items()
        for field in fields
        if UNVERSIONED.get(name) != EVERY
        and field not in f"{VERSIONED.get(name, '')} {UNVERSIONED.get(name, '')}".split()
    }

    assert unsaid == set(), "put them into schema/versioned.py"


def test_no_field_is_named_twice_or_is_not_there() -> None:
    known = read_by_queries()
    for name in VERSIONED.keys() | UNVERSIONED.keys():
        versioned, others = VERSIONED.get(name, "").split(), UNVERSIONED.get(name, "").split()
        named = [field for field in versioned + others if field != EVERY]
        assert sorted(named) == sorted(set(named) & known[name]), name
        assert EVERY not in others or not versioned, name


VERSIONED_DOCUMENTS = [
    "{accounts{id name balance{amount currency} provider{name} link{status error{code message}}}}",
    "query A($n:Int!){holdings(first:$n){nodes{...H}}} fragment H on Holding{security{symbol}}",
    "{holdings{totalCount nodes{__typename security{option{strike{amount}}}} pageInfo{endCursor}}}",
    "{links{alias accounts{name} error{__typename ... on RateLimited{retryAfterSeconds}}}}",
    '{transactions(filter:{from:"2026-01-01"}){edges{cursor node{date account{name}}}}}',
    "{...Q}fragment Q on Query{account(id:1){... on Node{__typename} ... @include(if:true){id}}}",
    "{__typename}",
    "{providers{name credentialFields{name}} importFormats{maxBytes}}",
]  # fmt: skip
OTHERS = [
    "{accounts{id} netWorth{total{amount}}}",
    "{accounts{latestBalance{at}}}",
    "{accounts{reconciliation{balanced}}}",
    "{links{id lastSyncedAt}}",
    "{links{id ... @skip(if:true){lastRun{id}}}}",
    "{accounts{...L}}fragment L on Account{link{...on Link{consecutiveFailures}}}",
    "{node(id:1){id}}",
    "{node(id:1){...on Account{name}}}",
    "{accounts{...on Node{id}}}",
    "{viewer{email}}",
    "{__schema{types{name}}}",
    "query A{accounts{id}} query B{viewer{id}}",
    "query A{accounts{id}} mutation B{signOut{signedOut}}",
    "subscription{syncProgress(runId:1){status}}",
]


@pytest.mark.parametrize("text", VERSIONED_DOCUMENTS)
def test_what_reads_versioned_fields_only_is_versioned(text: str) -> None:
    assert is_versioned(schema, parse(text))


@pytest.mark.parametrize("text", OTHERS)
def test_one_other_field_anywhere_is_enough(text: str) -> None:
    assert not is_versioned(schema, parse(text))


def test_another_schema_has_no_versioned_fields() -> None:
    other = build_schema("type Query { accounts: Int, hello: String }")
    assert not is_versioned(other, parse("{hello}"))
    assert is_versioned(other, parse("{__typename}"))
