"""Plaid as a provider: Link in the owner's client, Items behind it, and webhooks from it."""

from collections.abc import AsyncIterator, Mapping, Sequence
from datetime import datetime
from uuid import UUID

from adapters.providers.configuration import Client
from adapters.providers.kit import (
    Outside,
    Record,
    instant,
    key,
    reading_answer,
    record_of,
    rows_of,
    text,
    text_or_nothing,
)
from adapters.providers.plaid import item as about
from adapters.providers.plaid.api import Api
from adapters.providers.plaid.faults import SLUG, Gone
from adapters.providers.plaid.identity import identity_of
from adapters.providers.plaid.notices import Notices
from adapters.providers.plaid.pull import HISTORY, Pull
from adapters.providers.plaid.replay import read_again
from domain.cancellation import to_its_end
from domain.errors import CredentialsRejected, DomainError
from domain.links import AuthMethod, Capability, CredentialField, ProviderCategory, ProviderInfo
from domain.providers import LinkToken, Notice
from domain.secret import Secrets
from domain.sync import Login, Page, PullRequest, QuarantinedRow

CLIENT_NAME, LANGUAGE = "Dashtam", "en"
COUNTRIES = ("US",)  # those that an account at Plaid is made for, without more being asked for
PRODUCTS: Mapping[str, object] = {
    "products": ["transactions"],
    "required_if_supported_products": ["investments"],
    "optional_products": ["liabilities"],
    "transactions": {"days_requested": HISTORY.days},
}

# Update mode: products stay as they are.
UPDATE: Mapping[str, object] = {"update": {"account_selection_enabled": True}}


class Plaid:
    """`public_url` is where Plaid sends webhooks, for which it has to be https."""

    def __init__(self, client: Client, outside: Outside, *, public_url: str = "") -> None:
        self.info = ProviderInfo(
            slug=SLUG,
            name="Plaid",
            category=ProviderCategory.AGGREGATOR,
            auth_methods=(AuthMethod.LINK_TOKEN,),
            capabilities=(Capability.ACCOUNTS, Capability.HOLDINGS, Capability.TRANSACTIONS),
            credential_fields=(
                CredentialField(
                    name="publicToken", label="Public token", secret=True, required=True
                ),
            ),
            documentation_url="https://plaid.com/docs/link/",
            enabled=client.id is not None and client.secret is not None,
        )
        self._api = Api(client, outside)
        self._notices = Notices(self._api)
        is_reached = public_url.startswith("https://")
        self._webhook = f"{public_url.rstrip('/')}/webhooks/{SLUG}" if is_reached else None

    async def link_token(
        self, *, user: str, credentials: Mapping[str, str] | None, at: datetime
    ) -> LinkToken:
        """For an Item that there is no more, a new one is made.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        said: dict[str, object] = {
            "client_name": CLIENT_NAME,
            "language": LANGUAGE,
            "country_codes": [*COUNTRIES],
            "user": {"client_user_id": user},
        }
        if credentials is not None:
            try:
                return await self._begun({**said, **UPDATE, "access_token": _token(credentials)})
            except Gone:
                pass
        webhook = {} if self._webhook is None else {"webhook": self._webhook}
        return await self._begun({**said, **PRODUCTS, **webhook})

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Exchange what Link gave to the client. Where we then learn nothing of the Item, it is
        removed again: nobody would know of it, and it is paid for.

        Raises CredentialsRejected, ProviderUnavailable.
        """
        answer = await self._api.ask(
            "/item/public_token/exchange", {"public_token": credentials["publicToken"]}, once=True
        )
        token, item = _said(answer, "access_token"), _said(answer, "item_id")
        try:
            return await self._login(token, item)
        except BaseException:
            await to_its_end(self._give_back(token))
            raise

    async def revoke(self, credentials: Mapping[str, str], at: datetime) -> None:
        """Raises CredentialsRejected, ProviderUnavailable."""
        try:
            await self._api.ask("/item/remove", {"access_token": _token(credentials)})
        except Gone:
            return

    def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        _token(request.credentials)
        return Pull(self._api, request, webhook=self._webhook).pages()

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        return {row.id: page for row in rows if (page := read_again(row)) is not None}

    async def notice(self, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
        """Raises Forged, ProviderUnavailable."""
        return await self._notices.notice(headers, body, at)

    async def _begun(self, said: Mapping[str, object]) -> LinkToken:
        answer = await self._api.ask("/link/token/create", said)
        with reading_answer(SLUG):
            return LinkToken(
                token=text(answer, "link_token"), expires_at=instant(answer, "expiration")
            )

    async def _login(self, token: str, item_id: str) -> Login:
        answer = await self._api.ask("/item/get", {"access_token": token})
        item = about.inner(answer, "item")
        institution_id = text_or_nothing(item, "institution_id")
        name = await self._institution(item, institution_id)
        told = await self._api.ask("/accounts/get", {"access_token": token})
        identity = identity_of(institution_id, item_id, rows_of(told, "accounts", SLUG))
        kept = {"accessToken": token, "itemId": item_id}
        return Login(
            identity=identity,
            credentials=Secrets(kept if name is None else {**kept, "institution": name}),
            institution=name,
            expire_at=about.expires_at(item),
            upstream=item_id,
        )

    async def _institution(self, item: Record, id: str | None) -> str | None:
        """Its name, which old Items do not tell by themselves."""
        if id is None or (name := text_or_nothing(item, "institution_name")) is not None:
            return None if id is None else name
        answer = await self._api.ask(
            "/institutions/get_by_id", {"institution_id": id, "country_codes": [*COUNTRIES]}
        )
        return _said(record_of(answer.get("institution"), SLUG), "name")

    async def _give_back(self, token: str) -> None:
        try:
            await self._api.ask("/item/remove", {"access_token": token})
        except DomainError:
            return  # what went wrong before is what its owner has to know


def _token(credentials: Mapping[str, str]) -> str:
    if "accessToken" not in credentials:
        raise CredentialsRejected("this is no login of Plaid", provider=SLUG)
    return credentials["accessToken"]


def _said(answer: Record, name: str) -> str:
    with reading_answer(SLUG):
        return key(answer, name) if name.endswith("_id") else text(answer, name)
