"""What is exported of a request, of a sync, and of what went wrong."""

import asyncio
import json
import secrets

import httpx2
from websockets.asyncio.client import connect as connected
from websockets.typing import Subprotocol

from tests.e2e.linking import checking, connect, import_file, linked, sync
from tests.e2e.stack import SIGN_IN, Client
from tests.telemetry.collector import Seen
from tests.telemetry.conftest import Watched
from tests.telemetry.scraping import value

DASHBOARD = """query Dashboard {
  viewer { email }
  netWorth { total { amount } }
  accounts { name balance { amount } link { status }
    holdings(first: 50) { nodes { quantity security { symbol } } }
    transactions(first: 20) { nodes { description amount { amount } account { name } } } }
}"""
SERVER, CLIENT, PRODUCER, CONSUMER = 2, 3, 4, 5  # kinds, as OTLP numbers them


def a_parent(*, sampled: bool = True) -> tuple[str, str, str]:
    """A traceparent, and the two ids in it."""
    trace_id, span_id = secrets.token_hex(16), secrets.token_hex(8)
    return f"00-{trace_id}-{span_id}-0{int(sampled)}", trace_id, span_id


def the(spans: list[Seen], name: str) -> Seen:
    [found] = [span for span in spans if span.name == name]
    return found


def is_whole(spans: list[Seen]) -> bool:
    """The request's own span ends last."""
    return any(span.name.startswith("POST /graphql") for span in spans)


async def test_a_dashboard_is_one_tree_below_the_clients_own_span(
    watched: Watched, alice: Client
) -> None:
    await linked(alice)
    traceparent, trace_id, span_id = a_parent()

    answer = await alice.post(DASHBOARD, traceparent=traceparent)
    spans = await watched.collector.until(trace_id, is_whole)

    assert "errors" not in answer.json()
    request, operation = the(spans, "POST /graphql"), the(spans, "query")
    assert (request.parent_id, request.kind) == (span_id, SERVER)
    assert request.attributes["http.route"] == "/graphql"
    assert request.attributes["http.request.method"] == "POST"
    assert request.attributes["http.response.status_code"] == 200
    assert (operation.parent_id, operation.kind) == (request.span_id, SERVER)
    assert operation.attributes["graphql.operation.type"] == "query"
    assert operation.attributes["graphql.operation.name"] == "Dashboard"
    assert operation.attributes["dashtam.document.id"].startswith("sha256:")
    assert "graphql.document" not in operation.attributes
    statements = [s for s in spans if s.attributes.get("db.system.name") == "postgresql"]
    assert {s.name for s in statements} >= {"BEGIN", "SELECT link_accounts accounts"}
    assert all(s.kind == CLIENT for s in statements)
    assert {s.parent_id for s in statements} <= {request.span_id, operation.span_id}
    assert len(spans) == 2 + len(statements) <= 20  # none for a leaf, none for a row
    assert not any(span.is_error for span in spans)
    assert request.resource["service.name"] == "dashtam"
    assert request.resource["dashtam.role"] == "gateway"
    assert request.resource["deployment.environment.name"] == "test"
    assert request.resource["service.version"]


async def test_an_error_names_the_trace_that_was_exported(
    watched: Watched, http: httpx2.AsyncClient
) -> None:
    traceparent, trace_id, _ = a_parent()

    given = await http.post(
        "/graphql", json={"query": "{ viewer { id } }"}, headers={"traceparent": traceparent}
    )
    made = await http.post("/graphql", json={"query": "{ viewer { id } }"})

    own_id = made.json()["errors"][0]["extensions"]["traceId"]
    assert given.json()["errors"][0]["extensions"]["traceId"] == trace_id
    for id in (trace_id, own_id):
        spans = await watched.collector.until(id, is_whole)
        operation = the(spans, "query")
        assert operation.attributes["error.type"] == "UNAUTHENTICATED"
        assert not operation.is_error  # it is the client's


async def test_a_client_that_keeps_nothing_has_nothing_kept(
    watched: Watched, http: httpx2.AsyncClient
) -> None:
    traceparent, trace_id, _ = a_parent(sampled=False)
    after, after_id, _ = a_parent()

    said = await http.post(
        "/graphql", json={"query": "{ viewer { id } }"}, headers={"traceparent": traceparent}
    )
    await http.post("/graphql", json={"query": "{ a: __typename }"}, headers={"traceparent": after})
    await watched.collector.until(after_id, is_whole)

    assert said.json()["errors"][0]["extensions"]["traceId"] == trace_id
    assert watched.collector.trace(trace_id) == []


async def test_an_operation_on_a_socket_has_the_trace_that_its_errors_name(
    watched: Watched,
) -> None:
    url = watched.stack.gateway.url.replace("http:", "ws:") + "/graphql"
    asked = {"id": "1", "type": "subscribe", "payload": {"query": "{ viewer { id } }"}}

    async with connected(url, subprotocols=[Subprotocol("graphql-transport-ws")]) as socket:
        await socket.send(json.dumps({"type": "connection_init"}))
        assert json.loads(await socket.recv())["type"] == "connection_ack"
        open_ = value(await watched.metrics(), "dashtam_sockets_open")
        await socket.send(json.dumps(asked))
        said = json.loads(await socket.recv())
    trace_id = said["payload"]["errors"][0]["extensions"]["traceId"]
    spans = await watched.collector.until(trace_id, bool)

    assert the(spans, "query").parent_id == ""
    assert open_ == 1


async def test_a_broken_traceparent_begins_a_trace_of_our_own(
    watched: Watched, http: httpx2.AsyncClient
) -> None:
    broken = f"00-{'0' * 32}-{secrets.token_hex(8)}-01"

    for given in (broken, "ff-" + a_parent()[0][3:], "nonsense"):
        answer = await http.post(
            "/graphql", json={"query": "{ viewer { id } }"}, headers={"traceparent": given}
        )
        trace_id = answer.json()["errors"][0]["extensions"]["traceId"]
        spans = await watched.collector.until(trace_id, is_whole)
        assert the(spans, "POST /graphql").parent_id == ""


async def test_a_sync_is_a_trace_of_its_own_linked_to_who_asked_for_it(
    watched: Watched, alice: Client
) -> None:
    traceparent, asked_in, _ = a_parent()
    alice.headers["traceparent"] = traceparent

    payload = await connect(alice)
    await sync(alice)

    assert payload["errors"] == []
    job = await watched.collector.find(
        lambda s: s.name == "process sync" and s.links == (asked_in,)
    )
    spans = await watched.collector.until(
        job.trace_id, lambda found: any(span.name == "process sync" for span in found)
    )
    names = {span.span_id: span.name for span in spans}
    run = the(spans, "sync.run")
    assert (job.kind, job.parent_id) == (CONSUMER, "")
    assert job.attributes["messaging.destination.name"] == "sync"
    assert job.resource["dashtam.role"] == "worker"
    assert run.parent_id == job.span_id
    calls = [s for s in spans if s.attributes.get("dashtam.provider") == "sandbox"]
    assert {"GET /accounts", "GET /accounts/{id}/transactions"} <= {s.name for s in calls}
    assert {s.parent_id for s in calls} == {run.span_id}
    assert all(s.attributes["server.address"] == "sandbox.invalid" for s in calls)
    commits = [s for s in spans if s.name == "COMMIT"]
    assert len(commits) > 3
    assert {names[s.parent_id] for s in commits} == {"unit of work"}
    asked = await watched.collector.until(asked_in, is_whole)
    assert {"link.connect", "mutation"} <= {span.name for span in asked}


async def test_events_are_seen_when_they_are_passed_on(watched: Watched, alice: Client) -> None:
    await connect(alice)

    sent = await watched.collector.find(lambda s: s.name == "send dashtam.outbox")

    assert sent.kind == PRODUCER
    assert sent.attributes["messaging.batch.message_count"] >= 1
    assert sent.nanoseconds > 0


async def test_nothing_that_anyone_wrote_is_exported(
    watched: Watched, http: httpx2.AsyncClient, alice: Client
) -> None:
    """In a password, a token, a literal, a variable, a file, a path, a query string, a header."""
    traceparent, trace_id, _ = a_parent()
    canary = f"canary{secrets.token_hex(8)}"
    number = str(secrets.randbelow(10**15) + 10**15)
    statement = checking("-1.50").replace(b"SHOP 0", canary.encode())
    headers = {"x-secret": canary, "tracestate": f"secret={canary}", "user-agent": canary}

    said = {"email": f"{canary}@example.com", "password": canary}
    await http.post("/graphql", json={"query": SIGN_IN, "variables": {"input": said}})
    literal = f'{{ viewer {{ id }} node(id: "{canary}") {{ id }} }}'
    await http.post("/graphql", json={"query": literal}, headers=headers)
    await http.post("/graphql", json={"query": "{ a }", "operationName": canary})
    await http.get(f"/{canary}?token={canary}", headers=headers)
    await http.get("/graphql", params={"query": "{ __typename }", "token": canary})
    await http.request(canary.upper(), "/graphql")
    await http.post(
        "/graphql",
        json={"query": "{ viewer { id } }"},
        headers={"authorization": f"Bearer {canary}"},
    )
    searching = f'{{ transactions(first: 1, filter: {{search: "{canary}"}}) {{ nodes {{ id }} }} }}'
    assert (await alice.ask(searching))["transactions"]["nodes"] == []
    await import_file(alice, statement.replace(b"0001", number.encode()))
    await http.post(
        "/graphql", json={"query": "{ viewer { id } }"}, headers={"traceparent": traceparent}
    )
    await watched.collector.until(trace_id, is_whole)

    everything = b"".join(watched.collector.bodies)
    assert b"POST /graphql" in everything
    for secret in (canary, canary.upper(), number, alice.token, alice.email):
        assert secret is not None
        assert secret.encode() not in everything


async def test_metrics_are_sent_to_the_same_collector(watched: Watched, alice: Client) -> None:
    await linked(alice)
    wanted = {("worker", "dashtam.sync.runs"), ("gateway", "http.server.request.duration")}

    give_up_at = asyncio.get_running_loop().time() + 20
    while not wanted <= watched.collector.metrics.keys():
        assert asyncio.get_running_loop().time() < give_up_at, [*watched.collector.metrics]
        await asyncio.sleep(0.05)

    assert {watched.collector.metrics[name]["service.name"] for name in wanted} == {"dashtam"}
