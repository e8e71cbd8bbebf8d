"""Which document runs: by text or by name, in each mode; and what is refused."""

import asyncio
import tracemalloc
from hashlib import sha256
from typing import Any

import pytest
from graphql import GraphQLError, build_schema

from gateway.documents.names import digest
from gateway.documents.published import Published, PublishedDocument
from gateway.documents.store import Documents
from gateway.operations.clients import Client, client_of, client_said
from gateway.operations.faults import Fault
from gateway.operations.guard import Limits, Refused
from gateway.operations.parameters import from_query_string, parameters
from gateway.settings import Documents as Mode

SCHEMA = build_schema("type Query { me: User, name: String } type User { id: ID, name: String }")
KNOWN, OTHER = "query Me { me { id } }", "{ name }"
HASH = digest(KNOWN)
WEB = Client("web", "1.0")


def a_store(mode: Mode, *, published: bool = True, **seen: Any) -> Documents:
    store = Documents(SCHEMA, limits=Limits(), mode=mode, **seen)
    old = Refused("GRAPHQL_VALIDATION_FAILED", [GraphQLError("old")])
    if published:
        store.published = Published(
            documents={
                HASH: PublishedDocument(KNOWN, {}),
                "f" * 64: PublishedDocument("{ old }", {}, old),
            },
            ids={"me.v1": HASH, "old.v1": "f" * 64},
            clients={WEB: {HASH: "me.v1"}},
            an_id={HASH: "me.v1"},
            are_enforced=True,
        )
    return store


async def answer_to(store: Documents, **asked: Any) -> str:
    """The hash of what would run, or the code of why nothing does."""
    try:
        return (await store.chosen(parameters(asked), WEB)).sha256
    except (Fault, Refused) as refusal:
        return refusal.code


def apollo(hash_: str, **more: Any) -> dict[str, Any]:
    return {"persistedQuery": {"version": 1, "sha256Hash": hash_, **more}}


NAMED = [
    {"documentId": f"sha256:{HASH}"},
    {"documentId": HASH},
    {"documentId": "me.v1"},
    {"doc_id": HASH},
    {"doc_id": "me.v1"},
    {"extensions": apollo(HASH)},
    {"extensions": apollo(f"sha256:{HASH}", miss=True)},
    {"documentId": HASH, "doc_id": f"sha256:{HASH}", "extensions": apollo(HASH)},
]


@pytest.mark.parametrize("asked", NAMED)
@pytest.mark.parametrize("mode", Mode)
async def test_every_form_of_a_name_is_that_document_in_every_mode(
    mode: Mode, asked: dict[str, Any]
) -> None:
    assert await answer_to(a_store(mode), **asked) == HASH


WRONG_CASE = HASH.upper()
assert HASH != WRONG_CASE
NORMALISED = "query Me{me{id}}"
# What each mode makes of it, where only KNOWN is published: open, log, trusted.
TEXT, NONE, BAD = digest(OTHER), "PERSISTED_QUERY_NOT_FOUND", "BAD_REQUEST"
REQUIRED, UNSUPPORTED = "DOCUMENT_REQUIRED", "PERSISTED_QUERY_NOT_SUPPORTED"
TABLE: list[tuple[dict[str, Any], str, str]] = [
    # (asked, in open and log, in trusted): these twelve are those of the threat
    ({"query": OTHER}, TEXT, REQUIRED),
    ({"query": KNOWN}, HASH, REQUIRED),
    ({"query": KNOWN, "documentId": HASH}, HASH, REQUIRED),
    ({"query": KNOWN, "extensions": apollo(HASH)}, HASH, UNSUPPORTED),
    ({"query": OTHER, "documentId": HASH}, BAD, REQUIRED),
    ({"query": OTHER, "extensions": apollo(HASH)}, BAD, UNSUPPORTED),
    ({"query": OTHER, "extensions": apollo(digest(OTHER))}, TEXT, UNSUPPORTED),
    ({"query": NORMALISED, "documentId": HASH}, BAD, REQUIRED),
    ({"documentId": f"sha256:{WRONG_CASE}"}, NONE, NONE),
    ({"documentId": WRONG_CASE}, NONE, NONE),
    ({"documentId": digest(NORMALISED)}, NONE, NONE),
    ({"extensions": apollo(digest(OTHER))}, NONE, NONE),
    # and these of the forms
    ({"query": KNOWN, "documentId": "me.v1"}, HASH, REQUIRED),
    ({"query": OTHER, "documentId": "me.v1"}, BAD, REQUIRED),
    ({"query": OTHER, "documentId": "nobody's"}, BAD, BAD),
    ({"query": OTHER, "documentId": "nobody"}, BAD, REQUIRED),
    ({"query": KNOWN, "documentId": f"sha256:{WRONG_CASE}"}, BAD, REQUIRED),
    ({"query": "", "documentId": HASH}, HASH, HASH),
    ({"documentId": HASH, "doc_id": "me.v1"}, BAD, BAD),
    ({"documentId": f"sha256:{HASH} "}, BAD, BAD),
    ({"documentId": f"SHA256:{HASH}"}, NONE, NONE),
    ({"documentId": f"md5:{HASH}"}, NONE, NONE),
    ({"documentId": "old.v1"}, "GRAPHQL_VALIDATION_FAILED", "GRAPHQL_VALIDATION_FAILED"),
    ({"documentId": ""}, BAD, BAD),
    ({"documentId": "a" * 129}, BAD, BAD),
    ({"documentId": "../../etc/passwd"}, BAD, BAD),
    ({"documentId": "\uff4d\uff45.v1"}, BAD, BAD),
    ({"documentId": 7}, BAD, BAD),
    ({"doc_id": ["me.v1"]}, BAD, BAD),
    ({"extensions": {"persistedQuery": HASH}}, BAD, BAD),
    ({"extensions": {"persistedQuery": {"version": 1}}}, BAD, BAD),
    ({"extensions": apollo(HASH, version=2)}, BAD, BAD),
    ({"extensions": {"persistedQuery": None}}, BAD, BAD),
    ({}, BAD, BAD),
]


@pytest.mark.parametrize(("asked", "elsewhere", "trusted"), TABLE)
async def test_what_each_mode_runs_and_refuses(
    asked: dict[str, Any], elsewhere: str, trusted: str
) -> None:
    assert await answer_to(a_store(Mode.OPEN), **asked) == elsewhere
    assert await answer_to(a_store(Mode.LOG), **asked) == elsewhere
    assert await answer_to(a_store(Mode.TRUSTED), **asked) == trusted


async def test_until_anything_is_published_trusted_takes_text_as_log_does() -> None:
    unknown: list[str] = []
    store = a_store(Mode.TRUSTED, unknown=lambda document, _: unknown.append(document.sha256))
    enforced, store.published = store.published, Published()

    assert await answer_to(store, query=OTHER) == TEXT
    assert unknown == [TEXT]
    store.published = enforced
    assert await answer_to(store, query=OTHER) == REQUIRED
    assert await answer_to(store, documentId=TEXT) == NONE  # though it was read, and is remembered


async def test_what_is_used_is_told_and_what_is_unknown_only_where_that_matters() -> None:
    for mode in Mode:
        used: list[tuple[str, Client]] = []
        unknown: list[str] = []
        store = a_store(
            mode,
            used=lambda document, client, used=used: used.append((document.sha256, client)),
            unknown=lambda document, _, unknown=unknown: unknown.append(document.sha256),
        )
        await answer_to(store, documentId="me.v1")
        await answer_to(store, query=OTHER)
        assert used == [(HASH, WEB)]
        assert unknown == ([TEXT] if mode is Mode.LOG else [])


async def test_a_text_that_is_published_is_the_same_document_however_it_is_asked_for() -> None:
    store = a_store(Mode.LOG)
    by_name = await store.chosen(parameters({"documentId": "me.v1"}))
    by_text = await store.chosen(parameters({"query": KNOWN}))

    assert by_text is by_name
    assert by_text.is_published


async def test_a_text_is_to_be_had_by_its_hash_once_it_was_sent() -> None:
    """Apollo's automatic persisted queries; the second request has both, the third the hash."""
    store = a_store(Mode.OPEN, published=False)
    hash_ = digest(OTHER)

    assert await answer_to(store, extensions=apollo(hash_)) == NONE
    assert await answer_to(store, query=OTHER, extensions=apollo(hash_)) == hash_
    assert await answer_to(store, extensions=apollo(hash_)) == hash_
    # urql's second is a GET, and says that it missed
    third = f"query=%7Bname%7D&extensions=%7B%22persistedQuery%22:%7B%22version%22:1,%22sha256Hash%22:%22{digest('{name}')}%22,%22miss%22:true%7D%7D"
    found = await store.chosen(parameters(from_query_string(third.encode())))
    assert found.sha256 == digest("{name}")


async def test_a_text_that_was_refused_is_not_told_to_who_only_has_its_hash() -> None:
    store = a_store(Mode.OPEN)
    secret = '{ name(password: "hunter2") }'
    assert await answer_to(store, query=secret) == "GRAPHQL_VALIDATION_FAILED"
    assert await answer_to(store, documentId=digest(secret)) == NONE


async def test_ten_thousand_unknown_hashes_take_no_memory() -> None:
    store = a_store(Mode.OPEN)

    async def flood(begin: int) -> None:
        for n in range(begin, begin + 5_000):
            hash_ = sha256(str(n).encode()).hexdigest()
            assert await answer_to(store, extensions=apollo(hash_)) == NONE
            await answer_to(store, documentId=f"id-{n}")

    await flood(0)
    tracemalloc.start()
    try:
        before = tracemalloc.take_snapshot()
        await flood(5_000)
        after = tracemalloc.take_snapshot()
    finally:
        tracemalloc.stop()
    grown = sum(each.size_diff for each in after.compare_to(before, "filename"))
    assert grown < 100_000, grown


async def test_what_many_send_does_not_push_out_what_is_published() -> None:
    store = Documents(SCHEMA, limits=Limits(), mode=Mode.OPEN, size=8)
    store.published = a_store(Mode.OPEN).published
    async with asyncio.TaskGroup() as tasks:
        for n in range(50):
            tasks.create_task(store.load(f"{{ name n{n}: name }}"))

    assert await answer_to(store, documentId=HASH) == HASH
    assert await answer_to(store, documentId=digest("{ name n0: name }")) == NONE


# ── who asks ────────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("headers", "client"),
    [
        ({}, Client()),
        ({"apollographql-client-name": "ios", "apollographql-client-version": "3"}, Client("ios", "3")),
        ({"graphql-client-name": " web ", "graphql-client-version": "1.0"}, Client("web", "1.0")),
        (
            {"apollographql-client-name": "ios", "graphql-client-name": "web", "graphql-client-version": "1"},
            Client("ios", ""),
        ),
        ({"graphql-client-version": "1.0"}, Client()),
        ({"graphql-client-name": "x" * 101}, Client()),
        ({"graphql-client-name": "a\x1b[31m"}, Client()),
        ({"graphql-client-name": "wëb"}, Client()),
        ({"graphql-client-name": "web", "graphql-client-version": "9" * 10_000}, Client("web", "")),
    ],
)  # fmt: skip
def test_a_client_is_who_it_says_in_so_many_printable_characters(
    headers: dict[str, str], client: Client
) -> None:
    assert client_of(headers) == client
    assert client_said(headers, {}) == client


def test_on_a_socket_the_first_message_goes_before_the_headers() -> None:
    headers = {"graphql-client-name": "browser", "graphql-client-version": "0"}
    said = {"GraphQL-Client-Name": "app", "graphql-client-version": 3, "authorization": "Bearer x"}

    assert client_said(said, headers) == Client("app", "")
    assert client_said({"authorization": "Bearer x"}, headers) == Client("browser", "0")
