"""Publishing and retiring: as a whole or not at all, and an id is that of its text for ever."""

import asyncio
import secrets
from collections.abc import Sequence
from datetime import UTC, datetime, timedelta

import asyncpg
import pytest

from adapters.postgres import documents
from adapters.postgres.documents import DOCUMENTS_CHANGED, ToPublish, Use, note_uses
from domain.errors import Unavailable
from gateway.documents import builtin, publishing
from gateway.documents.names import digest
from gateway.documents.publishing import NotPublished, publish, retire
from gateway.migrate import migrate
from gateway.operations.clients import Client
from tests.servers import Database

NOW = datetime.now(UTC)


def a_client() -> Client:
    return Client(f"client {secrets.token_hex(4)}", "1.0")


def a_document(name: str = "Me", *, own_id: str | None = None) -> ToPublish:
    text = f"query {name} {{ viewer {{ id }} }} # {secrets.token_hex(8)}"
    return ToPublish(id=own_id or digest(text), name=name, sha256=digest(text), text=text)


async def ids_of(owner: asyncpg.Connection, client: Client) -> set[str]:
    return set(await documents.names_of(owner, client.name, client.version))


async def reasons(url: str, client: Client, given: Sequence[ToPublish]) -> str:
    with pytest.raises(NotPublished) as refused:
        await publish(url, client, given, {})
    return "\n".join(refused.value.reasons)


async def used(
    pool: asyncpg.Pool, client: Client, id_: str, at: datetime = NOW, count: int = 1
) -> None:
    use = Use(client_name=client.name, client_version=client.version, id=id_, count=count, last=at)
    await note_uses(pool, [use])


async def test_the_same_again_is_success_and_nobody_is_told(
    published_in: Database, owner: asyncpg.Connection
) -> None:
    client, given = a_client(), [a_document(), a_document("Other")]
    told: list[str] = []
    await owner.add_listener(DOCUMENTS_CHANGED, lambda *said: told.append(said[2]))

    first = await publish(published_in.owner_url, client, given, {"cost": 7})
    again = await publish(published_in.owner_url, client, given, {"cost": 7})
    more = await publish(published_in.owner_url, client, [*given, a_document("More")], {"cost": 7})

    assert (first.added, first.unchanged) == (2, 0)
    assert (again.added, again.unchanged, again.limits_changed) == (0, 2, False)
    assert (more.added, more.unchanged) == (1, 2)
    await owner.execute("SELECT 1")
    assert told == [DOCUMENTS_CHANGED, DOCUMENTS_CHANGED]


async def test_a_version_is_what_was_shipped(
    published_in: Database, owner: asyncpg.Connection
) -> None:
    client, kept, gone = a_client(), a_document("Kept"), a_document("Gone")
    await publish(published_in.owner_url, client, [kept, gone], {})

    said = await reasons(published_in.owner_url, client, [kept, a_document("New")])
    assert "1 documents that this lacks (Gone)" in said
    assert await ids_of(owner, client) == {kept.id, gone.id}
    later = Client(client.name, "1.1")
    await publish(published_in.owner_url, later, [kept], {})
    assert await ids_of(owner, later) == {kept.id}
    changed = await publish(published_in.owner_url, later, [kept], {"depth": 20})
    assert changed.limits_changed
    assert await documents.limits_of(owner, later.name, later.version) == {"depth": 20}


async def test_an_id_is_that_of_its_text_for_every_client_and_for_ever(
    published_in: Database, owner: asyncpg.Connection
) -> None:
    first, second, id_ = a_client(), a_client(), f"own.{secrets.token_hex(4)}"
    mine, other = a_document(own_id=id_), a_document(own_id=id_)
    await publish(published_in.owner_url, first, [mine], {})

    said = await reasons(published_in.owner_url, second, [other, a_document()])
    assert said == (
        f"the id {id_} is that of another text, of {first.name} 1.0: give this one another id"
    )
    assert await documents.limits_of(owner, second.name, "1.0") is None
    await publish(published_in.owner_url, second, [mine], {})  # the same text it may have
    for client in (first, second):
        assert await retire(published_in.owner_url, client, [], now=NOW) == 1
    said = await reasons(published_in.owner_url, second, [other])
    assert f"the id {id_} is that of another text, that was retired" in said


async def test_two_publishers_at_once_publish_one_after_the_other(
    published_in: Database, owner: asyncpg.Connection
) -> None:
    id_ = f"own.{secrets.token_hex(4)}"
    clients = [a_client() for _ in range(6)]
    outcomes = await asyncio.gather(
        *(publish(published_in.owner_url, c, [a_document(own_id=id_)], {}) for c in clients),
        return_exceptions=True,
    )
    assert sorted(type(each).__name__ for each in outcomes) == ["NotPublished"] * 5 + [
        "Publication"
    ]
    assert sum([bool(await ids_of(owner, each)) for each in clients]) == 1


async def test_what_was_used_in_the_last_thirty_days_is_not_retired_nor_anything_with_it(
    published_in: Database, pool: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    client = a_client()
    fresh, old, never = a_document("Fresh"), a_document("Old"), a_document("Never")
    await publish(published_in.owner_url, client, [fresh, old, never], {})
    await used(pool, client, fresh.id, NOW - timedelta(days=29))
    await used(pool, client, old.id, NOW - timedelta(days=31))

    with pytest.raises(NotPublished) as refused:
        await retire(published_in.owner_url, client, [], now=NOW)
    [why] = refused.value.reasons
    when = (NOW - timedelta(days=29)).strftime("%Y-%m-%d %H:%MZ")
    assert why == f"Fresh ({fresh.id}) was used by {client.name} 1.0 at {when}"
    with pytest.raises(NotPublished):
        await retire(published_in.owner_url, client, [never.id, fresh.id], now=NOW)
    assert await ids_of(owner, client) == {fresh.id, old.id, never.id}

    named = [f"sha256:{old.sha256}", never.sha256]
    assert await retire(published_in.owner_url, client, named, now=NOW) == 2
    assert await ids_of(owner, client) == {fresh.id}
    with pytest.raises(NotPublished, match=f"there is no document {never.id} in this version"):
        await retire(published_in.owner_url, client, [never.id], now=NOW)


async def test_what_another_client_has_too_is_retired_and_what_only_strangers_use_is_not(
    published_in: Database, pool: asyncpg.Pool
) -> None:
    first, second, shared = a_client(), a_client(), a_document()
    for client in (first, second):
        await publish(published_in.owner_url, client, [shared], {})
    await used(pool, Client("somebody", "else"), shared.id)
    await used(pool, second, shared.id)

    assert await retire(published_in.owner_url, first, [], now=NOW) == 1
    with pytest.raises(NotPublished) as refused:
        await retire(published_in.owner_url, second, [], now=NOW)
    assert {
        each.partition(" used by ")[2].rpartition(" at ")[0] for each in refused.value.reasons
    } == {
        "unknown",
        f"{second.name} 1.0",
    }


async def test_nobodys_name_makes_a_row_of_usage(
    published_in: Database, pool: asyncpg.Pool, owner: asyncpg.Connection
) -> None:
    client, document = a_client(), a_document()
    await publish(published_in.owner_url, client, [document], {})
    before = await owner.fetchval("SELECT count(*) FROM document_uses")

    for n in range(5):
        await used(pool, Client(f"hostile {n}", str(n)), document.id)
        await used(pool, Client(client.name, "9.9"), document.id, NOW + timedelta(days=400))
        await used(pool, client, f"no such id {n}")
    await used(pool, client, document.id, count=-5)
    await used(pool, client, document.id, count=3)
    await used(pool, client, document.id, NOW - timedelta(days=3))

    assert await owner.fetchval("SELECT count(*) FROM document_uses") == before + 2
    rows = [
        row
        for row in await publishing.listed(published_in.owner_url, None)
        if row["id"] == document.id
    ]
    assert [(row["client_name"], row["client_version"], row["uses"]) for row in rows] == [
        (client.name, "1.0", 4),
        ("unknown", "", 10),
    ]
    assert all(row["last_used_at"] <= datetime.now(UTC) for row in rows)
    assert rows[0]["last_used_at"] == NOW


async def test_the_gateways_own_names_are_not_given_away(published_in: Database) -> None:
    for name in ("dashtam", "unknown"):
        said = await reasons(published_in.owner_url, Client(name, "1"), [a_document()])
        assert f"the name {name} is the gateway's own" in said
    with pytest.raises(NotPublished, match="need its built-in documents"):
        await retire(published_in.owner_url, builtin.client(), [], now=NOW)


async def test_what_an_older_release_had_built_in_is_retired_as_others_are(
    published_in: Database, owner: asyncpg.Connection
) -> None:
    older = Client(builtin.NAME, "0.0.1")
    await documents.publish(owner, older.name, older.version, [a_document()], {})

    assert await retire(published_in.owner_url, older, [], now=NOW) == 1
    assert await builtin.is_published(published_in.app_url)


async def test_who_may_not_publish_is_told_what_to_set(published_in: Database) -> None:
    said = await reasons(published_in.app_url, a_client(), [a_document()])
    assert "set DASHTAM_MIGRATIONS_URL to the owner's URL" in said
    url = published_in.owner_url.replace("?host=", "?host=/nowhere")
    with pytest.raises(Unavailable):
        await publish(url, a_client(), [a_document()], {})


async def test_migrating_publishes_the_built_in_manifest_once(
    published_in: Database, owner: asyncpg.Connection
) -> None:
    assert await builtin.is_published(published_in.app_url)
    client = builtin.client()
    assert await ids_of(owner, client) == {each.id for each in builtin.manifest()}

    at = await owner.fetchval("SELECT max(published_at) FROM client_versions")
    await migrate(published_in.owner_url)
    assert await owner.fetchval("SELECT max(published_at) FROM client_versions") == at
    [lost, *_] = builtin.manifest()
    await owner.execute("DELETE FROM published_documents WHERE id = $1", lost.id)
    assert not await builtin.is_published(published_in.app_url)
    await migrate(published_in.owner_url)
    assert await builtin.is_published(published_in.app_url)


async def test_a_text_stands_under_its_hash_or_not_at_all(owner: asyncpg.Connection) -> None:
    for statement in (
        "INSERT INTO documents VALUES (repeat('a', 64), '{ viewer { id } }')",
        "INSERT INTO document_ids SELECT repeat('b', 64), sha256 FROM documents LIMIT 1",
        "INSERT INTO document_ids SELECT 'SHA256:x', sha256 FROM documents LIMIT 1",
        "INSERT INTO document_ids SELECT 'a/b', sha256 FROM documents LIMIT 1",
    ):
        with pytest.raises(asyncpg.CheckViolationError):
            await owner.execute(statement)
