"""Persisted documents on real gateways: from a fresh production to clients of many versions."""

import asyncio
import json
import secrets
import signal
import time
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import websockets

from adapters.postgres.documents import LOCK, ToPublish
from gateway.asgi import create_app
from gateway.documents import builtin
from gateway.documents.names import digest
from gateway.documents.publishing import listed, publish
from gateway.operations.clients import Client
from gateway.settings import Settings
from tests.e2e.stack import (
    PASSWORD,
    PROGRAM,
    Said,
    a_free_port,
    dashtam,
    environment,
    make_user,
    served_here,
)
from tests.gateway.documents.test_choosing import apollo
from tests.servers import Database, Postgres

BUILT_IN = {each.name: each.id for each in builtin.manifest()}
NAME = "query Providers { providers { slug } }"
IDS = [f"sha256:{digest(NAME)}", digest(NAME)]


@dataclass(slots=True)
class Production:
    """Two gateways that take published documents only, on one database."""

    database: Database
    folder: Path
    environ: dict[str, str]
    gateways: list[httpx2.AsyncClient]

    async def shell(self, *words: str) -> Said:
        return await dashtam("documents", *words, environ=self.environ, folder=self.folder)

    def manifest(self, *texts: str, ids: dict[str, str] | None = None) -> str:
        path = self.folder / f"{secrets.token_hex(4)}.json"
        path.write_text(json.dumps(ids or {digest(text): text for text in texts}, indent=1))
        return str(path)

    async def published(self, *texts: str, client: str) -> None:
        given = [
            ToPublish(id=digest(t), name=t.split()[1], sha256=digest(t), text=t) for t in texts
        ]
        await publish(self.database.owner_url, Client(client, "1"), given, {})


@pytest.fixture(scope="module")
async def production(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Production]:
    folder: Path = tmp_path_factory.mktemp("documents")
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(postgres.fresh_database())
        environ = environment(database, folder, a_free_port(), DASHTAM_DOCUMENTS="trusted")
        environ["DASHTAM_MIGRATIONS_URL"] = database.owner_url
        gateways = []
        for _ in range(2):
            url = await stack.enter_async_context(served_here(create_app(Settings.read(environ))))
            http = httpx2.AsyncClient(base_url=url, timeout=20)
            gateways.append(await stack.enter_async_context(http))
        yield Production(database, folder, environ, gateways)


async def code_of(http: httpx2.AsyncClient, **asked: Any) -> str | None:
    """Of the refusal, or None of what ran."""
    answer = (await http.post("/graphql", json=asked)).json()
    return answer["errors"][0]["extensions"]["code"] if "errors" in answer else None


async def until_code(http: httpx2.AsyncClient, code: str | None, **asked: Any) -> float:
    """How many seconds until that is what comes of it."""
    began = time.monotonic()
    async with asyncio.timeout(5):
        while await code_of(http, **asked) != code:  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    return time.monotonic() - began


async def test_a_fresh_production_answers_and_closes_once_something_is_published(
    postgres: Postgres, tmp_path: Path
) -> None:
    """Publishing reaches both gateways within a second; what is wrong publishes nothing."""
    async with AsyncExitStack() as stack:
        database = await stack.enter_async_context(postgres.fresh_database())
        environ = environment(database, tmp_path, a_free_port(), DASHTAM_DOCUMENTS="trusted")
        environ["DASHTAM_MIGRATIONS_URL"] = database.owner_url
        settings = Settings.read(environ)
        sites = []
        for _ in range(2):
            app = create_app(settings)
            url = await stack.enter_async_context(served_here(app))
            http = httpx2.AsyncClient(base_url=url, timeout=20)
            sites.append(await stack.enter_async_context(http))
        first, second = sites

        given = {"email": "nobody@example.com", "password": "nothing"}
        built_in = {"documentId": BUILT_IN["SignIn"], "variables": {"input": given}}
        answer = (await first.post("/graphql", json=built_in)).json()
        assert answer["data"]["signIn"]["errors"][0]["code"] == "SIGN_IN_FAILED"
        assert [await code_of(http, query=NAME) for http in sites] == [None, None]
        assert (await first.get("/readyz")).json() == {"status": "ready", "warnings": []}

        folder = tmp_path / "operations"
        folder.mkdir()
        (folder / "providers.graphql").write_text(NAME)
        (folder / "broken.graphql").write_text("query Broken {\n  viewer { emial }\n}\n{ x }")
        words = ("documents", "publish", "operations", "--client", "web", "--version", "1.0")
        refused = await dashtam(*words, environ=environ, folder=tmp_path)
        assert refused.code == 1
        assert [line.partition(" ")[0] for line in refused.err.splitlines()] == [
            "broken.graphql:2:12:",
            "broken.graphql:4:1:",
            "dashtam:",
        ]
        assert "2 things are wrong, and nothing was changed" in refused.err
        assert await code_of(first, query=NAME) is None

        (folder / "broken.graphql").unlink()
        said = await dashtam(*words, environ=environ, folder=tmp_path)
        assert (said.code, said.out) == (0, "web 1.0: 1 published\n")
        waited = [await until_code(http, "DOCUMENT_REQUIRED", query=NAME) for http in sites]
        assert max(waited) < 1
        assert [await code_of(http, documentId=IDS[0]) for http in sites] == [None, None]
        assert await code_of(second, **built_in) is None


TRANSPORTS = ("POST", "GET", "QUERY", "path", "websocket", "event-stream")


async def asked_by(
    http: httpx2.AsyncClient, transport: str, asked: dict[str, Any]
) -> tuple[str | None, dict[str, Any] | None]:
    """The code of the refusal and no data, or the data."""
    accept = {"accept": "application/graphql-response+json, application/json;q=0.9"}
    if transport == "websocket":
        answer = await _over_a_socket(str(http.base_url), asked)
    elif transport == "event-stream":
        answer = await _over_a_stream(http, asked)
    elif transport in ("POST", "QUERY"):
        answer = (await http.request(transport, "/graphql", json=asked, headers=accept)).json()
    else:
        named = asked.get("documentId") if transport == "path" else None
        path = f"/graphql/{named}" if named else "/graphql"
        query = {
            name: value if isinstance(value, str) else json.dumps(value)
            for name, value in asked.items()
            if not (named and name == "documentId")
        }
        answer = (await http.get(path, params=query, headers=accept)).json()
    if "errors" in answer:
        return answer["errors"][0]["extensions"]["code"], answer.get("data")
    return None, answer["data"]


async def _over_a_socket(url: str, asked: dict[str, Any]) -> dict[str, Any]:
    protocol = websockets.Subprotocol("graphql-transport-ws")
    async with websockets.connect(
        url.replace("http", "ws", 1).rstrip("/") + "/graphql", subprotocols=[protocol]
    ) as socket:
        payload = {"graphql-client-name": "sockets", "graphql-client-version": "1"}
        await socket.send(json.dumps({"type": "connection_init", "payload": payload}))
        await socket.recv()
        await socket.send(json.dumps({"id": "1", "type": "subscribe", "payload": asked}))
        try:
            message = json.loads(await socket.recv())
        except websockets.ConnectionClosedError:
            assert socket.close_code == 4400  # a payload that is none of a subscribe message
            return {"errors": [{"extensions": {"code": "BAD_REQUEST"}}]}
    found: dict[str, Any] = message["payload"]
    return {"errors": found} if message["type"] == "error" else found


async def _over_a_stream(http: httpx2.AsyncClient, asked: dict[str, Any]) -> dict[str, Any]:
    headers = {"accept": "text/event-stream"}
    async with http.stream("POST", "/graphql", json=asked, headers=headers) as answer:
        text = (await answer.aread()).decode()
    if not answer.headers["content-type"].startswith("text/event-stream"):
        found: dict[str, Any] = json.loads(text)
        return found
    [data, *_] = [line for line in text.splitlines() if line.startswith("data: {")]
    said: dict[str, Any] = json.loads(data.removeprefix("data: "))
    return said


@pytest.mark.parametrize("transport", TRANSPORTS)
async def test_on_every_transport_a_published_name_runs_and_nothing_else_does(
    production: Production, transport: str
) -> None:
    """The twelve ways around trusted documents, and what stands beside each of them."""
    [http, _], hash_ = production.gateways, digest(NAME)
    other = "query Other { providers { name } }"
    if await code_of(http, documentId=hash_) is not None:
        await production.published(NAME, client="web")
        await until_code(http, None, documentId=hash_)

    names: list[dict[str, Any]] = [
        *({"documentId": each} for each in IDS),
        {"doc_id": hash_},
        {"extensions": apollo(hash_)},
        {"documentId": hash_, "operationName": "Providers", "variables": {}},
    ]
    for runs in names:
        code, data = await asked_by(http, transport, runs)
        assert (code, bool((data or {}).get("providers"))) == (None, True), runs
    ways_around: list[dict[str, Any]] = [
        {"query": other},
        {"query": NAME},
        {"query": NAME, "documentId": hash_},
        {"query": other, "documentId": hash_},
        {"query": NAME, "extensions": apollo(hash_)},
        {"query": other, "extensions": apollo(digest(other))},
        {"extensions": apollo(digest(other))},
        {"documentId": hash_.upper()},
        {"documentId": f"sha256:{hash_.upper()}"},
        {"documentId": digest("query Providers{providers{slug}}")},
        {"query": "{ x }", "documentId": hash_},
        {"documentId": hash_, "doc_id": BUILT_IN["Viewer"]},
    ]
    for refused in ways_around:
        code, data = await asked_by(http, transport, refused)
        assert data is None, refused
        assert code in (
            *("DOCUMENT_REQUIRED", "PERSISTED_QUERY_NOT_FOUND", "PERSISTED_QUERY_NOT_SUPPORTED"),
            "BAD_REQUEST",
        ), refused
    if transport == "POST":
        batch = await http.post("/graphql", json=[{"documentId": hash_}, {"query": other}])
        assert batch.status_code == 400


async def test_what_is_not_found_is_kept_by_nobody_on_the_way(production: Production) -> None:
    [http, _] = production.gateways
    for accept in ("application/graphql-response+json", "application/json"):
        answer = await http.get(
            "/graphql", params={"documentId": "a" * 64}, headers={"accept": accept}
        )
        assert answer.json()["errors"][0]["message"] == "PersistedQueryNotFound"
        assert "no-store" in answer.headers["cache-control"]


async def test_people_sign_in_by_documents_alone_and_what_they_use_is_known(
    production: Production,
) -> None:
    """Use is told in the background: here, as the gateway ends."""
    environ, text = (
        production.environ,
        f"query Mine {{ viewer {{ email }} }} # {secrets.token_hex(4)}",
    )
    await production.published(text, client="ios app")
    settings = Settings.read(environ)
    email = f"ios-{secrets.token_hex(4)}@example.com"
    who = {"apollographql-client-name": "ios app", "apollographql-client-version": "1"}
    app = create_app(settings)
    async with served_here(app) as url, httpx2.AsyncClient(base_url=url, headers=who) as http:
        # Warm before it is ready: there is nothing to wait for.
        assert await code_of(http, documentId=digest(text)) == "UNAUTHENTICATED"
        await _person(settings, email)
        signed_in = await http.post(
            "/graphql",
            json={
                "documentId": BUILT_IN["SignIn"],
                "variables": {"input": {"email": email, "password": PASSWORD}},
            },
        )
        token = signed_in.json()["data"]["signIn"]["accessToken"]
        mine = await http.get(
            f"/graphql/sha256:{digest(text)}/Mine", headers={"authorization": f"Bearer {token}"}
        )
        assert mine.json() == {"data": {"viewer": {"email": email}}}

    rows = await listed(production.database.owner_url, "ios app")
    assert [(row["name"], row["uses"]) for row in rows] == [("Mine", 2)]
    shown = await production.shell("list", "--client", "ios app", "--json")
    [said] = json.loads(shown.out)
    used = datetime.fromisoformat(said.pop("lastUsedAt"))
    assert (datetime.now(UTC) - used).total_seconds() < 60
    assert said == {
        "client": "ios app",
        "version": "1",
        "id": f"sha256:{digest(text)}",
        "sha256": digest(text),
        "name": "Mine",
        "uses": 2,
    }
    refused = await production.shell("retire", "--client", "ios app", "--version", "1")
    assert refused.code == 1
    assert refused.err == (
        f"dashtam: Mine ({digest(text)}) was used by ios app 1 at {used:%Y-%m-%d %H:%MZ}\n"
    )
    assert await code_of(production.gateways[0], documentId=digest(text)) == "UNAUTHENTICATED"


async def _person(settings: Settings, email: str) -> None:
    from gateway.wiring.root import wire

    async with wire(settings) as wired:
        await make_user(wired, email)


async def test_a_publisher_that_is_killed_has_published_nothing(production: Production) -> None:
    text = f"query Killed {{ viewer {{ id }} }} # {secrets.token_hex(4)}"
    words = ("documents", "publish", production.manifest(text), "--client", "killed")
    holder = await asyncpg.connect(production.database.owner_url)
    watching = await asyncpg.connect(production.database.superuser_url)
    waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted AND locktype = 'advisory'"
    try:
        await holder.execute("SELECT pg_advisory_lock($1)", LOCK)
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, *words, "--version", "1", env=production.environ, cwd=production.folder
        )
        async with asyncio.timeout(30):
            while not await watching.fetchval(waiting):  # noqa: ASYNC110
                await asyncio.sleep(0.02)
        process.send_signal(signal.SIGKILL)
        await process.wait()
        await holder.execute("SELECT pg_advisory_unlock($1)", LOCK)
        assert await holder.fetchval("SELECT count(*) FROM documents WHERE body = $1", text) == 0
        assert await holder.fetch("SELECT FROM client_versions WHERE client_name = 'killed'") == []
    finally:
        await holder.close()
        await watching.close()
    assert await listed(production.database.owner_url, "killed") == []


async def test_the_shell_says_in_a_sentence_what_it_cannot_do(production: Production) -> None:
    nothing = production.manifest(ids={"x": "query X { nothing }"})
    answers = await asyncio.gather(
        production.shell("publish", nothing, "--client", "web", "--version", "2"),
        production.shell("retire", "x", "--client", "nobody", "--version", "1"),
    )
    assert [(said.code, said.out) for said in answers] == [(1, ""), (1, "")]
    assert [said.err for said in answers] == [
        f"dashtam: {Path(nothing).name}:2 (x 1:11): Cannot query field 'nothing' on type 'Query'.\n",
        "dashtam: there is no nobody 1\n",
    ]
