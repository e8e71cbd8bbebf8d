"""What Prometheus scrapes, and that it stays small whatever clients send."""

import asyncio
import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx2
from prometheus_client.samples import Sample

from gateway.telemetry.metrics import CODES, METHODS, METRICS, Metric
from tests.e2e.linking import linked
from tests.e2e.stack import (
    PROGRAM,
    Client,
    Program,
    a_free_port,
    dashtam,
    environment,
    until_ready,
)
from tests.servers import Database
from tests.telemetry.conftest import Watched
from tests.telemetry.scraping import scraped, series, value

SERIES_MAX = 2_000
SUFFIXES = ("_total", "_bucket", "_sum", "_count", "_created")
UNITS = ("_seconds", "_bytes")


def in_prometheus(name: str) -> str:
    return name.replace(".", "_")


def metric_of(sample: Sample) -> Metric | None:
    name = sample.name
    for ending in (*SUFFIXES, *UNITS):
        name = name.removesuffix(ending)
    known = {in_prometheus(m.name): m for m in METRICS}
    return known.get(name) or known.get(sample.name)


async def hostile(http: httpx2.AsyncClient, token: str | None) -> None:
    """A request in which everything that a client can choose was never seen before."""
    word = f"x{secrets.token_hex(6)}"
    headers = {
        "apollographql-client-name": word,
        "graphql-client-version": word,
        "user-agent": word,
        "origin": f"https://{word}.example",
        "x-forwarded-for": f"10.{secrets.randbelow(250)}.{secrets.randbelow(250)}.1",
    }
    if token is not None:
        headers["authorization"] = f"Bearer {token}"
    match secrets.randbelow(6):
        case 0:
            await http.get(f"/{word}/{word}?{word}={word}", headers=headers)
        case 1:
            await http.request(word.upper(), "/graphql", headers=headers)
        case 2:
            said = {"query": f"query {word} {{ {word}: __typename }}", "operationName": word}
            await http.post("/graphql", json=said, headers=headers)
        case 3:
            said = {"query": f"query {word} {{ {word} }}", "operationName": word}
            await http.post("/graphql", json=said, headers=headers)
        case 4:
            await http.post(f"/graphql/{word}", json={"documentId": word}, headers=headers)
        case _:
            said = {"query": f'query {word} {{ node(id: "{word}") {{ id }} }}'}
            await http.post("/graphql", json=said, headers=headers)


async def one_of_each(http: httpx2.AsyncClient, token: str | None) -> None:
    """Enough of them that every way to be answered has been met."""
    for _ in range(60):
        await hostile(http, token)


async def test_random_paths_names_methods_and_clients_make_no_new_series(
    watched: Watched, http: httpx2.AsyncClient, alice: Client
) -> None:
    await one_of_each(http, alice.token)
    before = series(await watched.metrics())

    for _ in range(300):
        await hostile(http, alice.token)
    after = series(await watched.metrics())

    assert after - before == set()
    assert len(after) < SERIES_MAX


async def test_every_label_has_a_value_of_its_closed_set(watched: Watched, alice: Client) -> None:
    await linked(alice)
    user_id = (await alice.ask("{ viewer { id } }"))["viewer"]["id"]
    samples = [s for of in ("gateway", "worker") for s in await watched.metrics(of)]

    for sample in samples:
        if sample.name == "target_info":
            continue
        metric = metric_of(sample)
        assert metric is not None, sample
        labels = {in_prometheus(name): values for name, values in metric.labels.items()}
        for name, found in sample.labels.items():
            if name == "le":
                continue
            assert name in labels, sample
            if isinstance(values := labels[name], frozenset):
                assert found in values | {""}, sample
    shown = repr(samples)
    assert user_id not in shown
    assert alice.email not in shown


async def test_a_sync_is_counted_with_all_that_it_stored(watched: Watched, alice: Client) -> None:
    before = await watched.metrics("worker")
    await linked(alice)
    after = await watched.metrics("worker")

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    assert more("dashtam_sync_runs_total", status="SUCCEEDED", trigger="CONNECT") == 1
    assert more("dashtam_sync_transactions_total", outcome="created") >= 400
    assert more("dashtam_commands_total", action="sync.run", outcome="ok") == 1
    asked = "dashtam_provider_call_duration_seconds_count"
    assert more(asked, provider="sandbox", outcome="ok") >= 3
    assert more("db_client_operation_duration_seconds_count", db_operation_name="COMMIT") >= 3
    assert value(after, "dashtam_provider_breakers_open", provider="sandbox") == 0


async def test_requests_operations_and_refusals_are_counted(
    watched: Watched, http: httpx2.AsyncClient, alice: Client
) -> None:
    before = await watched.metrics()
    await alice.ask("{ viewer { id } }")
    await http.post("/graphql", json={"query": "{ viewer { id } }"})
    await http.post("/graphql", json={"query": "{"})
    await http.get("/nowhere")
    after = await watched.metrics()

    def more(name: str, **labels: str) -> float:
        return value(after, name, **labels) - value(before, name, **labels)

    requests = "http_server_request_duration_seconds_count"
    operations = "dashtam_graphql_operation_duration_seconds_count"
    errors = "dashtam_graphql_errors_total"
    assert more(requests, http_route="/graphql", http_request_method="POST") == 3
    assert more(requests, http_route="", http_response_status_class="4xx") == 1
    assert more(operations, graphql_operation_type="query", outcome="ok") == 1
    assert more(operations, graphql_operation_type="query", outcome="failed") == 1
    assert more(errors, code="UNAUTHENTICATED") == 1
    assert more(errors, code="GRAPHQL_PARSE_FAILED") == 1
    assert value(after, "http_server_active_requests") == 0
    assert value(after, "dashtam_graphql_operations_active") == 0
    assert value(after, "db_client_connection_max", db_client_connection_pool_name="read") == 5
    assert value(after, "db_client_connection_pending_requests") == 0
    assert value(after, "process_memory_usage_bytes") > 20_000_000
    assert value(after, "process_cpu_time_seconds_total") > 0
    assert value(after, "dashtam_build_info") == 1
    assert value(after, "dashtam_event_loop_delay_seconds_count") > 0


async def test_the_worker_tells_of_its_queue_and_of_the_events_it_passes_on(
    watched: Watched, alice: Client
) -> None:
    await linked(alice)

    give_up_at = asyncio.get_running_loop().time() + 20
    while True:
        samples = await watched.metrics("worker")
        if value(samples, "dashtam_relay_delay_seconds_count") and any(
            s.name == "dashtam_jobs_waiting" for s in samples
        ):
            break
        assert asyncio.get_running_loop().time() < give_up_at
        await asyncio.sleep(0.1)

    assert value(samples, "dashtam_jobs_oldest_seconds") >= 0
    assert 0 <= value(samples, "dashtam_audit_unsealed_seconds") < 60
    assert value(samples, "dashtam_relay_idle_seconds") < 5


async def test_metrics_are_only_on_the_operators_port(
    watched: Watched, http: httpx2.AsyncClient
) -> None:
    async with httpx2.AsyncClient(base_url=watched.gateway_ops) as ops:
        ready, alive = await ops.get("/readyz"), await ops.get("/healthz")
        other, written = await ops.post("/graphql"), await ops.post("/metrics")

    assert (await http.get("/metrics")).status_code == 404
    assert (ready.status_code, alive.status_code) == (200, 200)
    assert (other.status_code, written.status_code) == (404, 405)
    async with httpx2.AsyncClient(base_url=watched.worker_ops) as ops:
        assert (await ops.get("/readyz")).json()["status"] == "ready"


async def test_a_taken_port_is_one_sentence(database: Database, tmp_path: Path) -> None:
    taken = a_free_port()
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", taken)
    environ = environment(database, tmp_path, a_free_port(), DASHTAM_OPS_PORT=str(taken))
    async with server:
        for command in ("serve", "worker"):
            said = await dashtam(command, environ=environ, folder=tmp_path)

            assert said.code == 1
            assert f"Port {taken} of 127.0.0.1 cannot be opened" in said.err
            assert "choose another with DASHTAM_OPS_PORT" in said.err


async def test_each_of_several_processes_has_a_port_of_its_own(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    port = first_of_three()
    environ = environment(
        database, tmp_path, a_free_port(), DASHTAM_OPS_PORT=str(port), DASHTAM_REDIS_URL=redis_url
    )
    async with started("serve", "--workers", "2", environ=environ, folder=tmp_path) as gateway:
        await until_ready(gateway)

        assert await roles(port, port + 1) == ["gateway", "gateway"]


async def test_several_processes_do_not_begin_where_one_would_have_no_port(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    port = first_of_three()
    environ = environment(
        database, tmp_path, a_free_port(), DASHTAM_OPS_PORT=str(port), DASHTAM_REDIS_URL=redis_url
    )
    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port + 1)
    async with server:
        said = await dashtam("serve", "--workers", "2", environ=environ, folder=tmp_path)

    assert said.code == 1
    assert f"Port {port + 1} of 127.0.0.1 cannot be opened" in said.err


async def test_the_ports_of_several_processes_leave_out_the_gateways_own(
    database: Database, redis_url: str, tmp_path: Path
) -> None:
    port = a_free_port()
    environ = environment(
        database, tmp_path, port, DASHTAM_OPS_PORT=str(port - 1), DASHTAM_REDIS_URL=redis_url
    )

    said = await dashtam("serve", "--workers", "2", environ=environ, folder=tmp_path)

    assert said.code == 1
    assert f"from {port - 1} to {port + 1} for operators, and {port} is the gateway's" in said.err


async def test_up_gives_the_worker_the_port_after_the_gateways(
    database: Database, tmp_path: Path
) -> None:
    port = first_of_three()
    environ = environment(database, tmp_path, a_free_port(), DASHTAM_OPS_PORT=str(port))
    words = ["up", "--no-demo", "--port", environ["DASHTAM_PORT"]]
    async with started(*words, environ=environ, folder=tmp_path) as up:
        assert await roles(port, port + 1) == ["gateway", "worker"]
        assert await up.end() == 0

    server = await asyncio.start_server(lambda _r, w: w.close(), "127.0.0.1", port + 1)
    async with server:
        said = await dashtam(*words, environ=environ, folder=tmp_path)
    assert said.code == 1
    assert f"Port {port + 1} is in use by another program" in said.err
    assert "DASHTAM_OPS_PORT" in said.err


async def roles(*ports: int) -> list[str]:
    """Who answers on each, once somebody does."""
    give_up_at = asyncio.get_running_loop().time() + 30
    found: dict[int, str] = {}
    while len(found) < len(ports):
        assert asyncio.get_running_loop().time() < give_up_at, found
        for port in ports:
            try:
                samples = await scraped(f"http://127.0.0.1:{port}")
            except httpx2.TransportError:
                await asyncio.sleep(0.05)
                continue
            [about] = [sample for sample in samples if sample.name == "target_info"]
            found[port] = about.labels["dashtam_role"]
    return [found[port] for port in ports]


@asynccontextmanager
async def started(*words: str, environ: dict[str, str], folder: Path) -> AsyncIterator[Program]:
    log = folder / "started.log"
    with log.open("wb") as out:
        process = await asyncio.create_subprocess_exec(
            *PROGRAM, *words, env=environ, stdout=out, stderr=out, cwd=folder
        )
    program = Program(process, log, int(environ["DASHTAM_PORT"]))
    try:
        yield program
    finally:
        await program.end()


def first_of_three() -> int:
    """A free port whose two followers are free too, most likely."""
    return 20_000 + 3 * secrets.randbelow(3_000)


def test_the_table_of_metrics_is_closed() -> None:
    names = [metric.name for metric in METRICS]

    assert len(names) == len({*names})
    assert all(isinstance(values, frozenset | str) for m in METRICS for values in m.labels.values())
    assert "_OTHER" in METHODS
    assert "OTHER" in CODES
