"""We as a client of a provider's OAuth 2 server: RFC 6749 with PKCE (RFC 7636, S256).

authorization_url ──> the owner's browser ──> code ──> exchanged ──> Grant ──> renewed ──> Grant …
"""

import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from enum import Enum
from typing import TypeGuard

from authlib.oauth2.auth import ClientAuth
from authlib.oauth2.rfc6749.parameters import prepare_grant_uri
from authlib.oauth2.rfc7636 import create_s256_code_challenge

from adapters.providers.configuration import Client
from adapters.providers.kit.answers import Explain
from adapters.providers.kit.faults import Fault
from adapters.providers.kit.http import Http
from adapters.providers.kit.names import named
from domain.errors import DomainError, ProviderUnavailable
from domain.providers import Consent

TOKEN_CHARS_MAX = 8_192
LIFETIME_MAX = timedelta(days=3_650)

# RFC 6749, 5.2. Of a code or a refresh token that is no good (`invalid_grant`) only the owner can
# get another; all else is between the provider and the operator.
TOKEN_FAULTS = {
    "invalid_grant": Fault.EXPIRED,
    "invalid_client": Fault.MISTAKEN,
    "invalid_request": Fault.MISTAKEN,
    "invalid_scope": Fault.MISTAKEN,
    "unauthorized_client": Fault.MISTAKEN,
    "unsupported_grant_type": Fault.MISTAKEN,
    "server_error": Fault.DOWN,
    "temporarily_unavailable": Fault.DOWN,
}

_TOKEN = re.compile(r"[\x21-\x7e]+")  # what may stand in a header and in a form


class ClientProof(Enum):
    """How a token endpoint is told that it is us (RFC 6749, 2.3.1)."""

    BASIC = "client_secret_basic"  # a header
    FORM = "client_secret_post"  # fields of the form


@dataclass(frozen=True, slots=True, kw_only=True)
class Grant:
    """What a token endpoint answers. `refresh_token` is None where it sent none: the one before
    stays good, if there was one. `lifetime` is that of the access token.
    """

    access_token: str = field(repr=False)
    refresh_token: str | None = field(default=None, repr=False)
    lifetime: timedelta | None = None
    scope: str | None = None

    def ends_at(self, at: datetime) -> datetime | None:
        """When the access token ends, had it been issued at `at`."""
        return None if self.lifetime is None else at + self.lifetime


@dataclass(frozen=True, slots=True, kw_only=True)
class OAuth:
    """A provider's authorization server, and us at it.

    `authorize` is a whole URL, where the owner's browser goes; `token_path` a path of `http`.
    `pkce` is false only where the provider refuses what it does not know.
    """

    provider: str
    client: Client
    http: Http
    authorize: str
    token_path: str
    proof: ClientProof
    scope: str | None = None
    pkce: bool = True

    def authorization_url(self, consent: Consent) -> str:
        proof = {}
        if self.pkce:
            challenge = create_s256_code_challenge(consent.verifier)
            proof = {"code_challenge": challenge, "code_challenge_method": "S256"}
        url: str = prepare_grant_uri(
            self.authorize,
            client_id=self.client.id,
            response_type="code",
            redirect_uri=consent.redirect_uri,
            scope=self.scope,
            state=consent.state,
            **proof,
        )
        return url

    async def exchanged(self, code: str, consent: Consent) -> Grant:
        """Asks once: a code is good once. Raises CredentialsRejected, ProviderUnavailable."""
        form = {
            "grant_type": "authorization_code",
            "code": code,
            "redirect_uri": consent.redirect_uri,
        }
        if self.pkce:
            form["code_verifier"] = consent.verifier
        return await self._asked(form)

    async def renewed(self, refresh_token: str) -> Grant:
        """Asks once: a token that rotates may be good once. Raises as `exchanged`."""
        return await self._asked({"grant_type": "refresh_token", "refresh_token": refresh_token})

    async def _asked(self, form: Mapping[str, str]) -> Grant:
        headers: dict[str, str] = {}
        if self.proof is ClientProof.BASIC:
            auth = ClientAuth(self.client.id, self.client.secret, self.proof.value)
            auth.prepare("POST", self.token_path, headers, "")
        else:
            ours = {"client_id": self.client.id or "", "client_secret": self.client.secret or ""}
            form = {**form, **ours}
        return granted(
            await self.http.post(self.token_path, form=form, headers=headers), self.provider
        )


def granted(answer: object, provider: str) -> Grant:
    """A token endpoint's answer, read. Raises ProviderUnavailable."""
    said = answer if isinstance(answer, Mapping) else {}
    kind = said.get("token_type")
    access, refresh = said.get("access_token"), said.get("refresh_token")
    if not _is_token(access) or not (isinstance(kind, str) and kind.lower() == "bearer"):
        raise _unusable(provider)
    if refresh is not None and refresh != "" and not _is_token(refresh):
        raise _unusable(provider)
    scope = said.get("scope")
    return Grant(
        access_token=access,
        refresh_token=refresh or None,
        lifetime=_lifetime(said.get("expires_in"), provider),
        scope=scope if isinstance(scope, str) and scope else None,
    )


def explains(provider: str, faults: Mapping[str, Fault] | None = None) -> Explain:
    """For the Http that a token endpoint is behind; `faults` are the provider's own words for
    `error`, before those of the standard."""
    known = TOKEN_FAULTS | dict(faults or {})

    def explain(status: int, body: object) -> DomainError | None:
        error = body.get("error") if isinstance(body, Mapping) else None
        fault = known.get(error) if isinstance(error, str) else None
        if fault is None or (fault.is_retryable and status >= 500):
            return None
        return fault.refusal(provider, said=str(error))

    return explain


def _is_token(value: object) -> TypeGuard[str]:
    return type(value) is str and len(value) <= TOKEN_CHARS_MAX and bool(_TOKEN.fullmatch(value))


def _lifetime(said: object, provider: str) -> timedelta | None:
    """`expires_in`, seconds; some servers write a number as text."""
    if said is None:
        return None
    if isinstance(said, str) and said.isascii() and said.isdigit() and len(said) <= 12:
        said = Decimal(said)
    if not isinstance(said, Decimal) or not said.is_finite() or said < 0:
        raise _unusable(provider)
    most = Decimal(int(LIFETIME_MAX.total_seconds()))
    return timedelta(seconds=int(min(said, most)))


def _unusable(provider: str) -> ProviderUnavailable:
    return ProviderUnavailable(
        f"{named(provider)} answered without a usable token", provider=provider
    )
