"""A gateway has what is published, follows what becomes of it, and keeps it while it cannot look."""

import asyncio
import json
import threading
from collections.abc import AsyncIterator, Callable, Iterable, Iterator, Mapping
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
from gateway.documents.published import PublishedDocument
from gateway.documents.publishing import NotPublished, publish, retire
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.documents.usage import NAMED_A_MINUTE_MAX, Unpublished, Usage
from gateway.operations.clients import Client
from gateway.operations.guard import Limits, Refused
from gateway.operations.parameters import parameters
from gateway.settings import Documents as Mode
from gateway.wiring.refreshing import keep_fresh
from tests.gateway.documents.test_publishing import a_client, a_document
from tests.servers import Database

SCHEMA = build_schema("type Query { viewer: Viewer } type Viewer { id: ID, name: String }")
USUAL = {"cost": 1_000, "depth": 15}


def a_store(mode: Mode = Mode.TRUSTED) -> Documents:
    return Documents(SCHEMA, limits=Limits(), mode=mode)


async def brought_in(following: Following) -> None:
    await following.look()
    await following.read(rest=0)


async def following(
    store: Documents, pool: asyncpg.Pool, usual: Mapping[str, int] = USUAL
) -> Following:
    """With what is published by now."""
    made = Following(store, pool, usual)
    await brought_in(made)
    return made


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
    await following(store, pool)

    found = await store.chosen(parameters({"documentId": "before.anybody"}))
    assert (found.sha256, found.is_published) == (document.sha256, True)
    assert found is await store.chosen(parameters({"doc_id": document.sha256}))
    assert store.published.clients[client] == {document.sha256: "before.anybody"}


class Noted(Documents):
    """Says what it read, and waits for leave before it does."""

    def __init__(self) -> None:
        super().__init__(SCHEMA, limits=Limits(), mode=Mode.TRUSTED)
        self.texts: list[str] = []
        self.may_read = threading.Event()

    def outcome(self, text: str, *said: Any, **more: Any) -> Document | Refused:
        assert self.may_read.wait(10)
        self.texts.append(text)
        return super().outcome(text, *said, **more)


@pytest.fixture
def noted() -> Iterator[Noted]:
    store = Noted()
    yield store
    store.may_read.set()


async def test_all_that_is_new_is_there_at_once_and_read_once_for_who_asks_first_or_else_later(
    published_in: Database, pool: asyncpg.Pool, noted: Noted
) -> None:
    warmed: list[str] = []

    async def warm(documents: Iterable[Document], _: float) -> None:
        warmed.extend(each.sha256 for each in documents)

    gateway = Following(noted, pool, USUAL, warm)
    noted.may_read.set()
    await brought_in(gateway)
    noted.texts.clear()
    warmed.clear()
    given = [a_document(f"Of{n}") for n in range(50)]
    texts, last = [each.text for each in given], given[-1]
    await publish(published_in.owner_url, a_client(), given, {})
    assert await code_of(noted, last.id) == "PERSISTED_QUERY_NOT_FOUND"

    await gateway.look()
    assert noted.published.documents.keys() >= {each.sha256 for each in given}
    assert noted.texts == []
    ask = partial(noted.chosen, parameters({"documentId": last.id}))
    assert (await ask()).is_published
    assert noted.texts == [last.text]

    await gateway.read(rest=0)
    assert noted.texts == [last.text, *(text for text in texts if text != last.text)]
    assert len(set(warmed)) == len(warmed) == 49
    known = await asyncio.gather(*(ask() for _ in range(3)))
    assert len({id(each) for each in known}) == 1
    await brought_in(gateway)
    assert len(noted.texts) == 50


async def test_what_is_published_while_much_is_read_waits_for_none_of_it(
    published_in: Database, pool: asyncpg.Pool, noted: Noted
) -> None:
    noted.may_read.set()
    gateway = await following(noted, pool)
    noted.may_read.clear()
    given = [a_document(f"Of{n}") for n in range(3)]
    await publish(published_in.owner_url, a_client(), given, {})
    await gateway.look()
    async with running(gateway.read_on):
        await asyncio.sleep(0)  # which has begun to read
        more = [a_document(f"More{n}") for n in range(2)]
        await publish(published_in.owner_url, a_client(), more, {})
        await gateway.look()
        new = [noted.published.documents[each.sha256] for each in (*given, *more)]
        assert [each.outcome for each in new] == [None] * 5

        noted.may_read.set()
        await until(lambda: all(each.outcome for each in new))
    assert [noted.texts.count(each.text) for each in (*given, *more)] == [1] * 5


async def test_running_gateways_know_it_within_a_second_and_read_only_what_is_new(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    stores = [a_store(), a_store()]
    fans = [PostgresFanout(pool, published_in.app_url) for _ in stores]
    each = [Following(store, pool, USUAL) for store in stores]
    look_on = [
        partial(keep_fresh, one.looked, fan, stored.DOCUMENTS_CHANGED, every_s=30)
        for one, fan in zip(each, fans, strict=True)
    ]
    client, first, second = a_client(), a_document("First"), a_document("Second")
    await publish(published_in.owner_url, client, [first], {})

    def of(document: ToPublish) -> list[PublishedDocument | None]:
        return [store.published.documents.get(document.sha256) for store in stores]

    async with running(*(fan.run for fan in fans), *look_on):
        await until(lambda: all(of(first)))
        known = of(first)

        await publish(published_in.owner_url, client, [first, second], {})
        await until(lambda: all(of(second)))
        assert of(first) == known  # which is to say, the same

        await retire(published_in.owner_url, client, [first.id], now=datetime.now(UTC))
        await until(lambda: not any(of(first)))
        assert await code_of(stores[0], first.id) == "PERSISTED_QUERY_NOT_FOUND"


async def test_a_document_that_does_not_fit_the_schema_is_named_and_refused_beside_the_others(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    client, good = a_client(), a_document()
    text = "query Old { viewer { gone } }"
    old = ToPublish(id="old.one", name="Old", sha256=digest(text), text=text)
    await publish(published_in.owner_url, client, [good, old], {})
    store = a_store()
    looking = Following(store, pool, USUAL)
    await looking.look()
    assert await code_of(store, "old.one") == "GRAPHQL_VALIDATION_FAILED"
    with capture_logs() as lines:
        await looking.read(rest=0)

    assert await code_of(store, "old.one") == "GRAPHQL_VALIDATION_FAILED"
    assert (await store.chosen(parameters({"documentId": good.id}))).is_published
    assert f"{client.name} 1.0 old.one" in (looking.refused() or "")
    assert looking.warning() is None
    [line] = [each for each in lines if each.get("document") == "old.one"]
    assert (line["client"], line["version"]) == (client.name, "1.0")
    await retire(published_in.owner_url, client, ["old.one"], now=datetime.now(UTC))
    await brought_in(looking)
    assert "old.one" not in (looking.refused() or "")


async def test_what_cannot_be_read_leaves_what_is_there_serving_and_says_so(
    published_in: Database, pool: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    client, document = a_client(), a_document()
    await publish(published_in.owner_url, client, [document], {})
    store, fan = a_store(), PostgresFanout(pool, published_in.app_url)
    looking = await following(store, pool)
    look_on = partial(keep_fresh, looking.looked, fan, stored.DOCUMENTS_CHANGED, every_s=30)
    newer = "jsonb_build_object('cost', jsonb_build_object('of', 'a later release'))"
    async with running(fan.run, look_on):
        await owner.execute(
            f"UPDATE client_versions SET limits = {newer} WHERE client_name = $1", client.name
        )
        await owner.execute("SELECT pg_notify($1, '')", stored.DOCUMENTS_CHANGED)
        await until(lambda: looking.warning() is not None)
        assert document.sha256 in store.published.documents
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

    await publish(published_in.owner_url, a_client(), [deep], {})
    looking = await following(tight, pool, {"aliases": 1, "cost": 5})
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
    await following(store, pool)
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
    await following(store, pool)
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
    await following(store, pool)
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
