"""Links, their leases and their sealed credentials."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from datetime import datetime
from typing import Any

from sqlalchemy import Select, bindparam, select, text, update

from adapters.postgres.connections import refused_by
from adapters.postgres.tables import links as t
from adapters.postgres.writing import ME, Row, Writing, among, locked
from domain.errors import Conflict, ErrorCode, LinkAction, NotFound
from domain.identity import NOBODY
from domain.links import (
    Lease,
    Link,
    LinkId,
    LinkStatus,
    Renewal,
    SealedCredentials,
    SyncError,
)

LINK = select(*t.links.c).where(t.links.c.user_id == ME)
ONE = LINK.where(t.links.c.id == bindparam("id"))
OF_LOGIN = LINK.where(
    t.links.c.provider_slug == bindparam("slug"),
    t.links.c.login == bindparam("login"),
    t.links.c.status != LinkStatus.DISCONNECTED.name,
)
OF_STATUS = LINK.where(among(t.links.c.status, "statuses")).order_by(
    t.links.c.connected_at.nulls_last(), t.links.c.id
)
OF_UPSTREAM = LINK.where(
    t.links.c.upstream == bindparam("upstream"),
    t.links.c.status != LinkStatus.DISCONNECTED.name,
)
SAVE = update(t.links).where(t.links.c.user_id == ME, t.links.c.id == bindparam("row_id"))
CREDENTIALS = text("""
SELECT sealed, version, renew_at, renewal_fence, renewal_attempt, renewal_began_at
FROM credentials WHERE user_id = :me AND link_id = :id""")
NEW_VERSION = text("SELECT nextval('credentials_versions') AS version")
SAVE_CREDENTIALS = text("""
INSERT INTO credentials (user_id, link_id, sealed, version, renew_at, updated_at)
VALUES (:me, :id, :sealed, :version, CAST(:renew_at AS timestamptz), clock_timestamp())
ON CONFLICT (user_id, link_id) DO UPDATE
SET sealed = EXCLUDED.sealed, version = EXCLUDED.version, updated_at = EXCLUDED.updated_at,
    renew_at = EXCLUDED.renew_at, renewal_fence = NULL, renewal_attempt = NULL,
    renewal_began_at = NULL""")
SAVE_RENEWAL = text("""
UPDATE credentials SET renewal_fence = CAST(:fence AS bigint),
    renewal_attempt = CAST(:attempt AS integer), renewal_began_at = CAST(:began_at AS timestamptz)
WHERE user_id = :me AND link_id = :id""")
SHRED_CREDENTIALS = text("DELETE FROM credentials WHERE user_id = :me AND link_id = :id")

# What syncing keeps about a link, which nobody is told of by the change feed.
BOOKKEEPING = frozenset(
    {
        "last_synced_at",
        "next_sync_at",
        "consecutive_failures",
        "cursor",
        "lease_holder",
        "lease_until",
        "lease_fence",
        "expiry_due_at",
        "upstream",
        "news_at",
    }
)


class Links:
    def __init__(self, db: Writing) -> None:
        self._db = db
        self._locked: dict[LinkId, Mapping[str, Any]] = {}  # as they are: only we can write them

    async def get(self, id: LinkId, *, lock: bool = False) -> Link:
        return _link(await self._lock(id) if lock else await self._row(ONE, id))

    async def by_login(self, provider_slug: str, login: str) -> Link | None:
        row = await self._db.row(OF_LOGIN, slug=provider_slug, login=login)
        return None if row is None else _link(row)

    async def by_upstream(self, upstream: str) -> Link | None:
        row = await self._db.row(OF_UPSTREAM, upstream=upstream)
        return None if row is None else _link(row)

    async def list(self, statuses: Sequence[LinkStatus]) -> Sequence[Link]:
        rows = await self._db.rows(OF_STATUS, statuses=[s.name for s in statuses])
        return [_link(row) for row in rows]

    async def add(self, link: Link) -> None:
        stamp = {"data_version": await self._db.version()}
        with _linked_already():
            await self._db.insert(t.links, [{"id": link.id, **_values(link), **stamp}])

    async def save(self, link: Link) -> None:
        """Takes a data version only if more than the bookkeeping of syncs has changed."""
        was = self._locked.get(link.id) or await self._lock(link.id)
        new = {k: v for k, v in _saved(link, was).items() if was[k] != v}
        if not new:
            return
        if not new.keys() <= BOOKKEEPING:
            new["data_version"] = await self._db.version()
        with _linked_already():
            await self._db.run_each(SAVE, [{"row_id": link.id, **new}])
        self._locked[link.id] = {**was, **new}

    async def _lock(self, id: LinkId) -> Mapping[str, Any]:
        row = self._locked[id] = await self._row(locked(ONE), id)
        return row

    async def _row(self, one: Select[Any], id: LinkId) -> Mapping[str, Any]:
        row = await self._db.row(one, id=id)
        if row is None:
            raise NotFound("no such link")
        return dict(row)

    async def credentials(self, id: LinkId) -> SealedCredentials | None:
        row = await self._db.row(CREDENTIALS, id=id)
        if row is None:
            return None
        renewal = None
        if row["renewal_fence"] is not None:
            renewal = Renewal(
                fence=row["renewal_fence"],
                attempt=row["renewal_attempt"],
                began_at=row["renewal_began_at"],
            )
        return SealedCredentials(row["sealed"], row["version"], row["renew_at"], renewal)

    async def save_credentials(
        self, id: LinkId, seal: Callable[[int], bytes], *, renew_at: datetime | None = None
    ) -> None:
        # Of a sequence, since a count in the row would begin again once it was shredded.
        [drawn] = await self._db.rows(NEW_VERSION)
        version = drawn["version"]
        given = {"sealed": seal(version), "version": version, "renew_at": renew_at}
        await self._db.run(SAVE_CREDENTIALS, id=id, **given)

    async def save_renewal(self, id: LinkId, renewal: Renewal | None) -> None:
        given = {
            "fence": renewal.fence if renewal else None,
            "attempt": renewal.attempt if renewal else None,
            "began_at": renewal.began_at if renewal else None,
        }
        await self._db.run(SAVE_RENEWAL, id=id, **given)

    async def shred_credentials(self, id: LinkId) -> None:
        await self._db.run(SHRED_CREDENTIALS, id=id)


def _linked_already() -> AbstractContextManager[None]:
    return refused_by("ux_links_login", Conflict("this login is linked already"))


def _saved(link: Link, was: Row) -> dict[str, Any]:
    """The row to be: its fence never goes back."""
    values = _values(link)
    return {**values, "lease_fence": max(values["lease_fence"], was["lease_fence"])}


def _link(row: Row) -> Link:
    lease = None
    if row["lease_fence"]:
        # One that was given back is nobody's and long over, and tells the next fence.
        holder, until = row["lease_holder"] or NOBODY, row["lease_until"] or row["created_at"]
        lease = Lease(holder=holder, until=until, fence=row["lease_fence"])
    return Link(
        id=row["id"],
        user_id=row["user_id"],
        provider_slug=row["provider_slug"],
        status=LinkStatus[row["status"]],
        created_at=row["created_at"],
        alias=row["alias"],
        login=row["login"],
        institution=row["institution"],
        connected_at=row["connected_at"],
        last_synced_at=row["last_synced_at"],
        next_sync_at=row["next_sync_at"],
        credentials_expire_at=row["credentials_expire_at"],
        sync_every_s=row["sync_every_s"],
        consecutive_failures=row["consecutive_failures"],
        cursor=row["cursor"],
        error=_error(row),
        expiry_due_at=row["expiry_due_at"],
        upstream=row["upstream"],
        news_at=row["news_at"],
        lease=lease,
    )


def _error(row: Row) -> SyncError | None:
    if row["error_code"] is None:
        return None
    action = row["error_action"]
    return SyncError(
        code=ErrorCode[row["error_code"]],
        message=row["error_message"],
        retry_after_s=row["error_retry_after_s"],
        action=None if action is None else LinkAction[action],
    )


def _values(link: Link) -> dict[str, Any]:
    error = link.error
    is_held = link.lease is not None and link.lease.holder != NOBODY
    return {
        "provider_slug": link.provider_slug,
        "status": link.status.name,
        "created_at": link.created_at,
        "alias": link.alias,
        "login": link.login,
        "institution": link.institution,
        "connected_at": link.connected_at,
        "last_synced_at": link.last_synced_at,
        "next_sync_at": link.next_sync_at,
        "credentials_expire_at": link.credentials_expire_at,
        "sync_every_s": link.sync_every_s,
        "consecutive_failures": link.consecutive_failures,
        "cursor": link.cursor,
        "lease_holder": link.lease.holder if is_held and link.lease else None,
        "lease_until": link.lease.until if is_held and link.lease else None,
        "lease_fence": link.lease.fence if link.lease else 0,
        "error_code": error.code.name if error else None,
        "error_message": error.message if error else None,
        "error_action": error.action.name if error and error.action else None,
        "error_retry_after_s": error.retry_after_s if error else None,
        "expiry_due_at": link.expiry_due_at,
        "upstream": link.upstream,
        "news_at": link.news_at,
    }
