"""How often something may be tried, and by whom."""

from ipaddress import ip_address, ip_network

from domain.errors import RateLimited
from domain.identity import Actor
from domain.ports import App, Limit


async def take(app: App, key: str, limit: Limit) -> None:
    verdict = await app.limits.take(key, limit)
    if not verdict.allowed:
        wait = int(verdict.retry_after_s) + 1
        raise RateLimited(f"too many attempts; try again in {wait} s", retry_after_s=wait)


def place_of(actor: Actor) -> str:
    """From where: an address, or of IPv6 the /64, all of which one household has."""
    try:
        address = ip_address(actor.ip_address or "")
    except ValueError:
        return "address:unknown"
    return f"address:{ip_network((address, 64), strict=False) if address.version == 6 else address}"
