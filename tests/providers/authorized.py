"""Providers that are connected by consent: a bank by OAuth, and one by a dialogue of its own."""

from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from decimal import Decimal
from uuid import UUID

from adapters.providers import Client, kit
from adapters.providers.kit.oauth import ClientProof, OAuth, explains
from domain.errors import InvalidInput
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.providers import Consent, LinkToken
from domain.sync import Login, Page, PullRequest, QuarantinedRow, SyncScope
from tests.providers.simulators.authorization import CLIENT_ID, CLIENT_SECRET, AuthorizationServer

QUICK = kit.Policy(call_s=2.0, tries_max=2, wait_first_s=0.001)


class Bank:
    """What it says of itself is all that it has: who logs in there."""

    def __init__(
        self, server: AuthorizationServer, *, slug: str = "bank", issuer: str | None = None
    ) -> None:
        self.issuer = issuer
        self.info = ProviderInfo(
            slug=slug,
            name=f"The {slug.title()} & <Sons>",
            category=ProviderCategory.BANK,
            auth_methods=(AuthMethod.OAUTH2,),
            capabilities=(Capability.ACCOUNTS,),
        )
        self.http = server.outside().http(slug, server.url, policy=QUICK, explain=explains(slug))
        self.oauth = OAuth(
            provider=slug,
            client=Client(base_url=server.url, id=CLIENT_ID, secret=CLIENT_SECRET),
            http=self.http,
            authorize=f"{server.url}/oauth/authorize",
            token_path="/oauth/token",
            proof=ClientProof.FORM if server.by_form else ClientProof.BASIC,
            scope="read",
        )

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        raise InvalidInput("this bank is connected by OAuth")

    def authorization_url(self, consent: Consent) -> str:
        return self.oauth.authorization_url(consent)

    async def exchange(self, code: str, consent: Consent, at: datetime) -> Login:
        grant = await self.oauth.exchanged(code, consent)
        headers = {"authorization": f"Bearer {grant.access_token}"}
        who = kit.record_of(await self.http.get("/me", headers=headers), self.info.slug)
        return Login(
            identity=kit.text(who, "login"),
            credentials={"refresh_token": grant.refresh_token or ""},
            expire_at=at + timedelta(days=7),
            renew_at=grant.ends_at(at),
        )

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        yield Page(
            step=SyncScope.ACCOUNTS, progress=Decimal(1), cursor="end", accounts_complete=True
        )

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}


DIALOGUE = ProviderInfo(
    slug="dialogue",
    name="Dialogue",
    category=ProviderCategory.AGGREGATOR,
    auth_methods=(AuthMethod.LINK_TOKEN,),
    capabilities=(Capability.ACCOUNTS,),
    credential_fields=(
        CredentialField(name="publicToken", label="Token", secret=True, required=True),
    ),
)


@dataclass
class Dialogue:
    """Connected by a token of its dialogue; notes whom it was asked for, and what was known."""

    offered: list[tuple[str, Mapping[str, str] | None]] = field(default_factory=list)
    info: ProviderInfo = DIALOGUE

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        return Login(identity=credentials["publicToken"], credentials={"access": "of ann"})

    async def link_token(
        self, *, user: str, credentials: Mapping[str, str] | None, at: datetime
    ) -> LinkToken:
        self.offered.append((user, credentials))
        return LinkToken(token=f"link-{len(self.offered)}", expires_at=at + timedelta(hours=4))

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        yield Page(
            step=SyncScope.ACCOUNTS, progress=Decimal(1), cursor="end", accounts_complete=True
        )

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {}
