"""Schwab as a real HTTP server: consent for seven days, tokens for thirty minutes, accounts by hash.

Shapes are those that were recorded from it; what it lets a client ask is in schwab_rules.
"""

import hmac
from base64 import b64decode, urlsafe_b64encode
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import Enum
from hashlib import sha256
from secrets import token_hex
from typing import Any
from urllib.parse import urlencode
from uuid import uuid4

from starlette.requests import Request
from starlette.responses import JSONResponse, PlainTextResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.providers.kit import raw_text
from tests.providers.simulators import schwab_rules as rules
from tests.providers.simulators.base import Simulator
from tests.providers.simulators.schwab_books import Books, household

CALLBACK = "https://dashtam.example/oauth/schwab/callback"
CLIENT_ID, CLIENT_SECRET = "1wzwOrhivb2PkR1UCAUV", "S3CR3TS3CR3TS3CR"
CUSTOMER = "5as801a4152776d0e435d18b82e866fc58a920f9c52c7a70de6c6f845cb50bf5"
UPSTREAM_TIMEOUT = PlainTextResponse("upstream request timeout", 504)


class Rotation(Enum):
    """What the answer to a renewal brings as its refresh token."""

    NONE = "none"
    SAME = "the same"
    NEW = "another, and the one before is no good any more"


@dataclass(frozen=True, slots=True, kw_only=True)
class Code:
    redirect_uri: str
    challenge: str | None
    at: datetime


@dataclass(eq=False)
class SchwabSimulator(Simulator):
    """One customer. `each_type`: several types in one call bring nothing. `remembers_since`: what
    begins before is refused. `books` are the accounts that the owner lets us read."""

    books: list[Books] = field(default_factory=lambda: household(datetime.now(UTC)))
    customer: str = CUSTOMER
    rotation: Rotation = Rotation.SAME
    each_type: bool = False
    remembers_since: datetime | None = None
    rows_max: int = rules.ROWS_MAX
    callbacks: tuple[str, ...] = (CALLBACK,)

    def __post_init__(self) -> None:
        super().__post_init__()
        self._codes: dict[str, Code] = {}
        self.tokens: dict[str, datetime] = {}  # until when each is good
        self.refresh_tokens: dict[str, datetime] = {}

    def routes(self) -> Sequence[BaseRoute]:
        base = rules.BASE
        return [
            Route(rules.AUTHORIZE, self._authorize),
            Route(rules.TOKEN, self._token, methods=["POST"]),
            Route(base + rules.NUMBERS, self._numbers),
            Route(base + rules.ACCOUNTS, self._accounts),
            Route(base + rules.TRANSACTIONS, self._transactions),
            Route(base + rules.PREFERENCES, self._preferences),
        ]

    def grant(self) -> dict[str, str]:
        """Credentials as the adapter keeps them, of a consent just now."""
        said = self._granted(self.now() + rules.AUTHORIZED_FOR)
        return {
            "access_token": said["access_token"],
            "refresh_token": said["refresh_token"],
            "authorized_until": (self.now() + rules.AUTHORIZED_FOR).isoformat(),
        }

    # ── consent and tokens ──────────────────────────────────────────────────

    async def _authorize(self, request: Request) -> Response:
        """As if the owner said yes at once. The code ends with @, which a URL says as %40."""
        said = dict(request.query_params)
        wrong = [
            said.get("response_type") != "code" and "response_type is code",
            said.get("client_id") != CLIENT_ID and "an unknown client_id",
            said.get("redirect_uri") not in self.callbacks and "a redirect_uri not registered",
            len(said.get("state", "")) < 22 and "a state that can be guessed",
            said.get("scope") not in rules.SCOPES and "a scope that there is not",
            said.get("code_challenge_method", "S256") != "S256" and "a challenge in clear",
        ]
        if any(wrong):
            self.complain(f"{rules.AUTHORIZE}: {next(filter(None, wrong))}")
            return JSONResponse({"error": "invalid_request"}, 400)
        code = f"C0.b2F1dGgyLmJkYy5zY2h3YWIuY29t.{token_hex(16)}@"
        challenge = said.get("code_challenge")
        self._codes[code] = Code(
            redirect_uri=said["redirect_uri"], challenge=challenge, at=self.now()
        )
        query = urlencode({"code": code, "session": str(uuid4()), "state": said["state"]})
        return RedirectResponse(f"{said['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        asked = self.requests[-1]
        form: Mapping[str, str] = asked.form
        content_type = asked.headers.get("content-type", "")
        if not content_type.startswith("application/x-www-form-urlencoded"):
            self.complain(f"{rules.TOKEN} takes a form")
        if form.keys() & {"client_id", "client_secret"}:
            self.complain(f"{rules.TOKEN} takes id and secret in the header")
        if not _is_us(asked.headers.get("authorization", "")):
            self.complain("the client did not prove itself by Basic")
            return JSONResponse({"error": "invalid_client"}, 401)
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchanged(form)
            case "refresh_token":
                return self._renewed(form)
        self.complain(f"there is no grant {form.get('grant_type')}")
        return JSONResponse({"error": "unsupported_grant_type"}, 400)

    def _exchanged(self, form: Mapping[str, str]) -> Response:
        code = self._codes.pop(form.get("code", ""), None)
        digest = urlsafe_b64encode(sha256(form.get("code_verifier", "").encode()).digest())
        proof = digest.rstrip(b"=").decode()
        if (
            code is None
            or self.now() - code.at > rules.CODE_LIFETIME
            or code.redirect_uri != form.get("redirect_uri")
            or not hmac.compare_digest(code.challenge or proof, proof)
        ):
            return _no_token("Bad authorization code")
        return JSONResponse(self._granted(self.now() + rules.AUTHORIZED_FOR))

    def _renewed(self, form: Mapping[str, str]) -> Response:
        before = form.get("refresh_token", "")
        until = self.refresh_tokens.get(before)
        if until is None or self.now() >= until:
            return _no_token("refresh_token_authentication_error")
        said = self._granted(until)
        new = said["refresh_token"]
        if self.rotation is Rotation.NEW:
            del self.refresh_tokens[before]
        else:
            del self.refresh_tokens[new]
            said["refresh_token"] = before
        if self.rotation is Rotation.NONE:
            del said["refresh_token"]
        return JSONResponse(said)

    def _granted(self, until: datetime) -> dict[str, Any]:
        """Until then it can be renewed, which moves nothing."""
        access, refresh = f"I0.{token_hex(20)}@", f"{token_hex(20)}@"
        self.tokens[access] = self.now() + rules.TOKEN_LIFETIME
        self.refresh_tokens[refresh] = until
        return {
            "expires_in": int(rules.TOKEN_LIFETIME.total_seconds()),
            "token_type": "Bearer",
            "scope": "api",
            "refresh_token": refresh,
            "access_token": access,
            "id_token": "eyJhbGciOiJSUzI1NiJ9.e30.e30",
        }

    # ── data ────────────────────────────────────────────────────────────────

    async def _numbers(self, request: Request) -> Response:
        rows = [{"accountNumber": b.number, "hashValue": b.hash} for b in self.books]
        return self._refusal(rules.NUMBERS) or _json(raw_text(rows))

    async def _accounts(self, request: Request) -> Response:
        told = [books.told() for books in self.books]
        if self.requests[-1].param("fields") != "positions":
            for one in told:
                del one["securitiesAccount"]["positions"]
        return self._refusal(rules.ACCOUNTS) or _json(raw_text(told))

    async def _preferences(self, request: Request) -> Response:
        told = {
            "accounts": [
                {
                    "accountNumber": books.number,
                    "primaryAccount": False,
                    "type": "BROKERAGE",
                    "nickName": books.nickname,
                    "displayAcctId": f"...{books.number[-3:]}",
                    "accountColor": "Green",
                }
                for books in self.books
                if books.nickname is not None
            ],
            "streamerInfo": [
                {
                    "streamerSocketUrl": "wss://streamer-api.schwab.com/ws",
                    "schwabClientCustomerId": self.customer,
                    "schwabClientCorrelId": str(uuid4()),
                    "schwabClientChannel": "N9",
                }
            ],
            "offers": [{"level2Permissions": True, "mktDataPermission": "NP"}],
        }
        return self._refusal(rules.PREFERENCES) or _json(raw_text(told))

    async def _transactions(self, request: Request) -> Response:
        if (refusal := self._refusal(rules.TRANSACTIONS)) is not None:
            return refusal
        asked, account = self.requests[-1], request.path_params["accountNumber"]
        if rules.is_plain(account):
            self.complain("an account's number in a path")
        books = next((b for b in self.books if b.hash == account), None)
        if books is None:
            return _error(404, "Resource not found")
        begins = rules.instant(asked.param("startDate") or "")
        ends = rules.instant(asked.param("endDate") or "")
        if self.remembers_since is not None and begins < self.remembers_since:
            return _error(400, "startDate is too far in the past")
        types = rules.types_of(asked)
        found = books.within(begins, ends, types)
        if self.each_type and len(types) > 1:
            found = []
        return _json(books.written(found[: self.rows_max]))

    def _refusal(self, path: str) -> Response | None:
        asked = self.requests[-1]
        scheme, _, token = asked.headers.get("authorization", "").partition(" ")
        if scheme != "Bearer" or self.tokens.get(token, self.now()) <= self.now():
            return _error(401, "Client not authorized", "Invalid bearer token")
        wrong = rules.wrong_with(asked, path)
        if wrong is None:
            return None
        self.complain(wrong)
        return _error(400, "Validation problem", wrong)


def _json(text: str) -> Response:
    headers = {"schwab-client-correlid": str(uuid4())}
    return Response(text, media_type="application/json", headers=headers)


def _error(status: int, message: str, *errors: str) -> Response:
    headers = {"schwab-client-correlid": str(uuid4())}
    return JSONResponse({"message": message, "errors": list(errors)}, status, headers)


def _no_token(why: str) -> Response:
    said = {"error": "unsupported_token_type", "error_description": f'400 Bad Request: "{why}"'}
    return JSONResponse(said, 400)


def _is_us(header: str) -> bool:
    scheme, _, said = header.partition(" ")
    return scheme == "Basic" and b64decode(said) == f"{CLIENT_ID}:{CLIENT_SECRET}".encode()
