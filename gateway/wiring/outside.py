"""How providers are reached, as the settings say."""

from urllib.parse import urlsplit

from adapters import csv
from adapters.ofx.statements import statement_of as ofx_statement_of
from adapters.postgres.budgets import PostgresBudgets
from adapters.postgres.pool import Pool
from adapters.providers import Client, Configuration, providers
from adapters.providers.kit import Outside
from domain.authorizations import Returns
from domain.imports import Statement
from domain.providers import Provider
from gateway.settings import Settings


def statement_of(raw: bytes, name: str) -> Statement:
    """What a statement file says, of whichever format its content is. Raises UnreadableFile."""
    return csv.statement_of(raw, name) if csv.is_csv(raw) else ofx_statement_of(raw)


def providers_of(settings: Settings, outside: Outside) -> dict[str, Provider]:
    configuration = configuration_of(settings)
    return providers(statement_of, outside, configuration, enabled=settings.providers)


def outside_of(settings: Settings, pool: Pool) -> Outside:
    """What is asked of providers is counted in `pool`'s database."""
    return Outside(budgets=PostgresBudgets(pool), private=private_of(settings))


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


def returns_of(settings: Settings) -> Returns:
    """In production an app's scheme has to be named: any app on a device can claim any, and is
    given the code that another's owner was given there."""
    s = settings
    web = {url for url in (*s.allowed_origins, s.app_url) if url and "://" in url}
    apps = frozenset(url.rstrip(":") for url in s.allowed_origins if "://" not in url)
    return Returns(
        public_url=s.public_url,
        origins=frozenset(web),
        apps=None if s.is_development else apps,
    )


def private_of(s: Settings) -> frozenset[str]:
    """Hosts of the operator's own settings, which in development may be on loopback."""
    if not s.is_development:
        return frozenset()
    bases = (s.schwab_base_url, s.alpaca_base_url, s.plaid_base_url, s.rates_url or "")
    hosts = {_place(base) for base in bases if base}
    return frozenset(hosts | {host for host in s.simplefin_hosts if ":" in host})


def _place(base: str) -> str:
    """Host and port, the latter where it is not the scheme's own."""
    parts = urlsplit(base.lower())
    return parts.netloc.removesuffix(":443" if parts.scheme == "https" else ":80")
