"""Alpaca as a provider: by an API key and its secret, or by OAuth.

A paper account is at a host of its own, and a key is good at one of the two. A key's first letters
say which it is; whose key has others says `environment`. A deployment serves both, unless its
operator set another host, which then is asked for either.
"""

import re
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from decimal import Decimal
from hashlib import sha256
from uuid import UUID

from adapters.providers.alpaca.activities import activity_of
from adapters.providers.alpaca.asking import (
    ALLOWANCES,
    POLICY,
    PROVIDER,
    RESET_HEADER,
    Asking,
    explain,
)
from adapters.providers.alpaca.mapping import INSTITUTION, account_of, balance_of, position_of
from adapters.providers.alpaca.pull import Pull
from adapters.providers.configuration import Client
from adapters.providers.kit import (
    Http,
    Malformed,
    NotJson,
    Outside,
    as_record,
    decode,
    key,
    record_of,
)
from adapters.providers.kit.oauth import ClientProof, OAuth
from domain.errors import CredentialsRejected, InvalidInput, ProviderUnavailable
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.providers import Consent
from domain.secret import Secrets
from domain.sync import Login, Page, PullRequest, QuarantinedRow, SyncScope

LIVE, PAPER = "live", "paper"
LIVE_URL, PAPER_URL = "https://api.alpaca.markets", "https://paper-api.alpaca.markets"
CONSENT_URL = "https://app.alpaca.markets"  # where people sign in, beside LIVE_URL

INFO = ProviderInfo(
    slug=PROVIDER,
    name="Alpaca",
    category=ProviderCategory.BROKERAGE,
    auth_methods=(AuthMethod.API_KEY,),
    capabilities=(
        Capability.ACCOUNTS,
        Capability.HOLDINGS,
        Capability.TRANSACTIONS,
        Capability.BALANCE_HISTORY,
    ),
    credential_fields=(
        CredentialField(name="api_key", label="API key ID", secret=False, required=True),
        CredentialField(name="api_secret", label="API secret key", secret=True, required=True),
        CredentialField(name="environment", label="live or paper", secret=False, required=False),
    ),
    documentation_url="https://docs.alpaca.markets/docs/authentication",
)

_FIELD = ("input", "using", "credentials")
_KEY = re.compile(r"[A-Za-z0-9+/=_-]{1,256}")  # what may stand in a header


class Alpaca:
    """OAuth is offered where the operator gave a client id and secret."""

    issuer = None

    def __init__(self, outside: Outside, client: Client) -> None:
        self.info = INFO
        if client.id and client.secret:
            methods = (AuthMethod.API_KEY, AuthMethod.OAUTH2)
            self.info = replace(INFO, auth_methods=methods)

        def host(url: str, *, alone: bool = False) -> Http:
            return outside.http(
                PROVIDER,
                url,
                policy=POLICY,
                allowances=ALLOWANCES,
                explain=explain,
                reset_header=RESET_HEADER,
                alone=alone,
            )

        live = host(client.base_url)
        is_theirs = client.base_url == LIVE_URL
        self._hosts = {LIVE: live, PAPER: host(PAPER_URL) if is_theirs else live}
        self._oauth = OAuth(
            provider=PROVIDER,
            client=client,
            http=host(client.base_url, alone=True),  # a code may be anything
            authorize=f"{CONSENT_URL if is_theirs else client.base_url}/oauth/authorize",
            token_path="/oauth/token",  # noqa: S106 - a path
            proof=ClientProof.FORM,
        )

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises InvalidInput, CredentialsRejected, ProviderUnavailable."""
        said = {name: credentials.get(name, "").strip() for name in ("api_key", "api_secret")}
        for name, value in said.items():
            if not _KEY.fullmatch(value):
                raise InvalidInput(f"{name} is no key of Alpaca's", field=_FIELD)
        environment = credentials.get("environment", "").strip().lower()
        if environment not in ("", LIVE, PAPER):
            raise InvalidInput(f"environment is {LIVE} or {PAPER}", field=_FIELD)
        return await self._login({**said, "environment": environment or _of_key(said["api_key"])})

    def authorization_url(self, consent: Consent) -> str:
        """Without a scope: then Alpaca gives the right to read, and no other."""
        return self._oauth.authorization_url(consent)

    async def exchange(self, code: str, consent: Consent, at: datetime) -> Login:
        """A token is good for a live account, a paper account or one of each; the live one goes
        first.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        grant = await self._oauth.exchanged(code, consent)
        said = {"token": grant.access_token}
        try:
            return await self._login({**said, "environment": LIVE})
        except CredentialsRejected:
            if self._hosts[PAPER] is self._hosts[LIVE]:
                raise
        return await self._login({**said, "environment": PAPER})

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        said = request.credentials
        if not ({"token"} <= said.keys() or {"api_key", "api_secret"} <= said.keys()):
            raise CredentialsRejected("this is no login of Alpaca", provider=PROVIDER)
        http = self._hosts[said.get("environment", LIVE)]
        return Pull(Asking(http, said, account=said.get("account", "")), request).pages()

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {row.id: page for row in rows if (page := _read_again(row)) is not None}

    async def _login(self, said: Mapping[str, str]) -> Login:
        """Which account it is: that is what a second link to it is known by."""
        mark = sha256(said.get("api_key", said.get("token", "")).encode()).hexdigest()[:32]
        asking = Asking(self._hosts[said["environment"]], said, account=mark)
        try:
            account = key(record_of(await asking.get("/v2/account"), PROVIDER), "id")
        except Malformed as fault:
            raise ProviderUnavailable(
                "Alpaca does not say which account this is", provider=PROVIDER
            ) from fault
        credentials = Secrets({**said, "account": account})
        return Login(identity=account, credentials=credentials, institution=INSTITUTION)


def _of_key(api_key: str) -> str:
    """PK… is a key of a paper account, AK… of a live one."""
    return PAPER if api_key.startswith("PK") else LIVE


def _read_again(row: QuarantinedRow) -> Page | None:
    try:
        record = as_record(decode(row.raw.encode()), "the record")
        account = row.account_key or ""
        whole = Decimal(1)
        match row.kind:
            case SyncScope.TRANSACTIONS:
                found = activity_of(record, account)
                return Page(step=row.kind, progress=whole, transactions=[found])
            case SyncScope.HOLDINGS:
                return Page(step=row.kind, progress=whole, holdings=[position_of(record, account)])
            case SyncScope.ACCOUNTS if "timestamp" in record:
                return Page(step=row.kind, progress=whole, balances=[balance_of(record, account)])
            case SyncScope.ACCOUNTS:
                return Page(step=row.kind, progress=whole, accounts=[account_of(record)])
    except (Malformed, NotJson):
        return None
