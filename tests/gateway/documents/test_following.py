"""A gateway has what is published, follows what becomes of it, and keeps it while it cannot look."""

import asyncio
import json
from collections.abc import AsyncIterator, Callable, Iterable, Mapping
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime
from functools import partial
from typing import Any

import asyncpg
import pytest
from graphql import build_schema
from structlog.testing import capture_logs

from adapters.postgres import documents as stored
from adapters.postgres.documents import ToPublish
from adapters.postgres.fanout import PostgresFanout
from gateway.documents.following import Following
from gateway.documents.limits import most_generous
from gateway.documents.names import digest
from gateway.documents.publishing import NotPublished, publish, retire
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.documents.usage import NAMED_A_MINUTE_MAX, Unpublished, Usage
from gateway.operations.clients import Client
from gateway.operations.guard import Limits, Refused
from gateway.operations.parameters import parameters
from gateway.settings import Documents as Mode
from tests.gateway.documents.test_publishing import a_client, a_document
from tests.servers import Database

SCHEMA = build_schema("type Query { viewer: Viewer } type Viewer { id: ID, name: String }")
USUAL = {"cost": 1_000, "depth": 15}


def a_store(mode: Mode = Mode.TRUSTED) -> Documents:
    return Documents(SCHEMA, limits=Limits(), mode=mode)


def never() -> Any:
    raise AssertionError("nobody listens")


def following(store: Documents, pool: asyncpg.Pool, usual: Mapping[str, int] = USUAL) -> Following:
    return Following(store, pool, never, usual)


async def code_of(store: Documents, id_: str) -> str:
    with pytest.raises(Refused) as refused:
        await store.chosen(parameters({"documentId": id_}))
    return refused.value.code


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(1):  # of which "within a second" is the promise
        while not holds():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


@asynccontextmanager
async def running(*runs: Callable[[], Any]) -> AsyncIterator[None]:
    tasks = [asyncio.ensure_future(run()) for run in runs]
    try:
        yield
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def test_what_is_published_is_read_before_anybody_asks(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    client, document = a_client(), a_document(own_id="before.anybody")
    await publish(published_in.owner_url, client, [document], {})
    store = a_store()
    await following(store, pool).look()

    found = await store.chosen(parameters({"documentId": "before.anybody"}))
    assert (found.sha256, found.is_published) == (document.sha256, True)
    assert found is await store.chosen(parameters({"doc_id": document.sha256}))
    assert store.published.clients[client] == {document.sha256: "before.anybody"}


async def test_what_is_new_is_warmed_before_it_is_served_and_what_is_known_is_not_again(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    client, first, second = a_client(), a_document("One"), a_document("Two")
    store = a_store()
    warmed: list[str] = []

    async def warm(documents: Iterable[Document]) -> None:
        new = [each.sha256 for each in documents]
        assert not any(store.published.find(sha256) for sha256 in new)
        warmed.extend(new)

    gateway = Following(store, pool, never, USUAL, warm)
    await publish(published_in.owner_url, client, [first], {})
    await gateway.look()
    await publish(published_in.owner_url, client, [first, second], {})
    await gateway.look()

    ours = [sha256 for sha256 in warmed if sha256 in (first.sha256, second.sha256)]
    assert ours == [first.sha256, second.sha256]


async def test_running_gateways_know_it_within_a_second_and_read_only_what_is_new(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    stores = [a_store(), a_store()]
    fans = [PostgresFanout(pool, published_in.app_url) for _ in stores]
    each = [
        Following(store, pool, partial(fan.subscribe, stored.DOCUMENTS_CHANGED), USUAL)
        for store, fan in zip(stores, fans, strict=True)
    ]
    client, first, second = a_client(), a_document("First"), a_document("Second")
    await publish(published_in.owner_url, client, [first], {})
    async with running(*(fan.run for fan in fans), *(one.run for one in each)):
        await until(lambda: all(s.published.find(first.sha256) for s in stores))
        known = [s.published.find(first.sha256) for s in stores]

        await publish(published_in.owner_url, client, [first, second], {})
        await until(lambda: all(s.published.find(second.sha256) for s in stores))
        assert [s.published.find(first.sha256) for s in stores] == known
        assert all(s.published.find(first.sha256) is k for s, k in zip(stores, known, strict=True))

        await retire(published_in.owner_url, client, [first.id], now=datetime.now(UTC))
        await until(lambda: not any(s.published.find(first.sha256) for s in stores))
        assert await code_of(stores[0], first.id) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_document_that_does_not_fit_the_schema_is_named_and_refused_beside_the_others(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    client, good = a_client(), a_document()
    text = "query Old { viewer { gone } }"
    old = ToPublish(id="old.one", name="Old", sha256=digest(text), text=text)
    await publish(published_in.owner_url, client, [good, old], {})
    store = a_store()
    looking = following(store, pool)
    with capture_logs() as lines:
        await looking.look()

    assert await code_of(store, "old.one") == "GRAPHQL_VALIDATION_FAILED"
    assert (await store.chosen(parameters({"documentId": good.id}))).is_published
    assert f"{client.name} 1.0 old.one" in (looking.refused() or "")
    assert looking.warning() is None
    [line] = [each for each in lines if each.get("document") == "old.one"]
    assert (line["client"], line["version"]) == (client.name, "1.0")
    await retire(published_in.owner_url, client, ["old.one"], now=datetime.now(UTC))
    await looking.look()
    assert "old.one" not in (looking.refused() or "")


async def test_what_cannot_be_read_leaves_what_is_there_serving_and_says_so(
    published_in: Database, pool: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    client, document = a_client(), a_document()
    await publish(published_in.owner_url, client, [document], {})
    store, fan = a_store(), PostgresFanout(pool, published_in.app_url)
    looking = Following(store, pool, lambda: fan.subscribe(stored.DOCUMENTS_CHANGED), USUAL)
    await looking.look()
    newer = "jsonb_build_object('cost', jsonb_build_object('of', 'a later release'))"
    async with running(fan.run, looking.run):
        await owner.execute(
            f"UPDATE client_versions SET limits = {newer} WHERE client_name = $1", client.name
        )
        await owner.execute("SELECT pg_notify($1, '')", stored.DOCUMENTS_CHANGED)
        await until(lambda: looking.warning() is not None)
        assert store.published.find(document.sha256) is not None
        assert (await store.chosen(parameters({"documentId": document.id}))).is_published

        await owner.execute(
            "UPDATE client_versions SET limits = '{}' WHERE client_name = $1", client.name
        )
    await looking.look()
    assert looking.warning() is None


async def test_limits_of_its_own_are_those_of_whoever_may_most(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    assert most_generous([{"cost": 7}, {"cost": 9}], USUAL) == {"cost": 9}
    assert most_generous([{"cost": 7}, {}], USUAL) == {}
    assert most_generous([{"cost": 2_000}, {"later": 1}], USUAL) == {"cost": 2_000}
    text = "query Deep { viewer { id } a: viewer { id } b: viewer { id } }"
    deep = ToPublish(id=digest(text), name="Deep", sha256=digest(text), text=text)
    tight = Documents(SCHEMA, limits=Limits(aliases=1), mode=Mode.TRUSTED)
    looking = following(tight, pool, {"aliases": 1, "cost": 5})

    await publish(published_in.owner_url, a_client(), [deep], {})
    await looking.look()
    assert await code_of(tight, deep.id) == "TOO_COMPLEX"
    await publish(published_in.owner_url, a_client(), [deep], {"aliases": 2, "cost": 9})
    await looking.look()
    found = await tight.chosen(parameters({"documentId": deep.id}))
    assert found.cost_max == 9


# ── what is in use ──────────────────────────────────────────────────────────


async def test_uses_are_told_in_one_go_and_what_could_not_be_told_is_told_later(
    published_in: Database, pool: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    client, document = a_client(), a_document(own_id=f"use.{digest(str(id(pool)))[:8]}")
    await publish(published_in.owner_url, client, [document], {})
    store = a_store()
    await following(store, pool).look()
    gone = await asyncpg.create_pool(published_in.app_url, min_size=1, max_size=1)
    usage = Usage(store, gone, lambda: datetime.now(UTC))
    store.used = usage.note

    for _ in range(3):
        await store.chosen(parameters({"documentId": document.id}), client)
    for n in range(1_000):
        await store.chosen(parameters({"documentId": document.id}), Client(f"hostile {n}", "1"))
    assert len(usage._uses) == 2
    await gone.close()
    with capture_logs() as lines:
        await usage.flush()
    assert [line["event"] for line in lines] == ["documents.usage_not_noted"]
    usage._pool = pool
    await store.chosen(parameters({"documentId": document.id}), client)
    await usage.close()

    rows = await owner.fetch("SELECT * FROM document_uses WHERE id = $1", document.id)
    assert {(row["client_name"], row["uses"]) for row in rows} == {
        (client.name, 4),
        ("unknown", 1_000),
    }
    assert usage._uses == {}


async def test_what_has_just_come_into_use_is_not_retired(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    client, document = a_client(), a_document()
    await publish(published_in.owner_url, client, [document], {})
    store = a_store()
    await following(store, pool).look()
    usage = Usage(store, pool, lambda: datetime.now(UTC), first_flush_s=0)
    store.used = usage.note

    async with running(usage.run):
        await store.chosen(parameters({"documentId": document.id}), client)
        await until(lambda: usage._said == {(client.name, client.version, document.id)})
        with pytest.raises(NotPublished, match="was used by"):
            await retire(published_in.owner_url, client, [], now=datetime.now(UTC))
        await store.chosen(parameters({"documentId": document.id}), client)
        assert not usage._has_new.is_set()  # that waits for its turn, as it should


async def test_what_is_lost_at_the_end_is_in_the_log(pool: asyncpg.Pool) -> None:
    store = a_store()
    usage = Usage(store, pool, lambda: datetime.now(UTC))
    found = store.outcome("{ viewer { id } }")
    assert isinstance(found, Document)
    usage.note(replace(found, is_published=True), Client())
    closed = await asyncpg.create_pool(pool._connect_args[0], min_size=0, max_size=1)
    await closed.close()
    usage._pool = closed
    with capture_logs() as lines:
        await usage.close()
    assert [line["event"] for line in lines] == [
        "documents.usage_not_noted",
        "documents.usage_lost",
    ]


async def test_what_nobody_published_is_named_once_without_what_is_in_it(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    client = a_client()
    await publish(published_in.owner_url, client, [a_document()], {})
    store = a_store(Mode.LOG)
    await following(store, pool).look()
    store.unknown = Unpublished(store).note
    secret = 'query Named { viewer { id @include(if: true) name } } # "hunter2"'
    with capture_logs() as lines:
        for _ in range(3):
            await store.chosen(parameters({"query": secret}), client)
        await store.chosen(parameters({"query": "{ viewer { name } }"}), Client("hostile", "9"))
        for n in range(2 * NAMED_A_MINUTE_MAX):
            await store.chosen(parameters({"query": f"{{ viewer {{ n{n}: name }} }}"}))

    named, bare, *rest = [line for line in lines if line["event"] == "documents.unpublished"]
    assert (named["operation"], named["document"]) == ("Named", None)
    assert (named["client"], named["version"]) == (client.name, "1.0")
    assert bare["document"] == f"sha256:{digest('{ viewer { name } }')}"
    assert (bare["operation"], bare["client"], bare["version"]) == (None, "unknown", None)
    assert len(rest) < 2 * NAMED_A_MINUTE_MAX
    assert "hunter2" not in json.dumps(lines)
