"""Who is asking: a bearer token or the session's cookie, checked on each request.

What the database says of a session is remembered for a few seconds. News of a session that ended,
of a user who changed and of a rotation of all tokens are sent as they commit, and drop it at once;
where news got lost, those few seconds are how long it can last.
"""

import asyncio
from collections.abc import Awaitable, Callable, Hashable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TypeVar

import structlog
from starlette.requests import HTTPConnection, Request

from adapters.memory.cache import SessionCache
from adapters.security.tokens import AccessClaims, InvalidToken, Tokens, is_secret
from domain.identity import Actor, SessionId, UserId
from domain.ports import Devices
from domain.storage.doors import Doors, LiveSession
from gateway.addresses import address_of, network_of
from gateway.cookies import DEVICE, DEVICE_CHARS_MAX, Cookies, cookie_said
from gateway.operations.faults import Fault
from gateway.settings import Network
from schema.permissions import signed_out_fields

SESSION_CACHE_S = 5.0  # the longest that an ended session could last if its news were lost
SESSIONS_MAX = 20_000
SEEN_S = 900.0  # as long as an access token lives, by which one is known again before a look
NOTE_AGAIN_S = 60.0  # after a use that may have been noted, or not

# What works signed out, and takes no notice of credentials that are no longer good.
OPEN_FIELDS = frozenset({"__typename", *signed_out_fields()})

K = TypeVar("K")

log = structlog.get_logger("dashtam.sessions")


@dataclass(frozen=True, slots=True, kw_only=True)
class Admitted:
    """`until` is when it has to be asked again: an access token or a cookie's session is over."""

    actor: Actor
    until: datetime


@dataclass(frozen=True, slots=True, kw_only=True)
class _Presented:
    live: LiveSession
    until: datetime
    secret: str | None = field(default=None, repr=False)  # of a cookie


class Authenticator:
    """`hears` says whether news of ended sessions arrive; where they do not, none is remembered.
    `note_use` is not waited for: `noting` are those calls of it that are under way.
    `ending` are told of a session that ended, or with None that any may have; `changing` of a user
    who has to be asked again.
    """

    def __init__(
        self,
        *,
        tokens: Tokens,
        devices: Devices,
        doors: Doors,
        note_use: Callable[[Actor, datetime], Awaitable[None]],
        now: Callable[[], datetime],
        hears: Callable[[], bool],
        secure: bool,
        trusted_proxies: Sequence[Network],
    ) -> None:
        self._tokens, self._doors, self._now, self._hears = tokens, doors, now, hears
        self._trusted, self._note_use, self._devices = trusted_proxies, note_use, devices
        self.cookies = Cookies(secure=secure)
        self._read: SessionCache[bytes, AccessClaims] = SessionCache(size_max=SESSIONS_MAX)
        self._by_id: SessionCache[SessionId, LiveSession] = SessionCache(size_max=SESSIONS_MAX)
        self._by_hash: SessionCache[bytes, LiveSession] = SessionCache(size_max=SESSIONS_MAX)
        self._seen: SessionCache[bytes, UserId] = SessionCache(size_max=SESSIONS_MAX)
        self._noted: SessionCache[SessionId, bool] = SessionCache(size_max=SESSIONS_MAX)
        self.noting: set[asyncio.Task[None]] = set()
        self.ending: list[Callable[[SessionId | None], None]] = []
        self.changing: list[Callable[[UserId], None]] = []

    async def actor(self, request: Request, *, root_fields: frozenset[str]) -> Actor | None:
        """Who asks; None where nobody says who they are.

        Raises:
            Fault: 401, the credentials are not or no longer good, and the operation needs them.
            Unavailable: nobody can look.
        """
        try:
            return await self._actor(request)
        except Fault:
            if root_fields <= OPEN_FIELDS:
                return None
            raise

    async def signed_in(self, request: Request) -> UserId:
        """Who asks, where that has to be somebody.

        Raises:
            Fault: 401, also where nobody says who they are.
            Unavailable: nobody can look.
        """
        actor = await self._actor(request)
        if actor is None:
            raise _unauthenticated("sign in first")
        return actor.user_id

    async def admitted(
        self, connection: HTTPConnection, authorization: str | None
    ) -> Admitted | None:
        """Whose socket it is; None where nobody says who they are.

        `authorization` is what was said on the socket, before what its headers say. The use of a
        cookie is not noted: it would not live on in the browser, to which only an answer over
        HTTP can say so.

        Raises: Fault 401, Unavailable.
        """
        found = await self._presented(connection, authorization)
        if found is None:
            return None
        ip = self.address(connection)
        if found.secret is None:
            self._use(found.live, ip)
        return Admitted(actor=_actor(found.live, ip), until=found.until)

    async def _actor(self, request: Request) -> Actor | None:
        found = await self._presented(request, None)
        if found is None:
            return None
        ip = self.address(request)
        noted = self._use(found.live, ip)
        if found.secret is not None:
            request.state.by_cookie = True
            if noted:
                request.state.cookie_again = found.secret
        return _actor(found.live, ip)

    async def _presented(
        self, connection: HTTPConnection, authorization: str | None
    ) -> _Presented | None:
        header = authorization or connection.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise _unauthenticated("send Authorization: Bearer and an access token")
            found = await self._by_token(token := token.strip())
            return self._saw(token, found)
        secret = connection.cookies.get(self.cookies.session)
        if secret is None:
            return None
        live = await self._by_cookie(secret)
        return self._saw(secret, _Presented(live=live, until=live.until, secret=secret))

    def _saw(self, presented: str, found: _Presented) -> _Presented:
        self._seen.put(self._tokens.digest(presented), found.live.session.user_id, ttl_s=SEEN_S)
        return found

    def whose(self, connection: HTTPConnection) -> Hashable:
        """By whom a request is counted before anything is looked up: the person whom the same
        token or cookie was found to be of, not long ago and here; else the one to whom the known
        device was given; else the network that it comes from. None of these is made up for free.
        """
        headers = connection.headers
        token, cookies = headers.get("authorization", ""), headers.get("cookie", "")
        presented = token.partition(" ")[2].strip() or cookie_said(self.cookies.session, cookies)
        if presented and (seen := self._seen.get(self._tokens.digest(presented))) is not None:
            return seen
        device = headers.get(DEVICE) or cookie_said(self.cookies.device, cookies)
        whom = self._devices.whom(device) if 0 < len(device) <= DEVICE_CHARS_MAX else None
        return whom or self.network(connection)

    def network(self, connection: HTTPConnection) -> str:
        return network_of(self.address(connection))

    def address(self, connection: HTTPConnection) -> str | None:
        return address_of(connection, self._trusted)

    async def _by_token(self, token: str) -> _Presented:
        now = self._now()
        claims = self._claims_of(token, now)
        user_id, session_id = UserId(claims.user_id), SessionId(claims.session_id)
        live = await self._remembered(
            self._by_id, session_id, lambda: self._doors.session_by_id(user_id, session_id)
        )
        said = {"version": claims.version, "generation": claims.generation}
        # The session was looked up by its id alone where it was remembered.
        is_theirs = live is not None and live.session.user_id == user_id
        if live is None or not is_theirs or not live.admits(**said, at=now):
            raise _unauthenticated("the session is over")
        until = min(claims.expires_at, live.until, live.config.until(claims.generation))
        return _Presented(live=live, until=until)

    def _claims_of(self, token: str, now: datetime) -> AccessClaims:
        """Remembered for a few seconds too: a signature takes longer to check than all the rest.

        Raises: Fault 401.
        """
        digest = self._tokens.digest(token)
        claims = self._read.get(digest)
        if claims is None or claims.expires_at <= now:
            try:
                claims = self._tokens.read(token, now=now)
            except InvalidToken:
                raise _unauthenticated("the access token is not, or no longer, good") from None
            self._read.put(digest, claims, ttl_s=SESSION_CACHE_S)
        return claims

    async def _by_cookie(self, secret: str) -> LiveSession:
        if not is_secret(secret):
            raise _unauthenticated("the session is over")
        digest = self._tokens.digest(secret)
        live = await self._remembered(
            self._by_hash, digest, lambda: self._doors.session_by_hash(digest)
        )
        good = live is not None and live.session.is_cookie and live.session.refresh_hash == digest
        if live is None or not good or self._now() >= live.until:
            raise _unauthenticated("the session is over")
        return live

    async def _remembered(
        self,
        cache: SessionCache[K, LiveSession],
        key: K,
        look: Callable[[], Awaitable[LiveSession | None]],
    ) -> LiveSession | None:
        live = cache.get(key) if self._hears() else None
        # One that was good when we looked may have been prolonged since.
        if live is not None and not -SESSION_CACHE_S < self._left_s(live) <= 0:
            return live
        since = cache.drops
        live = await look()
        if live is not None:
            cache.put(key, live, ttl_s=SESSION_CACHE_S, since=since)
        return live

    def _left_s(self, live: LiveSession) -> float:
        return (live.until - self._now()).total_seconds()

    def _use(self, live: LiveSession, ip: str | None) -> bool:
        """Whether this is a use that is to be noted."""
        session, at = live.session, self._now()
        if session.used(at=at, ip=ip) == session or self._noted.get(session.id):
            return False
        self._noted.put(session.id, True, ttl_s=NOTE_AGAIN_S)
        task = asyncio.create_task(self._note(_actor(live, ip), at))
        self.noting.add(task)
        task.add_done_callback(self.noting.discard)
        return True

    async def _note(self, actor: Actor, at: datetime) -> None:
        try:
            await self._note_use(actor, at)
        except Exception:  # the request that it was noted for has its answer
            log.exception("session.use_not_noted")

    def came_by_cookie(self, request: Request) -> bool:
        """Whether it was the cookie that said who asks, once `actor` has looked."""
        return bool(getattr(request.state, "by_cookie", False))

    def cookie_again(self, request: Request) -> str | None:
        """The secret of a cookie that lives on from now, once `actor` has looked."""
        secret: str | None = getattr(request.state, "cookie_again", None)
        return secret

    def forget(self, session_id: SessionId) -> None:
        """It has ended: the next request looks again."""
        self._by_id.drop(session_id)
        self._by_hash.drop_where(lambda _, live: live.session.id == session_id)
        for told in self.ending:
            told(session_id)

    def forget_user(self, user_id: UserId) -> None:
        """Something about them has changed, such as their role: the next request looks again."""
        for cache in (self._by_id, self._by_hash):
            cache.drop_where(lambda _, live: live.session.user_id == user_id)
        for told in self.changing:
            told(user_id)

    def forget_all(self) -> None:
        """All tokens were rotated, or news may have been lost."""
        self._by_id.clear()
        self._by_hash.clear()
        for told in self.ending:
            told(None)


def _actor(live: LiveSession, ip: str | None) -> Actor:
    session = live.session
    return Actor(user_id=session.user_id, role=live.role, session_id=session.id, ip_address=ip)


def _unauthenticated(message: str) -> Fault:
    challenge = 'Bearer realm="dashtam", error="invalid_token"'
    return Fault(401, "UNAUTHENTICATED", message, {"www-authenticate": challenge})
