"""Links, with the lease that somebody has on one."""

from collections.abc import Sequence

import asyncpg

from adapters.postgres.reads.statements import Statements
from domain.errors import ErrorCode, LinkAction
from domain.links import Lease, Link, LinkId, LinkStatus, SyncError

LINKS = """
SELECT id, user_id, provider_slug, status, created_at, alias, login, institution, connected_at,
    last_synced_at, next_sync_at, credentials_expire_at, sync_every_s, consecutive_failures,
    cursor, lease_holder, lease_until, lease_fence, error_code, error_message, error_action,
    error_retry_after_s, expiry_due_at
FROM links WHERE user_id = $1{some} ORDER BY connected_at NULLS LAST, id"""
ALL = LINKS.format(some="")
BY_ID = LINKS.format(some=" AND id = ANY($2::uuid[])")

STATUSES = dict(LinkStatus.__members__)
CODES = dict(ErrorCode.__members__)
ACTIONS = dict(LinkAction.__members__)


class LinkReads(Statements):
    async def links(self, ids: Sequence[LinkId] | None = None) -> list[Link]:
        if ids is None:
            return [link_of(row) for row in await self.fetch(ALL, self._viewer)]
        if not ids:
            return []
        return [link_of(row) for row in await self.fetch(BY_ID, self._viewer, ids)]


def link_of(row: asyncpg.Record) -> Link:
    (
        id,
        user_id,
        provider_slug,
        status,
        created_at,
        alias,
        login,
        institution,
        connected_at,
        last_synced_at,
        next_sync_at,
        credentials_expire_at,
        sync_every_s,
        consecutive_failures,
        cursor,
        holder,
        until,
        fence,
        code,
        message,
        action,
        retry_after_s,
        expiry_due_at,
    ) = row
    leased = holder is not None and until is not None
    return Link(
        id=id,
        user_id=user_id,
        provider_slug=provider_slug,
        status=STATUSES[status],
        created_at=created_at,
        alias=alias,
        login=login,
        institution=institution,
        connected_at=connected_at,
        last_synced_at=last_synced_at,
        next_sync_at=next_sync_at,
        credentials_expire_at=credentials_expire_at,
        sync_every_s=sync_every_s,
        consecutive_failures=consecutive_failures,
        cursor=cursor,
        error=None
        if code is None
        else SyncError(
            code=CODES[code],
            message=message or "",
            retry_after_s=retry_after_s,
            action=None if action is None else ACTIONS[action],
        ),
        expiry_due_at=expiry_due_at,
        lease=Lease(holder=holder, until=until, fence=fence) if leased else None,
    )
