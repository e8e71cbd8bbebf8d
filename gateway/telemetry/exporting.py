"""OpenTelemetry's SDK, set up as asked; imported only where something is.

What is not delivered is dropped: the queue is bounded, a thread of its own sends, and an outage of
the collector is one warning when it begins and one line when it ends.
"""

import asyncio
import logging
import os
import platform
import sys
from collections.abc import Callable
from importlib.metadata import version
from threading import Thread
from typing import Any
from uuid import uuid4

import structlog
from opentelemetry.metrics import Meter, NoOpMeterProvider
from opentelemetry.metrics import MeterProvider as AnyMeterProvider
from opentelemetry.sdk.metrics import AlwaysOffExemplarFilter, MeterProvider
from opentelemetry.sdk.metrics.export import (
    ConsoleMetricExporter,
    MetricExportResult,
    MetricReader,
    PeriodicExportingMetricReader,
)
from opentelemetry.sdk.resources import OTELResourceDetector, Resource
from opentelemetry.sdk.trace import SpanLimits, TracerProvider
from opentelemetry.sdk.trace.export import (
    BatchSpanProcessor,
    ConsoleSpanExporter,
    SpanExporter,
    SpanExportResult,
)
from opentelemetry.sdk.trace.id_generator import RandomIdGenerator
from opentelemetry.semconv.schemas import Schemas
from opentelemetry.trace import NoOpTracerProvider, Tracer
from opentelemetry.trace import TracerProvider as AnyTracerProvider

from gateway.telemetry.asked import CONSOLE, Asked
from gateway.telemetry.spans import CHOSEN

log = structlog.get_logger("dashtam.telemetry")

SCOPE = "dashtam"
FLUSH_S_MAX = 3.0
ATTRIBUTE_MAX = 512  # characters
NEVER = logging.CRITICAL + 1


class Providers:
    """`registry` has the metrics for Prometheus, where they are asked for."""

    def __init__(self, asked: Asked, role: str) -> None:
        about = resource(role)
        self._closing: list[Callable[[], object]] = []
        self._stopping: list[Callable[[], object]] = []
        # Its words are about one batch each, and some quote what is in it.
        self._library = logging.getLogger("opentelemetry")
        self._library.setLevel(NEVER)
        self.traces = self._tracing(asked.traces, about)
        self.registry: Any = None
        self.meters = self._metering(asked, about)

    def tracer(self) -> Tracer:
        return self.traces.get_tracer(SCOPE, version("dashtam"), Schemas.V1_44_0.value)

    def meter(self) -> Meter:
        return self.meters.get_meter(SCOPE, version("dashtam"), Schemas.V1_44_0.value)

    async def close(self) -> None:
        """Send what waits, for FLUSH_S_MAX at most."""
        threads = [Thread(target=end, daemon=True) for end in self._closing]
        for thread in threads:
            thread.start()
        give_up_at = asyncio.get_running_loop().time() + FLUSH_S_MAX
        while any(thread.is_alive() for thread in threads):
            if asyncio.get_running_loop().time() > give_up_at:
                log.warning("telemetry.left_behind")
                for stop in self._stopping:
                    stop()  # what is being tried is not tried again
                break
            await asyncio.sleep(0.01)
        self._library.setLevel(logging.NOTSET)

    def _tracing(self, to: str | None, about: Resource) -> AnyTracerProvider:
        if to is None:
            return NoOpTracerProvider()
        exporter = ConsoleSpanExporter(out=sys.stderr) if to == CONSOLE else told_traces()
        length = os.environ.get("OTEL_SPAN_ATTRIBUTE_VALUE_LENGTH_LIMIT")
        limits = SpanLimits(max_span_attribute_length=None if length else ATTRIBUTE_MAX)
        provider = TracerProvider(
            resource=about, span_limits=limits, id_generator=Ids(), shutdown_on_exit=False
        )
        provider.add_span_processor(BatchSpanProcessor(exporter))
        self._closing.append(provider.shutdown)
        self._stopping.append(exporter.shutdown)
        return provider

    def _metering(self, asked: Asked, about: Resource) -> AnyMeterProvider:
        readers: list[MetricReader] = []
        if asked.metrics is not None:
            console = asked.metrics == CONSOLE
            exporter = ConsoleMetricExporter(out=sys.stderr) if console else told_metrics()
            readers.append(PeriodicExportingMetricReader(exporter))
            self._stopping.append(exporter.shutdown)
        if asked.scraped:
            from opentelemetry.exporter.prometheus import (  # noqa: PLC0415 - if asked for
                PrometheusMetricReader,
            )
            from prometheus_client import CollectorRegistry  # noqa: PLC0415 - same

            self.registry = CollectorRegistry(auto_describe=False)
            readers.append(PrometheusMetricReader(registry=self.registry, scope_info_enabled=False))
        if not readers:
            return NoOpMeterProvider()
        linked = asked.traces is not None and asked.metrics is not None
        provider = MeterProvider(
            readers,
            resource=about,
            exemplar_filter=None if linked else AlwaysOffExemplarFilter(),
            shutdown_on_exit=False,
        )
        self._closing.append(provider.shutdown)
        return provider


class Ids(RandomIdGenerator):
    """As ever, but for a root whose trace has an id already."""

    def generate_trace_id(self) -> int:
        return CHOSEN.get() or super().generate_trace_id()


def resource(role: str) -> Resource:
    """Ours, and before it what OTEL_SERVICE_NAME and OTEL_RESOURCE_ATTRIBUTES say."""
    ours = Resource.create(
        {
            "service.name": "dashtam",
            "service.version": version("dashtam"),
            "service.instance.id": str(uuid4()),
            "dashtam.role": role,
            "process.runtime.version": platform.python_version(),
        }
    )
    return ours.merge(OTELResourceDetector().detect())


class Delivery:
    """Whether a signal arrives; says so where that changes."""

    def __init__(self, signal: str) -> None:
        self._signal, self._arrives = signal, True

    def note(self, *, arrived: bool) -> None:
        if arrived is self._arrives:
            return
        self._arrives = arrived
        if arrived:
            log.info("telemetry.delivered_again", reason=self._signal)
        else:
            log.warning("telemetry.not_delivered", reason=self._signal)


def told_traces() -> SpanExporter:
    from opentelemetry.exporter.otlp.proto.http.trace_exporter import (  # noqa: PLC0415 - same
        OTLPSpanExporter,
    )

    delivery = Delivery("traces")

    class Told(OTLPSpanExporter):
        def export(self, spans: Any) -> SpanExportResult:
            result = super().export(spans)
            delivery.note(arrived=result is SpanExportResult.SUCCESS)
            return result

    return Told()


def told_metrics() -> Any:
    from opentelemetry.exporter.otlp.proto.http.metric_exporter import (  # noqa: PLC0415 - same
        OTLPMetricExporter,
    )

    delivery = Delivery("metrics")

    class Told(OTLPMetricExporter):
        def export(self, *given: Any, **named: Any) -> MetricExportResult:
            result = super().export(*given, **named)
            delivery.note(arrived=result is MetricExportResult.SUCCESS)
            return result

    return Told()
