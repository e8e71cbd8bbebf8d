"""Schwab as a provider: the owner authorizes at Schwab, which lets us read for seven days."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from decimal import Decimal
from urllib.parse import unquote
from uuid import UUID

from adapters.providers.configuration import Client
from adapters.providers.kit import (
    Fault,
    Malformed,
    NotJson,
    Outside,
    as_record,
    decode,
    text_or_none,
)
from adapters.providers.kit.answers import Explain
from adapters.providers.kit.oauth import ClientProof, Grant, OAuth, explains
from adapters.providers.schwab.accounts import INSTITUTION
from adapters.providers.schwab.activities import transactions_of
from adapters.providers.schwab.pull import Pull
from adapters.providers.schwab.trader import (
    ALLOWANCE,
    PATIENCE,
    POLICY,
    ROWS_MAX,
    SLUG,
    NotAccepted,
    Trader,
    explain,
)
from domain.errors import CredentialsRejected, ErrorCode, InvalidInput, ProviderUnavailable
from domain.links import AuthMethod, Capability, ProviderCategory, ProviderInfo
from domain.providers import Consent
from domain.secret import Secrets
from domain.sync import Login, Page, PullRequest, QuarantinedRow, SyncScope

AUTHORIZED_FOR = timedelta(days=7)  # from the owner's consent, however often a token is renewed
ACCESS_LIFETIME = timedelta(minutes=30)  # where an answer does not say, or what cannot be
LIFETIME_MIN = timedelta(minutes=1)
AUTHORIZE_PATH, TOKEN_PATH = "/v1/oauth/authorize", "/v1/oauth/token"
SCOPE = "readonly"

INFO = ProviderInfo(
    slug=SLUG,
    name=INSTITUTION,
    category=ProviderCategory.BROKERAGE,
    auth_methods=(AuthMethod.OAUTH2,),
    capabilities=(Capability.ACCOUNTS, Capability.HOLDINGS, Capability.TRANSACTIONS),
    documentation_url="https://developer.schwab.com",
)

# What the token endpoint says of a code that is used or too old, and of a refresh token that is no
# good any more. Of the latter it also says `invalid_client`, with the refresh token in its
# description; without that it is the operator's id or secret, which no owner can mend.
_TOKEN_FAULTS = {"unsupported_token_type": Fault.EXPIRED}
_OF_REFRESH_TOKEN = {**_TOKEN_FAULTS, "invalid_client": Fault.EXPIRED}


class Schwab:
    """Not offered without a client id and secret of the operator's own app at Schwab. `rows_max`
    are the most rows of an answer of theirs."""

    issuer: str | None = None  # Schwab does not say it

    def __init__(self, outside: Outside, client: Client, *, rows_max: int = ROWS_MAX) -> None:
        self._rows_max = rows_max
        self.info = replace(INFO, enabled=bool(client.id and client.secret))
        self._outside = outside
        self._http, self._preferences = (
            outside.http(
                SLUG, client.base_url, policy=policy, allowances=(ALLOWANCE,), explain=explain
            )
            for policy in (POLICY, PATIENCE)
        )
        self._consents = self._oauth(client, explains(SLUG, _TOKEN_FAULTS), alone=True)
        self._renewals = self._oauth(client, _explains_renewals())

    def _oauth(self, client: Client, explain: Explain, *, alone: bool = False) -> OAuth:
        """`alone` for what a user brings: a code may be anything."""
        return OAuth(
            provider=SLUG,
            client=client,
            http=self._outside.http(SLUG, client.base_url, explain=explain, alone=alone),
            authorize=client.base_url + AUTHORIZE_PATH,
            token_path=TOKEN_PATH,
            proof=ClientProof.BASIC,
            scope=SCOPE,
        )

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises InvalidInput: only its owner can authorize a login, at Schwab."""
        raise InvalidInput("Schwab connects by OAuth", field=("input", "using"))

    # ── authorization ───────────────────────────────────────────────────────

    def authorization_url(self, consent: Consent) -> str:
        return self._consents.authorization_url(consent)

    async def exchange(self, code: str, consent: Consent, at: datetime) -> Login:
        """The login is known by Schwab's name for its customer: which accounts they let us read
        may differ each time. Raises CredentialsRejected, ProviderUnavailable.
        """
        grant = await self._consents.exchanged(unquote(code), consent)  # some bring it as it stood
        if grant.refresh_token is None:
            raise ProviderUnavailable(f"{INSTITUTION} sent no refresh token", provider=SLUG)
        login = _login(grant, grant.refresh_token, ends_at=at + AUTHORIZED_FOR, at=at)
        token = login.credentials["access_token"]
        trader = Trader(self._http, self._http, token=token, link="")
        return replace(login, identity=await _identity(trader), institution=INSTITUTION)

    async def renew(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """The answer may bring the same refresh token, another one, or none: then it stays.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        _check(credentials)
        ends_at = datetime.fromisoformat(credentials["authorized_until"])
        if at >= ends_at:
            raise Fault.EXPIRED.refusal(SLUG)
        before = credentials["refresh_token"]
        grant = await self._renewals.renewed(before)
        return _login(grant, grant.refresh_token or before, ends_at=ends_at, at=at)

    # ── data ────────────────────────────────────────────────────────────────

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        _check(request.credentials)
        trader = Trader(
            self._http,
            self._preferences,
            token=request.credentials["access_token"],
            link=request.link,
            rows_max=self._rows_max,
        )
        return Pull(trader, request).pages()

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        """Transactions: accounts and positions are told anew by each pull."""
        return {row.id: page for row in rows if (page := _read_again(row)) is not None}


def _login(grant: Grant, refresh_token: str, *, ends_at: datetime, at: datetime) -> Login:
    """Renewed after two thirds of its life, so that a page that is begun just before is got."""
    lifetime = grant.lifetime
    if lifetime is None or lifetime < LIFETIME_MIN:
        lifetime = ACCESS_LIFETIME
    credentials = {
        "access_token": grant.access_token,
        "refresh_token": refresh_token,
        "authorized_until": ends_at.isoformat(),
    }
    return Login(
        identity="",
        credentials=Secrets(credentials),
        expire_at=ends_at,
        renew_at=at + lifetime * 2 / 3,
    )


def _explains_renewals() -> Explain:
    token, client = explains(SLUG, _OF_REFRESH_TOKEN), explains(SLUG, _TOKEN_FAULTS)
    return lambda status, body: (token if _is_of_refresh_token(body) else client)(status, body)


def _is_of_refresh_token(body: object) -> bool:
    said = body.get("error_description") if isinstance(body, Mapping) else None
    return isinstance(said, str) and "refresh_token" in said


async def _identity(trader: Trader) -> str:
    """Where Schwab does not name its customer, the first of their accounts."""
    customer = await _customer(trader)
    if customer is not None:
        return f"customer:{customer}"
    numbers = await trader.numbers()
    if not numbers:
        raise ProviderUnavailable(f"{INSTITUTION} names no account that we may read", provider=SLUG)
    return f"account:{min(numbers)}"


async def _customer(trader: Trader) -> str | None:
    """None where it is not said, and not where it may be said later: an identity is for ever."""
    try:
        rows = (await trader.preferences()).get("streamerInfo")
        row = rows[0] if isinstance(rows, list) and rows else rows
        return text_or_none(as_record(row, "streamerInfo"), "schwabClientCustomerId")
    except (Malformed, NotAccepted):
        return None
    except CredentialsRejected as refusal:
        if refusal.code is ErrorCode.AUTHORIZATION_EXPIRED:
            raise
        return None


def _check(credentials: Mapping[str, str]) -> None:
    """Raises CredentialsRejected."""
    if not {"access_token", "refresh_token", "authorized_until"} <= credentials.keys():
        raise CredentialsRejected(f"this is no login at {INSTITUTION}", provider=SLUG)


def _read_again(row: QuarantinedRow) -> Page | None:
    if row.kind is not SyncScope.TRANSACTIONS or row.account_key is None:
        return None
    try:
        record = as_record(decode(row.raw.encode()), "the record")
        found = transactions_of(record, account=row.account_key)
    except (Malformed, NotJson):
        return None
    return Page(step=SyncScope.TRANSACTIONS, progress=Decimal(1), transactions=found)
