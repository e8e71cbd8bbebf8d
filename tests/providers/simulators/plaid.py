"""Plaid's API, version 2020-09-14: Items behind access tokens, and webhooks that it signs.

Each request is checked by RULES, what Plaid's own description requires and knows of it; a further
test compares the two where the description is at hand.
"""

import hashlib
import json
import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from inspect import isawaitable
from typing import Any, NamedTuple

import httpx2
from joserfc import jws
from joserfc.jwk import ECKey
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.providers.simulators.base import Simulator
from tests.providers.simulators.plaid_books import Changed, Item, Told

VERSION = "2020-09-14"
CLIENT_ID, SECRET = "client-5f1", "secret-7e2"


class Rule(NamedTuple):
    schema: str  # its name in the description
    required: frozenset[str]
    known: frozenset[str]


def _rule(schema: str, *required: str, also: str = "") -> Rule:
    known = {*required, *also.split(), "client_id", "secret"}
    return Rule(schema, frozenset(required), frozenset(known))


RULES = {
    "/link/token/create": _rule(
        "LinkTokenCreateRequest", "client_name", "language", "country_codes",
        also="user products required_if_supported_products optional_products transactions webhook"
        " access_token update redirect_uri",
    ),
    "/item/public_token/exchange": _rule("ItemPublicTokenExchangeRequest", "public_token"),
    "/item/get": _rule("ItemGetRequest", "access_token"),
    "/item/remove": _rule("ItemRemoveRequest", "access_token", also="reason_code reason_note"),
    "/institutions/get_by_id": _rule(
        "InstitutionsGetByIdRequest", "institution_id", "country_codes", also="options"
    ),
    "/accounts/get": _rule("AccountsGetRequest", "access_token", also="options"),
    "/transactions/sync": _rule(
        "TransactionsSyncRequest", "access_token", also="cursor count options"
    ),
    "/investments/holdings/get": _rule(
        "InvestmentsHoldingsGetRequest", "access_token", also="options"
    ),
    "/investments/transactions/get": _rule(
        "InvestmentsTransactionsGetRequest", "access_token", "start_date", "end_date",
        also="options",
    ),
    "/liabilities/get": _rule("LiabilitiesGetRequest", "access_token", also="options"),
    "/webhook_verification_key/get": _rule("WebhookVerificationKeyGetRequest", "key_id"),
}  # fmt: skip
COUNT_MAX = 500


def refused(kind: str, code: str, *, status: int = 400, display: str | None = None) -> Response:
    """An error as Plaid says it."""
    return JSONResponse(
        {
            "error_type": kind,
            "error_code": code,
            "error_message": "the developer's words",
            "display_message": display,
            "documentation_url": "https://plaid.com/docs/",
            "request_id": "m8MDnv9okwxFNBV",
            "suggested_action": None,
        },
        status,
    )


@dataclass(eq=False)
class PlaidServer(Simulator):
    """`page_max` is how many updates it gives at most, whatever is asked for. `meanwhile` are done
    one after the other, each once a page of updates has been read."""

    items: dict[str, Item] = field(default_factory=dict)  # by access token
    public_tokens: dict[str, Item] = field(default_factory=dict)
    page_max: int = COUNT_MAX
    meanwhile: list[Any] = field(default_factory=list)
    link_tokens: list[Told] = field(default_factory=list)  # what each was asked for with
    removed: list[str] = field(default_factory=list)
    kid: str = "bfbd5111-8e33-4643-8ced-b2e642a72f3c"
    key: ECKey = field(default_factory=lambda: ECKey.generate_key("P-256"))
    key_expired_at: int | None = None

    def routes(self) -> Sequence[BaseRoute]:
        return [Route(path, self._asked, methods=["POST"]) for path in RULES]

    # ── what a person does ──────────────────────────────────────────────────

    def item(self, name: str = "one", **said: Any) -> Item:
        """Somebody has gone through Link."""
        item = Item(id=f"item-{name}", token=f"access-sandbox-{name}", **said)
        self.items[item.token] = item
        return item

    def public_token(self, item: Item) -> str:
        """What Link gives to the client, in update mode too."""
        token = f"public-sandbox-{secrets.token_hex(8)}"
        self.public_tokens[token] = item
        return token

    def credentials(self, item: Item) -> dict[str, str]:
        return {
            "accessToken": item.token,
            "itemId": item.id,
            "institution": item.institution_name or "",
        }

    # ── webhooks ────────────────────────────────────────────────────────────

    def webhook(self, item: Item | None, kind: str, code: str, **said: Any) -> bytes:
        about = {} if item is None else {"item_id": item.id}
        told = {"webhook_type": kind, "webhook_code": code, **about, "environment": "sandbox"}
        return json.dumps(told | said, indent=2).encode()

    def signed(self, body: bytes, **claims: Any) -> dict[str, str]:
        """The header that vouches for it."""
        told = {
            "iat": int(self.now().timestamp()),
            "request_body_sha256": hashlib.sha256(body).hexdigest(),
            **claims,
        }
        header = {"alg": "ES256", "kid": self.kid, "typ": "JWT"}
        token = jws.serialize_compact(header, json.dumps(told), self.key, ["ES256"])
        return {"Plaid-Verification": token}

    async def send(self, url: str, body: bytes, **claims: Any) -> httpx2.Response:
        headers = {"content-type": "application/json", **self.signed(body, **claims)}
        async with httpx2.AsyncClient(trust_env=False) as client:
            return await client.post(url, content=body, headers=headers)

    # ── the API ─────────────────────────────────────────────────────────────

    async def _asked(self, request: Request) -> Response:
        path = request.url.path
        try:
            said = json.loads(await request.body())
        except ValueError:
            self.complain(f"{path}: no JSON")
            return refused("INVALID_REQUEST", "INVALID_BODY")
        if (wrong := self._wrong(path, request, said)) is not None:
            return wrong
        answer = getattr(self, path.strip("/").replace("/", "_"))(said)
        if isinstance(answer, Response):
            return answer
        if self.meanwhile and path == "/transactions/sync":
            happens = self.meanwhile.pop(0)()
            if isawaitable(happens):
                await happens
        return JSONResponse({**answer, "request_id": "bkVE1BHWMAZ9Rnr"})

    def _wrong(self, path: str, request: Request, said: Mapping[str, Any]) -> Response | None:
        rule = RULES[path]
        if request.headers.get("plaid-version") != VERSION:
            self.complain(f"{path}: no Plaid-Version")
        if request.headers.get("content-type", "").split(";")[0] != "application/json":
            self.complain(f"{path}: not said to be JSON")
        if (said.get("client_id"), said.get("secret")) != (CLIENT_ID, SECRET):
            self.complain(f"{path}: another client")
            return refused("INVALID_INPUT", "INVALID_API_KEYS")
        if missing := rule.required - said.keys():
            self.complain(f"{path}: without {sorted(missing)}")
            return refused("INVALID_REQUEST", "MISSING_FIELDS")
        if unknown := said.keys() - rule.known:
            self.complain(f"{path}: {sorted(unknown)} is nothing that it knows")
            return refused("INVALID_REQUEST", "UNKNOWN_FIELDS")
        return None

    def _item(self, said: Mapping[str, Any], path: str = "") -> Item | Response:
        item = self.items.get(said["access_token"])
        if item is None:
            known = said["access_token"] in self.removed
            code = "ITEM_NOT_FOUND" if known else "INVALID_ACCESS_TOKEN"
            return refused("ITEM_ERROR" if known else "INVALID_INPUT", code)
        if path in item.lacks:
            return refused("ITEM_ERROR", item.lacks[path])
        if path and item.error is not None:
            return refused("ITEM_ERROR", item.error["error_code"])
        return item

    def link_token_create(self, said: Told) -> Told | Response:
        self.link_tokens.append(said)
        if not said.get("user", {}).get("client_user_id"):
            self.complain("a link token for nobody")
        if "access_token" in said:
            item = self._item(said)
            if isinstance(item, Response):
                return item
            if "products" in said:
                self.complain("products in update mode")
        elif not said.get("products"):
            self.complain("a link token for no product")
        return {"link_token": "link-sandbox-af1a0311", "expiration": "2026-03-17T19:30:00Z"}

    def item_public_token_exchange(self, said: Told) -> Told | Response:
        item = self.public_tokens.pop(said["public_token"], None)
        if item is None:
            return refused("INVALID_INPUT", "INVALID_PUBLIC_TOKEN")
        self.items[item.token] = item
        return {"access_token": item.token, "item_id": item.id}

    def item_get(self, said: Told) -> Told | Response:
        item = self._item(said)
        if isinstance(item, Response):
            return item
        updated = {"last_successful_update": item.updated_at, "last_failed_update": None}
        return {
            "item": {
                "item_id": item.id,
                "institution_id": item.institution_id,
                "institution_name": item.institution_name,
                "webhook": item.webhook,
                "error": item.error,
                "available_products": ["balance"],
                "billed_products": item.products,
                "products": item.products,
                "consent_expiration_time": item.consent_expiration_time,
                "update_type": "background",
            },
            "status": {"transactions": updated, "investments": None, "last_webhook": None},
        }

    def item_remove(self, said: Told) -> Told | Response:
        item = self._item(said)
        if isinstance(item, Response):
            return item
        self.removed.append(item.token)
        del self.items[item.token]
        return {}

    def institutions_get_by_id(self, said: Told) -> Told:
        name = f"Institution {said['institution_id']}"
        return {"institution": {"institution_id": said["institution_id"], "name": name}}

    def accounts_get(self, said: Told) -> Told | Response:
        item = self._item(said, "/accounts/get")
        if isinstance(item, Response):
            return item
        return {"accounts": item.accounts, "item": {"item_id": item.id}}

    def transactions_sync(self, said: Told) -> Told | Response:
        item = self._item(said, "/transactions/sync")
        if isinstance(item, Response):
            return item
        count = said.get("count", 100)
        if not 1 <= count <= COUNT_MAX:
            self.complain(f"{count} updates at once")
            return refused("INVALID_REQUEST", "INVALID_FIELD")
        if item.update_status == "NOT_READY":
            nothing: Told = {"accounts": [], "added": [], "modified": [], "removed": []}
            told = {"next_cursor": "", "has_more": False}
            return {**nothing, **told, "transactions_update_status": "NOT_READY"}
        try:
            answer = item.updates(said.get("cursor", ""), min(count, self.page_max))
        except Changed:
            return refused("TRANSACTIONS_ERROR", "TRANSACTIONS_SYNC_MUTATION_DURING_PAGINATION")
        except ValueError:
            self.complain("a cursor of another Item")
            return refused("INVALID_INPUT", "INVALID_FIELD")
        return answer

    def investments_holdings_get(self, said: Told) -> Told | Response:
        item = self._invested(said, "/investments/holdings/get")
        if isinstance(item, Response):
            return item
        invested = [a for a in item.accounts if a["type"] == "investment"]
        return {
            "accounts": invested,
            "holdings": item.holdings,
            "securities": item.securities,
            "item": {"item_id": item.id},
        }

    def investments_transactions_get(self, said: Told) -> Told | Response:
        item = self._invested(said, "/investments/transactions/get")
        if isinstance(item, Response):
            return item
        options = {"count": 100, "offset": 0, **said.get("options", {})}
        if not 1 <= options["count"] <= COUNT_MAX:
            self.complain(f"{options['count']} transactions at once")
        rows = [r for r in item.invested if said["start_date"] <= r["date"] <= said["end_date"]]
        rows = sorted(rows, key=lambda r: r["date"], reverse=True)
        end = options["offset"] + min(options["count"], self.page_max)
        return {
            "accounts": [],
            "investment_transactions": rows[options["offset"] : end],
            "securities": item.securities,
            "total_investment_transactions": len(rows),
            "item": {"item_id": item.id},
        }

    def _invested(self, said: Told, path: str) -> Item | Response:
        item = self._item(said, path)
        if isinstance(item, Item) and "investments" not in item.products:
            self.complain(f"{path}: it would be added to the Item, and paid for")
            return refused("ITEM_ERROR", "PRODUCTS_NOT_SUPPORTED")
        return item

    def liabilities_get(self, said: Told) -> Told | Response:
        item = self._item(said, "/liabilities/get")
        if isinstance(item, Response):
            return item
        debts = {"credit": [], "mortgage": item.mortgages, "student": None}
        return {"accounts": [], "liabilities": debts, "item": {"item_id": item.id}}

    def webhook_verification_key_get(self, said: Told) -> Told | Response:
        if said["key_id"] != self.kid:
            return refused("INVALID_INPUT", "INVALID_WEBHOOK_VERIFICATION_KEY_ID")
        public = self.key.as_dict(private=False)
        return {
            "key": {
                **{name: public[name] for name in ("kty", "crv", "x", "y")},
                "alg": "ES256",
                "kid": self.kid,
                "use": "sig",
                "created_at": 1560466150,
                "expired_at": self.key_expired_at,
            }
        }
