"""How often something may be tried, and by whom."""

from decimal import Decimal
from ipaddress import IPv4Address, ip_address, ip_network
from math import ceil

from domain.errors import RateLimited
from domain.identity import Actor, UserId, folded_email
from domain.limits import Limit
from domain.ports import App


async def take(app: App, key: str, limit: Limit, cost: int = 1) -> None:
    """Raises RateLimited, and Unavailable where nobody can tell."""
    verdict = await app.limits.take(key, limit, cost)
    if not verdict.allowed:
        raise _too_many(key, limit, verdict.retry_after_s)


async def look(app: App, key: str, limit: Limit) -> None:
    """Whether there is one to take, which is not taken. Raises what `take` does."""
    verdict = await app.limits.take(key, limit, 0)
    if verdict.remaining < 1:
        raise _too_many(key, limit, verdict.next_s)


def _too_many(key: str, limit: Limit, retry_after_s: Decimal) -> RateLimited:
    wait = max(1, ceil(retry_after_s))
    return RateLimited(
        f"too many attempts; try again in {wait} s",
        retry_after_s=wait,
        key=f"{limit.name}:{key}",
        burst=limit.burst,
        per_seconds=limit.per_seconds,
    )


async def take_sign_in(app: App, actor: Actor, email: str, *, is_known: bool) -> None:
    """One attempt to sign in to an account, known or not.

    `is_known`: from a device that has signed in to this account before, and has proved it. Those
    have a bucket of their own, so that neither those who guess at the account nor its neighbours
    behind the same address keep its owner out; one for all of them, since whoever knows the
    password is given as many devices as they like.
    """
    limits = app.limit_settings
    if is_known:
        await take(app, account_of(email), limits.sign_in_device)
        return
    await take(app, network_of(actor), limits.sign_in_address)
    await take(app, account_of(email), limits.sign_in_account)


def account_of(email: str) -> str:
    """By the address as it is looked up, whether or not it is one, or somebody's."""
    return f"account:{folded_email(email)}"


def user_of(user_id: UserId) -> str:
    return f"user:{user_id}"


def network_of(actor: Actor) -> str:
    return network_of_address(actor.ip_address)


def network_of_address(said: str | None) -> str:
    """From where: an address, or of IPv6 the /64, all of which one household has."""
    try:
        address = ip_address(said or "")
    except ValueError:
        return "address:unknown"
    if isinstance(address, IPv4Address):
        return f"address:{address}"
    if address.ipv4_mapped is not None:
        return f"address:{address.ipv4_mapped}"
    return f"address:{ip_network((address, 64), strict=False)}"
