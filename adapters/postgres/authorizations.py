"""Authorizations under way, and the links that wait for them."""

from datetime import datetime

from sqlalchemy import bindparam, delete

from adapters.postgres.tables import links as t
from adapters.postgres.writing import ME, Writing
from domain.authorizations import GRACE, LIFETIME, Authorization
from domain.identity import SessionId, UserId
from domain.links import LinkId, LinkStatus

OWN = t.oauth_states.c.user_id == ME
TAKE = (
    delete(t.oauth_states)
    .where(
        OWN,
        t.oauth_states.c.digest == bindparam("digest"),
        t.oauth_states.c.session_id == bindparam("session"),
    )
    .returning(*t.oauth_states.c)
)
FORGET = delete(t.oauth_states).where(OWN, t.oauth_states.c.link_id == bindparam("link"))
FORGET_LAPSED = delete(t.oauth_states).where(OWN, t.oauth_states.c.expires_at <= bindparam("at"))
WAITING = (
    delete(t.links)
    .where(t.links.c.user_id == ME, t.links.c.status == LinkStatus.PENDING.name)
    .returning(t.links.c.id)
)
FORGET_LINK = WAITING.where(t.links.c.id == bindparam("id"))
FORGET_LINKS = WAITING.where(t.links.c.created_at <= bindparam("before"))


class Authorizations:
    def __init__(self, db: Writing) -> None:
        self._db = db

    async def add(self, authorization: Authorization) -> None:
        a = authorization
        row = {
            "id": a.id,
            "digest": a.digest,
            "session_id": a.session_id,
            "link_id": a.link_id,
            "mends": a.mends,
            "provider_slug": a.provider_slug,
            "redirect_uri": a.redirect_uri,
            "sealed_verifier": a.sealed_verifier,
            "return_to": a.return_to,
            "alias": a.alias,
            "created_at": a.created_at,
            "expires_at": a.expires_at,
        }
        await self._db.insert(t.oauth_states, [row])

    async def take(self, digest: bytes, session_id: SessionId) -> Authorization | None:
        row = await self._db.row(TAKE, digest=digest, session=session_id)
        if row is None:
            return None
        return Authorization(
            user_id=UserId(row["user_id"]),
            id=row["id"],
            session_id=SessionId(row["session_id"]),
            digest=row["digest"],
            provider_slug=row["provider_slug"],
            redirect_uri=row["redirect_uri"],
            sealed_verifier=row["sealed_verifier"],
            return_to=row["return_to"],
            link_id=LinkId(row["link_id"]),
            mends=row["mends"],
            alias=row["alias"],
            created_at=row["created_at"],
        )

    async def forget(self, link_id: LinkId) -> None:
        await self._db.run(FORGET, link=link_id)

    async def forget_link(self, id: LinkId) -> None:
        gone = await self._db.rows(FORGET_LINK, id=id)
        await self._db.mourn("link", [row["id"] for row in gone])

    async def forget_lapsed(self, at: datetime) -> None:
        await self._db.run(FORGET_LAPSED, at=at)
        gone = await self._db.rows(FORGET_LINKS, before=at - LIFETIME - GRACE)
        await self._db.mourn("link", [row["id"] for row in gone])
