"""What the environment may ask for, and that nothing happens where it asks for nothing."""

import asyncio
import json
import sys
import time
from pathlib import Path

import httpx2
import pytest

from gateway.settings import SettingsError
from gateway.telemetry.asked import Asked, asked
from tests.e2e.stack import a_free_port, environment, running, until_ready
from tests.servers import Database

HERE = "http://collector:4318"


@pytest.mark.parametrize(
    ("environ", "found"),
    [
        ({}, Asked()),
        ({"OTEL_SERVICE_NAME": "x"}, Asked()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE}, Asked(traces="otlp", metrics="otlp")),
        ({"OTEL_EXPORTER_OTLP_TRACES_ENDPOINT": HERE}, Asked(traces="otlp")),
        ({"OTEL_EXPORTER_OTLP_METRICS_ENDPOINT": HERE}, Asked(metrics="otlp")),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_METRICS_EXPORTER": "none"},
            Asked(traces="otlp"),
        ),
        ({"OTEL_TRACES_EXPORTER": "console"}, Asked(traces="console")),
        ({"OTEL_TRACES_EXPORTER": "otlp"}, Asked(traces="otlp")),
        ({"OTEL_METRICS_EXPORTER": "prometheus"}, Asked()),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_SDK_DISABLED": "True"}, Asked()),
    ],
)
def test_only_what_is_asked_for_is_exported(environ: dict[str, str], found: Asked) -> None:
    assert asked(environ, None) == found


def test_a_port_asks_for_metrics_alone() -> None:
    assert asked({}, 9100) == Asked(scraped=True)
    assert asked({"OTEL_SDK_DISABLED": "true"}, 9100) == Asked()


@pytest.mark.parametrize(
    ("environ", "sentence"),
    [
        ({"OTEL_TRACES_EXPORTER": "zipkin"}, "OTEL_TRACES_EXPORTER is 'zipkin': give otlp or"),
        (
            {"OTEL_EXPORTER_OTLP_ENDPOINT": HERE, "OTEL_EXPORTER_OTLP_PROTOCOL": "grpc"},
            "OTEL_EXPORTER_OTLP_PROTOCOL is 'grpc': only http/protobuf",
        ),
        ({"OTEL_EXPORTER_OTLP_ENDPOINT": "collector:4317"}, "must begin with http:// or https://"),
        ({"OTEL_TRACES_SAMPLER": "always"}, "OTEL_TRACES_SAMPLER is 'always': give always_on or"),
    ],
)
def test_what_there_is_not_is_refused_in_a_sentence(environ: dict[str, str], sentence: str) -> None:
    with pytest.raises(SettingsError) as refused:
        asked(environ, None)

    assert sentence in str(refused.value)


STARTED = """
import asyncio, json, sys, threading
from gateway.asgi import create_app
from gateway.processes.serving import serve
from gateway.settings import Settings
from gateway.worker.process import work
import os

async def main():
    app = create_app(Settings.read(os.environ))
    async with app.router.lifespan_context(app):
        threads = [t.name for t in threading.enumerate() if "Otel" in t.name]
        loaded = [n for n in sys.modules if n.split(".")[0] in ("opentelemetry", "prometheus_client")]
    print(json.dumps([threads, loaded]))

asyncio.run(main())
"""


async def test_nothing_of_it_is_loaded_or_started_unless_asked_for(
    database: Database, tmp_path: Path
) -> None:
    environ = environment(database, tmp_path, a_free_port())

    process = await asyncio.create_subprocess_exec(
        sys.executable, "-P", "-c", STARTED, env=environ, stdout=asyncio.subprocess.PIPE
    )
    out, _ = await process.communicate()

    assert json.loads(out.splitlines()[-1]) == [[], []]


async def test_a_collector_that_is_away_costs_one_warning_and_no_time(
    database: Database, tmp_path: Path
) -> None:
    """Not the requests', and at the end no more than it takes to give up."""
    away = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": f"http://127.0.0.1:{a_free_port()}",
        "OTEL_EXPORTER_OTLP_TIMEOUT": "1",
        "OTEL_METRICS_EXPORTER": "none",
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_BSP_MAX_QUEUE_SIZE": "64",
        "OTEL_BSP_MAX_EXPORT_BATCH_SIZE": "16",
    }
    environ = environment(database, tmp_path, a_free_port(), **away)
    async with running("serve", environ, tmp_path) as gateway:
        await until_ready(gateway)
        async with httpx2.AsyncClient(base_url=gateway.url) as http:
            for _ in range(300):
                answer = await http.post("/graphql", json={"query": "{ __typename }"}, timeout=2)
                assert answer.status_code == 200
        give_up_at = time.monotonic() + 20
        while not warnings(gateway.lines()):
            assert time.monotonic() < give_up_at
            await asyncio.sleep(0.1)
        await asyncio.sleep(2.5)  # in which two more batches are not delivered

        assert [line["reason"] for line in warnings(gateway.lines())] == ["traces"]
        assert not [line for line in gateway.lines() if line["event"] == "library.said"]
        began = time.monotonic()
        await gateway.end()
        assert time.monotonic() - began < 8


def warnings(lines: list[dict[str, object]]) -> list[dict[str, object]]:
    return [line for line in lines if line["event"] == "telemetry.not_delivered"]
