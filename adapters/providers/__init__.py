"""The providers that there are: one line each."""

from collections.abc import Collection

from adapters.providers.alpaca import Alpaca
from adapters.providers.configuration import Client, Configuration
from adapters.providers.file import ANY, CHASE, FileProvider
from adapters.providers.kit import Outside
from adapters.providers.manual import ManualAccounts
from adapters.providers.plaid import Plaid
from adapters.providers.sandbox import Sandbox
from adapters.providers.schwab import Schwab
from adapters.providers.simplefin import SimpleFin
from domain.ports import ReadStatement
from domain.providers import Provider

__all__ = ["Client", "Configuration", "providers"]


def providers(
    read_statement: ReadStatement,
    outside: Outside,
    configuration: Configuration = Configuration(),  # noqa: B008 - frozen
    *,
    enabled: Collection[str] | None = None,
    sandbox_latency_s: float = 0.0,
) -> dict[str, Provider]:
    """By slug; only those in `enabled`, where it is given."""
    made: list[Provider] = [
        Sandbox(timing=outside.timing, latency_s=sandbox_latency_s),
        Schwab(outside, configuration.schwab),
        SimpleFin(outside, configuration),
        Alpaca(outside, configuration.alpaca),
        Plaid(configuration.plaid, outside, public_url=configuration.public_url),
        FileProvider(ANY, read_statement),
        FileProvider(CHASE, read_statement),
        ManualAccounts(),
    ]
    return {p.info.slug: p for p in made if enabled is None or p.info.slug in enabled}
