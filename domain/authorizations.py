"""Consent that an owner is being asked for at a provider, from its beginning to the answer.

begun ──> the owner's browser at the provider ──> our callback ──> completed, in the same session
"""

import re
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Self
from urllib.parse import urlsplit
from uuid import UUID

from domain.errors import InvalidInput
from domain.identity import SessionId, UserId
from domain.links import LinkId
from domain.secret import Secret

LIFETIME = timedelta(minutes=10)
GRACE = timedelta(minutes=1)  # for a completion that is under way as it ends
RETURN_CHARS_MAX = 2_000

_STATE = re.compile(r"[A-Za-z0-9_-]{43}")  # 256 bits
_CODE = re.compile(r"[\x20-\x7e]{1,4096}")  # RFC 6749, A.11
_ERROR = re.compile(r"[A-Za-z0-9_.-]{1,64}")  # less than A.7 has: nothing that could be markup
_ISSUER = re.compile(r"https?://[\x21-\x7e]{1,500}")
# Nothing before the host, no way out of the path, and no fragment, which is ours to add.
_PATH = r"[A-Za-z0-9._~:/?\[\]@!$&*+'(),;=%-]*"
_WEB = re.compile(
    r"(https?://(?:[a-z0-9.-]+|\[[0-9a-f:.]+\])(?::[0-9]{1,5})?)(?:[/?]" + _PATH + ")?",
    re.ASCII | re.IGNORECASE,
)
# RFC 8252, 7.1: an app's own scheme is a domain name turned round, so it has a dot.
_APP = re.compile(r"([a-z][a-z0-9-]*(?:\.[a-z0-9-]+)+):/" + _PATH)
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True, slots=True, kw_only=True)
class Authorization:
    """One attempt; of its state we keep a digest. `link_id` is the link that waits for it, or one
    that it `mends`; `alias` is for the latter.
    """

    user_id: UserId
    id: UUID
    session_id: SessionId
    digest: bytes
    provider_slug: str
    redirect_uri: str
    sealed_verifier: bytes = field(repr=False)  # of PKCE
    return_to: str | None
    link_id: LinkId
    mends: bool
    alias: str | None
    created_at: datetime

    @property
    def expires_at(self) -> datetime:
        return self.created_at + LIFETIME


@dataclass(frozen=True, slots=True, kw_only=True)
class Begun:
    """What may be known of an attempt by whoever brings its state. `is_own`: in the session that
    began it."""

    provider_slug: str
    return_to: str | None
    is_own: bool


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """An authorization response (RFC 6749, 4.1.2; RFC 9207): a code, or why there is none."""

    state: Secret
    code: Secret | None
    iss: str | None
    error: str | None

    @classmethod
    def of(cls, state: str, *, code: str | None, iss: str | None, error: str | None) -> Self:
        """Raises InvalidInput for what no provider says."""
        said = (("code", code, _CODE), ("iss", iss, _ISSUER), ("error", error, _ERROR))
        for name, text, form in (("state", state, _STATE), *said):
            if text is not None and not form.fullmatch(text):
                raise InvalidInput(f"this is no {name}", field=("input", name))
        if (code is None) is (error is None):
            raise InvalidInput("give either the code or the error", field=("input", "code"))
        return cls(
            state=Secret(state), code=None if code is None else Secret(code), iss=iss, error=error
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class Returns:
    """Where browsers come back: from a provider to us, and from us to the app that began.

    `origins` are scheme, host and port; `apps` the schemes of apps, None for any that is a domain
    name turned round.
    """

    public_url: str = ""
    origins: frozenset[str] = frozenset()
    apps: frozenset[str] | None = frozenset()

    def redirect_uri(self, provider_slug: str) -> str:
        """The same for all: a path for each provider keeps their answers apart (RFC 9700, 4.4)."""
        return f"{self.public_url}/oauth/{provider_slug}/callback"

    def checked(self, said: str | None) -> str | None:
        """Where an app may be returned to. Raises InvalidInput."""
        if said is None or (len(said) <= RETURN_CHARS_MAX and self._allows(said)):
            return said
        raise InvalidInput(
            "returnTo has to be a URL of an allowed origin or app scheme, without a fragment",
            field=("input", "using", "oauth", "returnTo"),
        )

    def _allows(self, said: str) -> bool:
        if (app := _APP.fullmatch(said)) is not None:
            return self.apps is None or app[1] in self.apps
        web = _WEB.fullmatch(said)
        origin = None if web is None else _origin(web[1])
        return origin is not None and origin in map(_origin, (self.public_url, *self.origins))


def _origin(url: str) -> tuple[str, str | None, int | None] | None:
    """Scheme, host and port, whichever way they are written; None where it is no URL."""
    try:
        parts = urlsplit(url.lower())
        port = _PORTS.get(parts.scheme) if parts.port is None else parts.port
    except ValueError:
        return None
    return parts.scheme, parts.hostname, port
