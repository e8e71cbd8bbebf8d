"""What the environment asks for, by OpenTelemetry's own names.

https://opentelemetry.io/docs/specs/otel/configuration/sdk-environment-variables/ and, for what
exporters read themselves, https://opentelemetry.io/docs/specs/otel/protocol/exporter/
"""

from collections.abc import Mapping
from dataclasses import dataclass

from gateway.settings import SettingsError

ENDPOINT, PROTOCOL = "OTEL_EXPORTER_OTLP_ENDPOINT", "OTEL_EXPORTER_OTLP_PROTOCOL"
SPOKEN = "http/protobuf"
NONE, OTLP, CONSOLE = "none", "otlp", "console"
EXPORTERS = {
    "TRACES": (OTLP, CONSOLE, NONE),
    "METRICS": (OTLP, CONSOLE, NONE, "prometheus"),  # which DASHTAM_OPS_PORT is for
}
SAMPLERS = (
    *("always_on", "always_off", "traceidratio"),
    *("parentbased_always_on", "parentbased_always_off", "parentbased_traceidratio"),
)


@dataclass(frozen=True, slots=True, kw_only=True)
class Asked:
    """Where each signal goes: OTLP, CONSOLE, or None; `scraped` where it is asked for by port."""

    traces: str | None = None
    metrics: str | None = None
    scraped: bool = False

    def __bool__(self) -> bool:
        return self.scraped or self.traces is not None or self.metrics is not None


def asked(environ: Mapping[str, str], ops_port: int | None) -> Asked:
    """Nothing, unless an endpoint, an exporter or a port is named.

    Raises:
        SettingsError: an exporter, a protocol, a sampler or an address that is not known here.
    """
    if _word(environ, "OTEL_SDK_DISABLED") == "true":
        return Asked()
    sampler = _word(environ, "OTEL_TRACES_SAMPLER")
    if sampler and sampler not in SAMPLERS:
        raise SettingsError(f"OTEL_TRACES_SAMPLER is {sampler!r}: give {' or '.join(SAMPLERS)}.")
    return Asked(
        traces=_exporter(environ, "TRACES"),
        metrics=_exporter(environ, "METRICS"),
        scraped=ops_port is not None,
    )


def _exporter(environ: Mapping[str, str], signal: str) -> str | None:
    name = f"OTEL_{signal}_EXPORTER"
    own_endpoint = f"OTEL_EXPORTER_OTLP_{signal}_ENDPOINT"
    endpoint = environ.get(own_endpoint) or environ.get(ENDPOINT)
    chosen = _word(environ, name) or (OTLP if endpoint else NONE)
    if chosen not in EXPORTERS[signal]:
        raise SettingsError(f"{name} is {chosen!r}: give {' or '.join(EXPORTERS[signal])}.")
    if chosen == OTLP:
        _check_address(own_endpoint if environ.get(own_endpoint) else ENDPOINT, endpoint)
        _check_protocol(environ, f"OTEL_EXPORTER_OTLP_{signal}_PROTOCOL")
    return chosen if chosen in (OTLP, CONSOLE) else None


def _check_address(name: str, url: str | None) -> None:
    if url and not url.startswith(("http://", "https://")):
        raise SettingsError(f"{name} must begin with http:// or https://, as the collector's does.")


def _check_protocol(environ: Mapping[str, str], own: str) -> None:
    for name in (own, PROTOCOL):
        spoken = _word(environ, name)
        if spoken and spoken != SPOKEN:
            raise SettingsError(
                f"{name} is {spoken!r}: only {SPOKEN} is spoken here (port 4318 of a collector)."
            )


def _word(environ: Mapping[str, str], name: str) -> str:
    return environ.get(name, "").strip().lower()
