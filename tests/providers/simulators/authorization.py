"""A small OAuth 2 server with something behind it: RFC 6749, 7636 and 9207, to the letter."""

import hmac
import secrets
from base64 import b64decode, b64encode, urlsafe_b64encode
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from tests.providers.simulators.base import Simulator

CLIENT_ID, CLIENT_SECRET = "gateway-7", "a secret: of the gateway's"


@dataclass(slots=True)
class Code:
    owner: str
    redirect_uri: str
    challenge: str | None
    is_spent: bool = False


@dataclass(eq=False)
class AuthorizationServer(Simulator):
    """`owner` is who consents, as soon as they are asked; `error` is what it says instead.

    `redirect_uris` are those that were registered. `by_form`: clients prove themselves in the form.
    `issuer` is what it says as `iss`.
    """

    redirect_uris: Sequence[str] = ()
    owner: str = "ann"
    error: str | None = None
    by_form: bool = False
    issuer: str | None = None
    codes: dict[str, Code] = field(default_factory=dict)
    granted: dict[str, str] = field(default_factory=dict)  # owners by their access tokens
    refresh_tokens: dict[str, str] = field(default_factory=dict)

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route("/oauth/authorize", self.authorize),
            Route("/oauth/token", self.token, methods=["POST"]),
            Route("/me", self.me),
        ]

    @property
    def token_calls(self) -> int:
        return len(self.asked("/oauth/token"))

    async def authorize(self, request: Request) -> Response:
        said = dict(request.query_params)
        if said.get("client_id") != CLIENT_ID or said.get("redirect_uri") not in self.redirect_uris:
            self.complain(f"nobody is sent back for {said}")
            return JSONResponse({"error": "invalid_request"}, 400)
        if said.get("response_type") != "code" or len(said.get("state", "")) < 22:
            self.complain(f"{said} is no request for a code")
        if said.get("code_challenge_method") != "S256" or len(said["code_challenge"]) != 43:
            self.complain("PKCE is not S256")
        told = {"state": said["state"]} | ({"iss": self.issuer} if self.issuer else {})
        if self.error is not None:
            told["error"] = self.error
        else:
            code = f"C0.{secrets.token_urlsafe(30)}@"  # which has to be quoted
            self.codes[code] = Code(self.owner, said["redirect_uri"], said["code_challenge"])
            told["code"] = code
        return RedirectResponse(f"{said['redirect_uri']}?{urlencode(told)}", 302)

    async def token(self, request: Request) -> Response:
        form = {name: str(text) for name, text in (await request.form()).items()}
        if not self._is_client(request, form):
            self.complain("the client did not prove itself as it has to")
            return JSONResponse({"error": "invalid_client"}, 401)
        match form.get("grant_type"):
            case "authorization_code":
                return self._exchanged(form)
            case "refresh_token":
                owner = self.refresh_tokens.pop(form.get("refresh_token", ""), None)
                if owner is not None:
                    return self._granted(owner)
        return JSONResponse({"error": "invalid_grant"}, 400)

    def _exchanged(self, form: dict[str, str]) -> Response:
        code = self.codes.get(form.get("code", ""))
        verifier = form.get("code_verifier", "")
        digest = urlsafe_b64encode(sha256(verifier.encode()).digest()).rstrip(b"=").decode()
        if code is None or code.is_spent or code.redirect_uri != form.get("redirect_uri"):
            return JSONResponse({"error": "invalid_grant"}, 400)
        if not hmac.compare_digest(digest, code.challenge or ""):
            return JSONResponse({"error": "invalid_grant"}, 400)
        code.is_spent = True
        return self._granted(code.owner)

    def _granted(self, owner: str) -> Response:
        access, refresh = secrets.token_urlsafe(30), secrets.token_urlsafe(30)
        self.granted[access], self.refresh_tokens[refresh] = owner, owner
        said = {"access_token": access, "refresh_token": refresh, "token_type": "Bearer"}
        return JSONResponse(said | {"expires_in": 1800, "scope": "read"})

    async def me(self, request: Request) -> Response:
        scheme, _, token = request.headers.get("authorization", "").partition(" ")
        owner = self.granted.get(token)
        if scheme != "Bearer" or owner is None:
            return JSONResponse({"message": "unauthorized"}, 401)
        return JSONResponse({"login": owner})

    def _is_client(self, request: Request, form: dict[str, str]) -> bool:
        if self.by_form:
            known = (form.get("client_id"), form.get("client_secret"))
            return known == (CLIENT_ID, CLIENT_SECRET) and "authorization" not in request.headers
        scheme, _, said = request.headers.get("authorization", "").partition(" ")
        ours = b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode())
        is_ours = scheme == "Basic" and b64decode(said) == b64decode(ours)
        return is_ours and "client_secret" not in form
