"""What an operator says of the providers that have to know."""

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True, kw_only=True)
class Client:
    """We, as a provider knows us: at one scheme and host, without a last slash."""

    base_url: str
    id: str | None = None
    secret: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Configuration:
    """Without an id and secret, what needs them is not offered."""

    schwab: Client = Client(base_url="https://api.schwabapi.com")
    alpaca: Client = Client(base_url="https://api.alpaca.markets")
    plaid: Client = Client(base_url="https://production.plaid.com")
    simplefin_hosts: tuple[str, ...] = ("*.simplefin.org",)
    simplefin_window_days: int = 60
    public_url: str = ""
    """Where providers send webhooks: the gateway's scheme and host."""
