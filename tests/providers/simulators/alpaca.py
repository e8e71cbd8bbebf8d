"""Alpaca as a real HTTP server: a live and a paper account, keys, consent, 200 calls a minute."""

import base64
from collections import defaultdict, deque
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from itertools import islice
from secrets import token_hex
from urllib.parse import urlencode

from starlette.requests import Request
from starlette.responses import JSONResponse, RedirectResponse, Response
from starlette.routing import BaseRoute, Route

from adapters.providers.kit import raw_text
from tests.providers.simulators import alpaca_rules as rules
from tests.providers.simulators.alpaca_books import NEW_YORK, Books
from tests.providers.simulators.base import Received, Simulator

CALLBACK = "https://dashtam.example/oauth/alpaca/callback"
CLIENT_ID, CLIENT_SECRET = "c0ffee", "bada55"
LIVE_KEY, PAPER_KEY, SECRET = "AKLIVEKEY00000000001", "PKPAPERKEY0000000001", "s3cr3tS3cr3t"
PERIODS = {"D": 1, "W": 7, "M": 31, "A": 366}
MINUTE = timedelta(minutes=1)


def a_live_account() -> Books:
    return Books("010203ABCD", datetime(2025, 1, 6, 15, tzinfo=UTC))


def a_paper_account() -> Books:
    return Books("PA00000001", datetime(2025, 1, 6, 15, tzinfo=UTC))


@dataclass(eq=False)
class AlpacaSimulator(Simulator):
    """`books` by the key that opens them. `tokens` are good until they are withdrawn."""

    live: Books = field(default_factory=a_live_account)
    paper: Books = field(default_factory=a_paper_account)
    tokens: dict[str, Books] = field(default_factory=dict)
    keys: dict[str, Books] = field(default_factory=dict)
    callbacks: tuple[str, ...] = (CALLBACK,)
    page_size_served: int = rules.PAGE_SIZE_MAX

    def __post_init__(self) -> None:
        super().__post_init__()
        self.keys |= {LIVE_KEY: self.live, PAPER_KEY: self.paper}
        self._codes: dict[str, str] = {}
        self._calls: dict[str, deque[datetime]] = defaultdict(deque)

    def routes(self) -> Sequence[BaseRoute]:
        return [
            Route(rules.ACCOUNT, self._account),
            Route(rules.POSITIONS, self._positions),
            Route(rules.HISTORY, self._history),
            Route(rules.ACTIVITIES, self._activities),
            Route("/oauth/authorize", self._authorize),
            Route("/oauth/token", self._token, methods=["POST"]),
        ]

    # ── data ────────────────────────────────────────────────────────────────

    async def _account(self, request: Request) -> Response:
        return self._answer_to(request, lambda books, _: books.account(self.now()))

    async def _positions(self, request: Request) -> Response:
        return self._answer_to(request, lambda books, _: books.positions(self.now()))

    async def _history(self, request: Request) -> Response:
        return self._answer_to(request, self._equities)

    async def _activities(self, request: Request) -> Response:
        return self._answer_to(request, self._listed)

    def _equities(self, books: Books, asked: Received) -> object:
        today = self.now().astimezone(NEW_YORK).date()
        until = min(date.fromisoformat(asked.param("date_end") or str(today)), today)
        period = asked.param("period") or "1M"
        since = until - timedelta(days=int(period[:-1]) * PERIODS[period[-1]])
        told = list(books.equities(since, until, self.now()))
        return {
            "timestamp": [Decimal(at) for at, _ in told],
            "equity": [equity for _, equity in told],
            "profit_loss": [Decimal(0) for _ in told],
            "profit_loss_pct": [Decimal(0) for _ in told],
            "base_value": Decimal(0),
            "timeframe": asked.param("timeframe") or "1D",
        }

    def _listed(self, books: Books, asked: Received) -> object:
        is_up = asked.param("direction") == "asc"
        after, until = asked.param("after"), asked.param("until")
        lowest = "" if after is None else after[:10].replace("-", "") + "~"
        highest = "~" if until is None else until[:10].replace("-", "")
        if (token := asked.param("page_token")) is not None:
            lowest, highest = (max(lowest, token), highest) if is_up else (lowest, token)
        rows = books.activities(self.now(), after=lowest, before=highest, newest_first=not is_up)
        size = int(asked.param("page_size") or rules.PAGE_SIZE_MAX)
        return list(islice(rows, min(size, self.page_size_served)))

    def _answer_to(self, request: Request, answer: Callable[[Books, Received], object]) -> Response:
        asked = _received(request, b"", self.now())
        who = self._who(asked)
        if isinstance(who, Response):
            return who
        books, name = who
        calls = self._calls[name]
        now = self.now()
        while calls and calls[0] <= now - MINUTE:
            calls.popleft()
        left = rules.CALLS_A_MINUTE - len(calls)
        headers = {
            "x-ratelimit-limit": str(rules.CALLS_A_MINUTE),
            "x-ratelimit-remaining": str(max(left - 1, 0)),
            "x-ratelimit-reset": str(int(((calls[0] if calls else now) + MINUTE).timestamp()) + 1),
        }
        if left <= 0:
            self.complain("more calls a minute than there are")
            return _refused(429, 42910000, "rate limit exceeded", headers)
        calls.append(now)
        wrong = rules.wrong_with(asked)
        if wrong is not None:
            self.complain(wrong)
            return _refused(422, 40010001, wrong, headers)
        # Some numbers of Alpaca's are numbers: these are written as they are.
        text = raw_text(answer(books, asked))
        return Response(text, headers=headers, media_type="application/json")

    def _who(self, asked: Received) -> tuple[Books, str] | Response:
        """By the key and its secret, or by a token, and never by both."""
        key = asked.headers.get(rules.KEY_HEADER.lower())
        secret = asked.headers.get(rules.SECRET_HEADER.lower())
        bearer = asked.headers.get("authorization")
        if bearer is not None and (key is not None or secret is not None):
            self.complain("both a key and a token")
        if bearer is not None:
            books = self.tokens.get(bearer.removeprefix("Bearer "))
            if books is None or not bearer.startswith("Bearer "):
                return _refused(401, 40110000, "access token verification failed")
            return books, books.id
        if key is None or secret is None:
            self.complain("neither a key with its secret nor a token")
            return _refused(401, None, "unauthorized")
        if key not in self.keys or secret != SECRET:
            return _refused(403, None, "forbidden.")
        return self.keys[key], self.keys[key].id

    # ── consent ─────────────────────────────────────────────────────────────

    async def _authorize(self, request: Request) -> Response:
        """As if the owner said yes at once."""
        asked = _received(request, b"", self.now())
        said = {name: asked.param(name) for name in asked.query}
        scopes = (said.get("scope") or "").split()
        wrong = [
            said.get("response_type") != "code" and "response_type is code",
            said.get("client_id") != CLIENT_ID and "an unknown client_id",
            said.get("redirect_uri") not in self.callbacks and "a redirect_uri not registered",
            not said.get("state") and "no state",
            not {*scopes} <= {*rules.SCOPES} and "a scope that there is not",
            bool(scopes) and "rights that reading does not need",
        ]
        if any(wrong):
            self.complain(f"/oauth/authorize: {next(filter(None, wrong))}")
            return JSONResponse({"error": "invalid_request"}, 400)
        code = token_hex(16)
        self._codes[code] = str(said["redirect_uri"])
        query = urlencode({"code": code, "state": said["state"]})
        return RedirectResponse(f"{said['redirect_uri']}?{query}", 302)

    async def _token(self, request: Request) -> Response:
        """A code is good once. The token has no end, and there is none to renew it with."""
        asked = _received(request, await request.body(), self.now())
        form: Mapping[str, str] = asked.form
        if not asked.headers.get("content-type", "").startswith(
            "application/x-www-form-urlencoded"
        ):
            self.complain("/oauth/token takes a form")
        if "authorization" in asked.headers:
            self.complain("/oauth/token takes id and secret in the form")
        if form.get("grant_type") != "authorization_code":
            self.complain(f"there is no grant {form.get('grant_type')}")
            return JSONResponse({"error": "unsupported_grant_type"}, 400)
        if (form.get("client_id"), form.get("client_secret")) != (CLIENT_ID, CLIENT_SECRET):
            return JSONResponse({"error": "invalid_client"}, 401)
        if self._codes.pop(form.get("code", ""), None) != form.get("redirect_uri"):
            return JSONResponse({"error": "invalid_grant"}, 400)
        token = base64.b16encode(token_hex(16).encode()).decode()
        self.tokens[token] = self.live
        return JSONResponse({"access_token": token, "token_type": "bearer", "scope": ""})


def _received(request: Request, body: bytes, at: datetime) -> Received:
    names = request.query_params.keys()
    return Received(
        method=request.method,
        path=request.url.path,
        query={name: request.query_params.getlist(name) for name in names},
        headers=request.headers,
        body=body,
        at=at,
    )


def _refused(
    status: int, code: int | None, message: str, headers: Mapping[str, str] | None = None
) -> Response:
    body = {"message": message} if code is None else {"code": code, "message": message}
    return JSONResponse(body, status, headers)


def traded(
    books: Books, first: datetime, count: int, *, symbol: str = "ACME", every: timedelta = MINUTE
) -> None:
    """So many fills of one share each."""
    for n in range(count):
        books.fill("buy", symbol, "1", str(Decimal(100) + n % 7), first + n * every)
