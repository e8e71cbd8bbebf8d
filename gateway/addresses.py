"""Where a request comes from."""

from collections.abc import Sequence
from functools import lru_cache
from ipaddress import IPv4Address, IPv6Address, ip_address

from starlette.datastructures import Headers
from starlette.requests import HTTPConnection

from domain.commands.attempts import network_of_address
from gateway.settings import Network

KEPT = 4_096  # addresses that are not read again
HOPS_MAX = 16

Address = IPv4Address | IPv6Address

network_of = lru_cache(maxsize=KEPT)(network_of_address)


def address_of(connection: HTTPConnection, trusted: Sequence[Network]) -> str | None:
    """The client's address; what a proxy says of it counts only where the proxy is trusted.

    None where it, or one that a trusted proxy names, is not an address.
    """
    peer = connection.client.host if connection.client else ""
    found: Address | None = None
    for hop in (peer, *reversed(_forwarded(connection.headers))):
        found = _address(hop)
        if found is None or not any(found in network for network in trusted):
            break
    return None if found is None else str(found)


def _forwarded(headers: Headers) -> list[str]:
    said = ",".join(headers.getlist("x-forwarded-for"))
    return [hop.strip() for hop in said.split(",") if hop.strip()][-HOPS_MAX:]


@lru_cache(maxsize=KEPT)
def _address(said: str) -> Address | None:
    """Without a port, a zone, or the form that IPv6 has for an IPv4 address."""
    if said.startswith("["):
        said = said[1:].partition("]")[0]
    elif said.count(":") == 1:
        said = said.partition(":")[0]
    try:
        found = ip_address(said.partition("%")[0])
    except ValueError:
        return None
    return (found.ipv4_mapped or found) if isinstance(found, IPv6Address) else found
