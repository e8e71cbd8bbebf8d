"""What is wrong with settings each of which can be read: each complaint says how to mend it.

Production refuses whatever would be unsafe without anyone noticing. What can only be seen by
looking at files or at the database is in `gateway.processes.starting`.
"""

import ipaddress
from collections.abc import Iterator
from typing import TYPE_CHECKING
from urllib.parse import urlsplit

if TYPE_CHECKING:
    from gateway.settings import Network, Settings

PREFIX = "DASHTAM_"
REDIS_POINTS_MAX = 60_000_000  # a minute: Redis counts microseconds
GUESSES_MAX = 100  # NIST SP 800-63B-4, section 3.2.2
ARGON2_KIB_MAX = 1 << 20
WILDCARD_DOTS_MIN = 2  # *.name.tld
WELL_KNOWN = frozenset(
    {
        *("", "admin", "change-me", "changeme", "dashtam", "dashtam_app", "dashtam_owner"),
        *("password", "postgres", "redis", "secret", "test"),
    }
)
# A network of fewer bits is no proxy's, but half of the internet.
PROXY_BITS_MIN = {4: 8, 6: 16}


def complaints(s: "Settings") -> Iterator[str]:
    if s.ops_port == s.port:
        yield "DASHTAM_OPS_PORT is the gateway's own port: give it another, such as 9100."
    if s.redis_url and s.limits.points > REDIS_POINTS_MAX:
        yield f"DASHTAM_LIMIT_POINTS is at most {REDIS_POINTS_MAX} where Redis counts them."
    yield from _development(s) if s.is_development else _production(s)


def _development(s: "Settings") -> Iterator[str]:
    if not _is_loopback(s.host):
        yield "Development listens on 127.0.0.1 only: unset DASHTAM_HOST."
    for name, url in _bases(s):
        if not _is_loopback(urlsplit(url).hostname) and urlsplit(url).scheme != "https":
            yield f"{name} must be https, or on this machine."


def _production(s: "Settings") -> Iterator[str]:
    if s.database_url is None:
        yield "Production needs a database: set DASHTAM_DATABASE_URL, or use `dashtam up`."
    if s.keyring is None:
        yield "Production needs its own keys: set DASHTAM_KEYRING to the file that holds them."
    if s.debug:
        yield "Production shows no debug output: unset DASHTAM_DEBUG."
    if s.documents == "open":
        yield "DASHTAM_DOCUMENTS=open is for development: give log, or trusted."
    yield from _addresses(s)
    yield from _passwords(s)
    yield from _networks(s)
    yield from _providers(s)
    yield from _rates(s)


def _addresses(s: "Settings") -> Iterator[str]:
    if not _is_safe(s.public_url):
        yield "DASHTAM_PUBLIC_URL must be https in production: give the address that clients use."
    if not _is_loopback(s.host) and urlsplit(s.public_url).scheme != "https":
        yield (
            "DASHTAM_HOST lets other machines in: set DASHTAM_PUBLIC_URL to the https address "
            "that clients use."
        )
    if s.app_url is not None and not _is_safe(s.app_url):
        yield "DASHTAM_APP_URL must be https in production: mails link to it with their tokens."
    for origin in s.allowed_origins:
        if "://" in origin and not _is_safe(origin):
            yield f"DASHTAM_ALLOWED_ORIGINS has {origin}: in production each must be https."


def _passwords(s: "Settings") -> Iterator[str]:
    argon2 = s.argon2
    if argon2.memory_kib < 7_168 or argon2.memory_kib * argon2.iterations < 7_168 * 5:
        # OWASP's weakest of equals: m=7168, t=5.
        yield f"DASHTAM_ARGON2 is too cheap for production: give {type(argon2)()} or more."
    if argon2.memory_kib > ARGON2_KIB_MAX:
        yield f"DASHTAM_ARGON2 takes {argon2.memory_kib} KiB a sign-in: at most {ARGON2_KIB_MAX}."
    for name, url in (
        ("DATABASE_URL", s.database_url),
        ("MIGRATIONS_URL", s.migrations_url),
        ("REDIS_URL", s.redis_url),
    ):
        parts = urlsplit(url or "")
        if parts.password is not None and parts.password in WELL_KNOWN | {parts.username}:
            yield f"{PREFIX}{name} has a password that everybody knows: give the user another."
    if s.smtp_url and s.mail_from.endswith("@localhost"):
        yield "DASHTAM_MAIL_FROM must be an address of your own where DASHTAM_SMTP_URL is set."


def _networks(s: "Settings") -> Iterator[str]:
    for network in s.trusted_proxies:
        if _is_everybody(network):
            yield f"DASHTAM_TRUSTED_PROXIES has {network}, which is anyone's: name the proxy's own."
    for name, url in (("DATABASE_URL", s.database_url), ("MIGRATIONS_URL", s.migrations_url)):
        parts = urlsplit(url or "")
        if "sslmode=disable" in parts.query and _is_global(parts.hostname):
            yield f"{PREFIX}{name} crosses the internet in clear: give it sslmode=verify-full."
    redis = urlsplit(s.redis_url or "")
    if redis.scheme == "redis" and _is_global(redis.hostname):
        yield "DASHTAM_REDIS_URL crosses the internet in clear: give rediss://."


def _providers(s: "Settings") -> Iterator[str]:
    for name, url in _bases(s):
        if urlsplit(url).scheme != "https" or not _is_public(urlsplit(url).hostname):
            yield f"{name} must be https and public in production."
    for host in s.simplefin_hosts:
        if host.startswith("*.") and host.count(".") < WILDCARD_DOTS_MIN:
            yield f"DASHTAM_SIMPLEFIN_HOSTS has {host}, which is anyone's: name the bridge's own."
        if ":" in host:
            yield f"DASHTAM_SIMPLEFIN_HOSTS has {host}: in production give it without a port."
    for first, second, both in (
        ("SCHWAB_CLIENT_ID", "SCHWAB_CLIENT_SECRET", (s.schwab_client_id, s.schwab_client_secret)),
        ("ALPACA_CLIENT_ID", "ALPACA_CLIENT_SECRET", (s.alpaca_client_id, s.alpaca_client_secret)),
        ("PLAID_CLIENT_ID", "PLAID_SECRET", (s.plaid_client_id, s.plaid_secret)),
    ):
        if (both[0] is None) is not (both[1] is None):
            there, lacks = (second, first) if both[0] is None else (first, second)
            yield f"{PREFIX}{there} is of no use without {PREFIX}{lacks}: give both, or neither."


def _rates(s: "Settings") -> Iterator[str]:
    if s.limits.sign_in_account > GUESSES_MAX:
        yield f"DASHTAM_LIMIT_SIGN_IN_ACCOUNT is at most {GUESSES_MAX} in production."
    if s.limits.cost > s.limits.points:
        yield "DASHTAM_LIMIT_COST is more than DASHTAM_LIMIT_POINTS: nobody could pay for that."


def _bases(s: "Settings") -> list[tuple[str, str]]:
    urls = (s.schwab_base_url, s.alpaca_base_url, s.plaid_base_url, s.rates_url)
    names = ("SCHWAB_BASE_URL", "ALPACA_BASE_URL", "PLAID_BASE_URL", "RATES_URL")
    return [(PREFIX + name, url) for name, url in zip(names, urls, strict=True) if url]


def _is_safe(url: str) -> bool:
    parts = urlsplit(url)
    return parts.scheme == "https" or _is_loopback(parts.hostname)


def _is_everybody(network: "Network") -> bool:
    return not network.is_private and network.prefixlen < PROXY_BITS_MIN[network.version]


def _is_loopback(host: str | None) -> bool:
    try:
        return host == "localhost" or ipaddress.ip_address(host or "").is_loopback
    except ValueError:
        return False


def _is_global(host: str | None) -> bool:
    """An address of the internet; where a name leads, nobody knows yet."""
    try:
        return ipaddress.ip_address(host or "").is_global
    except ValueError:
        return False


def _is_public(host: str | None) -> bool:
    try:
        return ipaddress.ip_address(host or "").is_global
    except ValueError:  # a name; where it leads is checked when it is dialled
        return bool(host) and host != "localhost" and not str(host).endswith(".localhost")
