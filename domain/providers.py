"""What providers are to the inside: each is asked for data, and for more where it can do more."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import Enum
from typing import Protocol, runtime_checkable
from uuid import UUID

from domain.links import ProviderInfo
from domain.sync import Login, Page, PullRequest, QuarantinedRow


class Provider(Protocol):
    """One institution's feed, read-only."""

    info: ProviderInfo

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises InvalidInput, CredentialsRejected, ProviderUnavailable."""

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """Pages, each of which is stored before the next is asked for.

        Raises CredentialsRejected, ProviderUnavailable (after the adapter's own retries),
        UnreadableFile.
        """

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        """Each of these rows that can be read by now, by its id."""


@runtime_checkable
class Revoking(Protocol):
    """A provider that can be told to honour a login no more."""

    async def revoke(self, credentials: Mapping[str, str], at: datetime) -> None:
        """One that is not honoured already is no refusal.

        Raises CredentialsRejected, ProviderUnavailable.
        """


@runtime_checkable
class Renewing(Protocol):
    """A provider whose access ends by itself, and is renewed without its owner."""

    async def renew(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """All credentials from now on; those given may be good no more. Its identity is "".

        It asks once, within `RENEW_MAX`: a token that rotates must not be presented twice.
        Raises CredentialsRejected (AUTHORIZATION_EXPIRED: the owner has to authorize again),
        ProviderUnavailable.
        """


RENEW_MAX = timedelta(seconds=20)  # less than a lease


@dataclass(frozen=True, slots=True, kw_only=True)
class Consent:
    """One request for the owner's consent: what the provider is told, and has to say again."""

    state: str = field(repr=False)
    verifier: str = field(repr=False)  # of PKCE, S256
    redirect_uri: str


@runtime_checkable
class Authorizing(Protocol):
    """A provider of the OAuth 2 authorization code flow (RFC 6749, 4.1)."""

    issuer: str | None  # what `iss` has to be, for a provider that says it (RFC 9207)

    def authorization_url(self, consent: Consent) -> str:
        """Where the owner's browser goes."""

    async def exchange(self, code: str, consent: Consent, at: datetime) -> Login:
        """Asks once. Raises CredentialsRejected, ProviderUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LinkToken:
    token: str = field(repr=False)
    expires_at: datetime


@runtime_checkable
class Offering(Protocol):
    """A provider whose own dialogue runs in the client, begun by a token of ours (LINK_TOKEN)."""

    async def link_token(
        self, *, user: str, credentials: Mapping[str, str] | None, at: datetime
    ) -> LinkToken:
        """`user` is what it may call the person; with `credentials` that login is mended.

        Raises CredentialsRejected, ProviderUnavailable.
        """


class Noticed(Enum):
    NEWS = "NEWS"  # there is something to pull
    REAUTHORIZE = "REAUTHORIZE"  # the owner has to authorize again
    WITHDRAWN = "WITHDRAWN"  # the owner ended it there
    EXPIRING = "EXPIRING"  # consent ends at a time that is known now
    MENDED = "MENDED"  # it works again
    NOTHING = "NOTHING"  # nothing that we act on


@dataclass(frozen=True, slots=True, kw_only=True)
class Notice:
    """What a webhook says. `upstream` is `Login.upstream` of the login that it is about.

    `at` is when it was said; `receipt` names it for ever, and no other, in at most 64 characters.
    `expire_at` is the end of what is EXPIRING.
    """

    upstream: str | None
    said: Noticed
    at: datetime
    receipt: str
    expire_at: datetime | None = None


class Forged(Exception):
    """A webhook that is not, or not now, from whom it says."""


@runtime_checkable
class Notifying(Protocol):
    """A provider that tells us when there is news."""

    async def notice(self, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
        """`headers` by name in lower case. Raises Forged, ProviderUnavailable."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Allowance:
    """At most `calls` within any `per`; where it is `shared`, for all logins together."""

    name: str
    calls: int
    per: timedelta
    shared: bool = False


class Budgets(Protocol):
    """How often a provider may still be asked, over all processes and starts."""

    async def take(self, key: str, allowance: Allowance, at: datetime) -> timedelta | None:
        """Count a call that is about to be made; or how long to wait, where it may not be.

        Raises Unavailable.
        """
