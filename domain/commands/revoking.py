"""Telling providers to honour our logins no more."""

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from domain.errors import DomainError, Unavailable
from domain.links import AuthMethod
from domain.ports import App
from domain.providers import Revoking

REVOKE_MAX = timedelta(seconds=5)  # for all of them, asked at once
OURS_ALONE = {AuthMethod.NONE, AuthMethod.FILE_IMPORT}  # nothing was granted to us


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What one provider lets us do, by these credentials; None where they do not open."""

    provider_slug: str
    credentials: Mapping[str, str] | None = field(repr=False)


async def revoke_upstream(
    app: App, grants: Sequence[Grant], at: datetime, *, within: timedelta = REVOKE_MAX
) -> list[str]:
    """Ask each provider that can be told, within a deadline and outside of any transaction.

    The names of those at which something stands that only its owner can withdraw: they cannot be
    told, did not answer in time, or refused.
    """
    if not grants:
        return []
    asked = [asyncio.create_task(_revoked(app, grant, at)) for grant in grants]
    _, late = await asyncio.wait(asked, timeout=within.total_seconds())
    for task in late:
        task.cancel()
    await asyncio.gather(*late, return_exceptions=True)
    standing = set()
    for grant, task in zip(grants, asked, strict=True):
        if task in late or task.exception() is not None or not task.result():
            provider = app.providers.get(grant.provider_slug)
            standing.add(grant.provider_slug if provider is None else provider.info.name)
    return sorted(standing)


async def _revoked(app: App, grant: Grant, at: datetime) -> bool:
    provider = app.providers.get(grant.provider_slug)
    if provider is None:  # it is offered no more
        return False
    if {*provider.info.auth_methods} <= OURS_ALONE and not isinstance(provider, Revoking):
        return True
    if grant.credentials is None or not isinstance(provider, Revoking):
        return False
    try:
        await provider.revoke(grant.credentials, at)
    except (DomainError, Unavailable):
        return False
    return True
