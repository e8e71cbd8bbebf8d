"""How providers are reached, as the settings say."""

from urllib.parse import urlsplit

from adapters.memory.budgets import MemoryBudgets
from adapters.ofx.statements import statement_of
from adapters.providers import Client, Configuration, providers
from adapters.providers.kit import Outside
from domain.providers import Provider
from gateway.settings import Settings


def providers_of(settings: Settings) -> dict[str, Provider]:
    outside, configuration = outside_of(settings), configuration_of(settings)
    return providers(statement_of, outside, configuration, enabled=settings.providers)


def outside_of(settings: Settings) -> Outside:
    return Outside(budgets=MemoryBudgets(), private=_private(settings))


def configuration_of(settings: Settings) -> Configuration:
    s = settings
    return Configuration(
        schwab=Client(
            base_url=s.schwab_base_url, id=s.schwab_client_id, secret=s.schwab_client_secret
        ),
        alpaca=Client(
            base_url=s.alpaca_base_url, id=s.alpaca_client_id, secret=s.alpaca_client_secret
        ),
        plaid=Client(base_url=s.plaid_base_url, id=s.plaid_client_id, secret=s.plaid_secret),
        simplefin_hosts=s.simplefin_hosts,
        simplefin_window_days=s.simplefin_window_days,
        public_url=s.public_url,
    )


def _private(s: Settings) -> frozenset[str]:
    """Hosts of the operator's own settings, which in development may be on loopback."""
    if not s.is_development:
        return frozenset()
    bases = (s.schwab_base_url, s.alpaca_base_url, s.plaid_base_url, s.rates_url or "")
    hosts = {urlsplit(base).netloc for base in bases if base}
    return frozenset(hosts | {host for host in s.simplefin_hosts if ":" in host})
