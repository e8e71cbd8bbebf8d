"""Who is asking: a bearer token or the session's cookie, checked on each request."""

import ipaddress
from collections.abc import Callable, Sequence
from datetime import datetime

from starlette.datastructures import Headers
from starlette.requests import Request

from adapters.memory.cache import SessionCache
from adapters.security.tokens import InvalidToken, Tokens
from domain.identity import Actor, SessionId, UserId
from domain.ports import Doors, LiveSession
from gateway.faults import Fault
from gateway.settings import Network

SESSION_CACHE_S = 5.0  # the longest that an ended session could last if its news were lost
SESSIONS_MAX = 20_000
COOKIE_AGE_S = 30 * 86_400

# What works signed out, and takes no notice of credentials that are no longer good.
OPEN_FIELDS = frozenset(
    {
        *("register", "verifyEmail", "signIn", "refreshSession"),
        *("requestPasswordReset", "resetPassword", "providers", "importFormats", "__typename"),
    }
)


class Authenticator:
    """`secure`: clients come by https, so the cookie is a `__Host-` one."""

    def __init__(
        self,
        *,
        tokens: Tokens,
        doors: Doors,
        now: Callable[[], datetime],
        secure: bool,
        trusted_proxies: Sequence[Network],
    ) -> None:
        self._tokens, self._doors, self._now = tokens, doors, now
        self._trusted = trusted_proxies
        self.cookie = "__Host-dashtam" if secure else "dashtam"
        self._secure = secure
        self._by_id: SessionCache[SessionId, LiveSession] = SessionCache(size_max=SESSIONS_MAX)
        self._by_hash: SessionCache[bytes, LiveSession] = SessionCache(size_max=SESSIONS_MAX)

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

    async def _actor(self, request: Request) -> Actor | None:
        ip = self.address(request)
        header = request.headers.get("authorization")
        if header is not None:
            scheme, _, token = header.partition(" ")
            if scheme.lower() != "bearer":
                raise _unauthenticated("send Authorization: Bearer and an access token")
            return await self._by_token(token.strip(), ip)
        secret = request.cookies.get(self.cookie)
        return None if secret is None else await self._by_cookie(secret, ip)

    async def _by_token(self, token: str, ip: str | None) -> Actor:
        now = self._now()
        try:
            claims = self._tokens.read(token, now=now)
        except InvalidToken:
            raise _unauthenticated("the access token is not, or no longer, good") from None
        user_id, session_id = UserId(claims.user_id), SessionId(claims.session_id)
        live = self._by_id.get(session_id)
        if live is None:
            since = self._by_id.drops
            live = await self._doors.session_by_id(user_id, session_id)
            if live is not None:
                self._by_id.put(session_id, live, ttl_s=SESSION_CACHE_S, since=since)
        if live is None or not live.session.is_live(now) or claims.version != live.token_version:
            raise _unauthenticated("the session is over")
        return _actor(live, ip)

    async def _by_cookie(self, secret: str, ip: str | None) -> Actor:
        digest = self._tokens.digest(secret[:256])
        live = self._by_hash.get(digest)
        if live is None:
            since = self._by_hash.drops
            live = await self._doors.session_by_hash(digest)
            if live is not None:
                self._by_hash.put(digest, live, ttl_s=SESSION_CACHE_S, since=since)
        good = live is not None and live.session.is_cookie and live.session.refresh_hash == digest
        if live is None or not good or not live.session.is_live(self._now()):
            raise _unauthenticated("the session is over")
        return _actor(live, ip)

    def forget(self, session_id: SessionId) -> None:
        """It has ended: the next request looks again."""
        self._by_id.drop(session_id)
        self._by_hash.drop_where(lambda _, live: live.session.id == session_id)

    def forget_all(self) -> None:
        """News may have been lost."""
        self._by_id.clear()
        self._by_hash.clear()

    def address(self, request: Request) -> str | None:
        """The client's address; what a proxy says of it counts only where the proxy is trusted."""
        peer = request.client.host if request.client else None
        hops = [peer, *reversed(_forwarded(request.headers))]
        for hop in hops:
            if hop is None or not self._is_trusted(hop):
                return hop
        return hops[-1]

    def _is_trusted(self, address: str) -> bool:
        try:
            found = ipaddress.ip_address(address)
        except ValueError:
            return False
        return any(found in network for network in self._trusted)

    def set_cookie(self, secret: str) -> tuple[str, str]:
        return "set-cookie", self._cookie_text(secret, COOKIE_AGE_S)

    def clear_cookie(self) -> tuple[str, str]:
        return "set-cookie", self._cookie_text("", 0)

    def _cookie_text(self, value: str, age_s: int) -> str:
        secure = "; Secure" if self._secure else ""
        return f"{self.cookie}={value}; Path=/; Max-Age={age_s}; HttpOnly; SameSite=Lax{secure}"


def _forwarded(headers: Headers) -> list[str]:
    said = ",".join(headers.getlist("x-forwarded-for"))
    return [hop.strip() for hop in said.split(",") if hop.strip()][-16:]


def _actor(live: LiveSession, ip: str | None) -> Actor:
    session = live.session
    return Actor(user_id=session.user_id, role=live.role, session_id=session.id, ip_address=ip)


def _unauthenticated(message: str) -> Fault:
    challenge = 'Bearer realm="dashtam", error="invalid_token"'
    return Fault(401, "UNAUTHENTICATED", message, {"www-authenticate": challenge})
