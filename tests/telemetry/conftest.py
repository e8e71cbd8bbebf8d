"""A gateway and a worker that are watched: traces and metrics to a collector, metrics by port."""

from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx2
import pytest
from prometheus_client.samples import Sample

from gateway.settings import Settings
from gateway.wiring.root import wire
from tests.e2e.stack import Client, Stack, a_free_port, environment, running, until_ready
from tests.servers import Postgres
from tests.telemetry.collector import Collector, collecting
from tests.telemetry.scraping import scraped


@dataclass(slots=True, kw_only=True)
class Watched:
    stack: Stack
    collector: Collector
    gateway_ops: str
    worker_ops: str

    async def metrics(self, of: str = "gateway") -> list[Sample]:
        return await scraped(self.gateway_ops if of == "gateway" else self.worker_ops)


@pytest.fixture(scope="session")
def collector() -> Iterator[Collector]:
    with collecting() as running_:
        yield running_


@pytest.fixture(scope="session")
async def watched(
    postgres: Postgres, collector: Collector, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Watched]:
    folder: Path = tmp_path_factory.mktemp("telemetry")
    ports = a_free_port(), a_free_port()
    asked = {
        "OTEL_EXPORTER_OTLP_ENDPOINT": collector.url,
        "OTEL_BSP_SCHEDULE_DELAY": "50",
        "OTEL_METRIC_EXPORT_INTERVAL": "300",
        "OTEL_RESOURCE_ATTRIBUTES": "deployment.environment.name=test",
    }
    async with postgres.fresh_database() as database:
        environ = environment(database, folder, a_free_port(), **asked)
        of_gateway = environ | {"DASHTAM_OPS_PORT": str(ports[0])}
        of_worker = environ | {"DASHTAM_OPS_PORT": str(ports[1])}
        settings = Settings.read(environ)
        async with (
            wire(settings) as wired,
            running("serve", of_gateway, folder) as gateway,
            running("worker", of_worker, folder) as worker,
        ):
            await until_ready(gateway)
            stack = Stack(
                database=database,
                folder=folder,
                settings=settings,
                wired=wired,
                gateway=gateway,
                worker=worker,
            )
            yield Watched(
                stack=stack,
                collector=collector,
                gateway_ops=f"http://127.0.0.1:{ports[0]}",
                worker_ops=f"http://127.0.0.1:{ports[1]}",
            )
            assert worker.process.returncode is None, worker.log.read_text()
            assert gateway.process.returncode is None, gateway.log.read_text()


@pytest.fixture
async def alice(watched: Watched) -> AsyncIterator[Client]:
    async with watched.stack.somebody() as client:
        yield client


@pytest.fixture
async def http(watched: Watched) -> AsyncIterator[httpx2.AsyncClient]:
    async with httpx2.AsyncClient(base_url=watched.stack.gateway.url, timeout=20) as client:
        yield client
