"""A document is parsed, guarded and validated once, and what is kept of strangers is bounded."""

import asyncio
import time
from contextlib import suppress
from typing import Any

import pytest
from graphql import GraphQLSchema, build_schema, print_ast

from gateway.documents.recent import Recent
from gateway.documents.store import Documents
from gateway.operations.guard import Limits, Refused

SCHEMA = build_schema(
    """
    type Query { me: User, search(text: String, a: [Int]): [User] }
    type Mutation { signOut: Boolean }
    type User { id: ID, name: String, me: User }
    """
)


def documents(schema: GraphQLSchema = SCHEMA, **options: Any) -> Documents:
    return Documents(schema, limits=Limits(), alone=frozenset({"signOut"}), **options)


async def code_of(store: Documents, text: str) -> str:
    with pytest.raises(Refused) as refused:
        await store.load(text)
    return refused.value.code


async def test_the_same_text_is_the_same_document() -> None:
    store = documents()
    first = await store.load("{me{id}}")
    assert await store.load("{me{id}}") is first
    assert await store.load("{me{id} }") is not first


async def test_a_refusal_is_remembered_and_told_again() -> None:
    store = documents()
    for text, code in (
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("{}", "GRAPHQL_PARSE_FAILED"),
        ("{me{}}", "GRAPHQL_PARSE_FAILED"),
        ("{me{...on User{}}}", "GRAPHQL_PARSE_FAILED"),
        ("{nobody}", "GRAPHQL_VALIDATION_FAILED"),
        ("{me{" * 16, "GRAPHQL_PARSE_FAILED"),
        ("{me{me{me{me{me{me{me{me{me{me{me{me{me{me{me{id}}}}}}}}}}}}}}}}", "TOO_COMPLEX"),
        ("{" + "me{id}" * 800 + "}", "TOO_COMPLEX"),
        ("#\n" * 2_001 + "{me{id}}", "TOO_COMPLEX"),
        ('{search(text:"\\u0000"){id}}', "BAD_USER_INPUT"),
        ('{search(text:"\0"){id}}', "BAD_USER_INPUT"),
        ('{search(text:"""\0"""){id}}', "BAD_USER_INPUT"),
        ('{search(text:"\\uD83D"){id}}', "BAD_USER_INPUT"),
        ('{search(text:"\\uZZZZ"){id}}', "GRAPHQL_PARSE_FAILED"),
        ("mutation{a:signOut}", "GRAPHQL_VALIDATION_FAILED"),
    ):
        assert await code_of(store, text) == await code_of(store, text) == code, text[:40]


async def test_introspection_is_seen_wherever_it_hides() -> None:
    store = documents()
    for text in (
        "{__schema{types{name}}}",
        '{__type(name:"User"){name}}',
        "{...F} fragment F on Query{...on Query{x:__schema{types{name}}}}",
    ):
        assert (await store.load(text)).measured.introspects
    assert not (await store.load("{__typename me{__typename}}")).measured.introspects


@pytest.mark.parametrize(
    "text", ["{mee{id}}", "{me{nam}}", "{search(txt:1){id}}", "{me{...on Usr{id}}}"]
)
async def test_suggestions_are_hidden_on_request(text: str) -> None:
    async def said(store: Documents) -> str:
        with pytest.raises(Refused) as refused:
            await store.load(text)
        return " ".join(error.message for error in refused.value.errors)

    assert "Did you mean" in await said(documents())
    assert "Did you mean" not in await said(documents(hide_suggestions=True))


async def test_garbage_does_not_push_out_what_clients_use() -> None:
    store = Documents(SCHEMA, limits=Limits(), size=16)
    first = await store.load("{me{id}}")
    for n in range(200):
        await code_of(store, f"{{nobody{n}}}")
    assert await store.load("{me{id}}") is first


def test_the_cache_is_bounded_in_entries_and_in_characters() -> None:
    recent: Recent[int] = Recent(3, 100)
    for n in range(10):
        recent.put(f"key {n}", n, 5)
    assert [recent.get(f"key {n}") for n in (6, 7, 8, 9)] == [None, 7, 8, 9]
    recent.get("key 7")
    recent.put("x", 1, 90)
    assert (recent.get("key 7"), recent.get("key 8"), recent.get("x")) == (7, None, 1)
    recent.put("y", 1, 101)
    assert len(recent) == 0
    for _ in range(3):
        recent.put("z", 1, 60)
    assert recent.get("z") == 1


async def test_a_text_of_too_many_characters_is_refused_before_it_is_read() -> None:
    most = Limits().characters
    short = await documents().load("{me{id}}" + " " * (most - len("{me{id}}")))

    assert print_ast(short.node) == "{\n  me {\n    id\n  }\n}"
    assert await code_of(documents(), "{me{id}}" + " " * most) == "TOO_COMPLEX"
    assert await code_of(documents(), "(" * (most + 1)) == "TOO_COMPLEX"


@pytest.mark.parametrize(
    "text",
    [
        "{" + "me{id}" * 450 + "}",
        "{" + "me{me{me{me{id}}}}" * 100 + "}",
        "{" + "me{me{me{id}}}" * 18 + "}",
        "{" + " ".join(f"...F{n}" for n in range(60)) + "}"
        + "".join(f"fragment F{n} on Query{{me{{me{{me{{id}}}}}}}}" for n in range(60)),
        "{" + "...F0 " * 18 + "}" + "".join(
            f"fragment F{n} on Query{{me{{id}} " + "".join(f"...F{m} " for m in range(n + 1, 40)) + "}"
            for n in range(40)
        ),
        "{search(a:" + "[" * 190 + "]" * 190 + "){id}}",
        "{search(a:[" + "1," * 1_900 + "]){id}}",
        "query(" + " ".join(f"$v{n}:Int" for n in range(490)) + "){me{id}}",
        "{me{" + "".join(f"f{n} " for n in range(950)) + "}}",
    ],
)  # fmt: skip
async def test_no_document_takes_long_to_be_refused_or_taken(text: str) -> None:
    store, started = documents(), time.process_time()
    with suppress(Refused):
        await store.load(text)
    assert time.process_time() - started < 0.5


async def test_merging_equal_fields_has_a_budget_that_fragments_of_clients_do_not_meet() -> None:
    crowded = "{" + ("me{" + "me{id}" * 18 + "}") * 20 + "}"
    assert await code_of(documents(), crowded) == "TOO_COMPLEX"
    fields = "id name me{id name me{id name}}"
    components = "".join(f"fragment Part{n} on User{{{fields}}} " for n in range(25))
    spreads = " ".join(f"...Part{n}" for n in range(25))
    store = documents()
    await store.load(f"{{me{{{spreads} me{{{spreads}}}}}}} {components}")


async def test_a_long_text_is_read_off_the_event_loop_and_remembered_alike() -> None:
    store = documents()
    loaded = asyncio.create_task(store.load('{search(text:"' + "\\n" * 60_000 + '"){id}}'))
    await asyncio.sleep(0)
    assert not loaded.done()
    await loaded
    assert await store.load("{me{id}}") is await store.load("{me{id}}")
    long = "#" + "x" * 100_000 + "\n{me{id}}"
    assert await store.load(long) is await store.load(long)
    with pytest.raises(Refused):
        await store.load("{" + "x" * 100_000 + "}")
