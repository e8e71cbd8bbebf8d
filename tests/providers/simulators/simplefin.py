"""A SimpleFIN server: setup tokens that are claimed once, and GET /accounts, versions 1 and 2.

What it checks is in the protocol (simplefin.org/protocol.html) and in what the Bridge says of
itself: POST /claim/:token without content, Basic credentials, `pending=1` or none, days as UNIX
timestamps, the end exclusive, at most 90 days at once, 24 requests a day.
"""

import base64
import json
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from tests.providers.simulators.base import Simulator

ROOT = "/simplefin"
DAYS_MAX = 90
REQUESTS_MAX, WARNED_FROM, BLOCKED_FROM = 24, 48, 96
KNOWN = {"version", "start-date", "end-date", "pending", "account", "balances-only"}
FORBIDDEN = (
    "<!doctype html><html><head><title>Forbidden - SimpleFIN Bridge</title></head>"
    "<body><h1>Forbidden</h1><p>Access denied</p></body></html>"
)


def noon(day: date) -> int:
    """How the Bridge writes a day."""
    return int(datetime(day.year, day.month, day.day, 12, tzinfo=UTC).timestamp())


@dataclass(kw_only=True)
class Entry:
    """A transaction; while it is pending it has not been posted."""

    id: str
    amount: str
    description: str
    posted: date | None
    transacted: date | None = None
    payee: str | None = None
    more: dict[str, Any] = field(default_factory=dict)

    def told(self) -> dict[str, Any]:
        said: dict[str, Any] = {
            "id": self.id,
            "posted": noon(self.posted) if self.posted else 0,
            "amount": self.amount,
            "description": self.description,
        }
        if self.transacted:
            said["transacted_at"] = noon(self.transacted)
        if self.payee:
            said["payee"] = self.payee
        if self.posted is None:
            said["pending"] = True
        return said | self.more


@dataclass(kw_only=True)
class Held:
    """An account. `org` is the institution's name, and the beginning of its domain."""

    id: str
    org: str
    name: str
    balance: str
    at: datetime
    currency: str = "USD"
    available: str | None = None
    entries: list[Entry] = field(default_factory=list)
    holdings: list[dict[str, Any]] = field(default_factory=list)

    @property
    def domain(self) -> str:
        return f"{''.join(c for c in self.org.casefold() if c.isalnum())}.example"

    @property
    def connection(self) -> str:
        return f"CON-{self.domain}"


@dataclass(eq=False)
class SimpleFinServer(Simulator):
    """`versions` are those that it speaks. `errors` are said beside a good answer: sentences of
    version 1, and of version 2 whole errors."""

    held: list[Held] = field(default_factory=list)
    versions: frozenset[int] = frozenset({1, 2})
    errors: list[str] = field(default_factory=list)
    errlist: list[dict[str, str]] = field(default_factory=list)
    unpaid: bool = False
    revoked: bool = False
    days_max: int = DAYS_MAX
    counts_requests: bool = True
    access_url: str | None = None  # instead of that of the token
    waiting: set[str] = field(default_factory=set)
    claimed: dict[str, tuple[str, str]] = field(default_factory=dict)
    spent: Counter[tuple[str, date]] = field(default_factory=Counter)

    def routes(self) -> Sequence[BaseRoute]:
        return (
            Route(f"{ROOT}/claim/{{token}}", self._claim, methods=["POST"]),
            Route(f"{ROOT}/accounts", self._accounts, methods=["GET"]),
        )

    # ── what a person does there ────────────────────────────────────────────

    def setup_token(self, code: str = "demo") -> str:
        """A new one, to be claimed once."""
        self.waiting.add(code)
        return base64.b64encode(f"{self.url}{ROOT}/claim/{code}".encode()).decode()

    def credentials(self, code: str = "demo") -> dict[str, str]:
        """What was sealed after that token was claimed."""
        user, password = self._pair(code)
        return {"host": self.url, "path": ROOT, "user": user, "password": password}

    def settle(self, account: Held, id: str, day: date, *, new_id: str | None = None) -> Entry:
        entry = next(e for e in account.entries if e.id == id)
        entry.id, entry.posted = new_id or id, day
        return entry

    def _pair(self, code: str) -> tuple[str, str]:
        pair = (f"user-{code}", f"pass:{code}/%")
        self.claimed[code] = pair
        return pair

    # ── what it answers ─────────────────────────────────────────────────────

    async def _claim(self, request: Request) -> Response:
        if request.headers.get("content-length") != "0":
            self.complain("a claim has a Content-Length of 0")
        if "authorization" in request.headers:
            self.complain("a claim has no credentials yet")
        code = request.path_params["token"]
        if code not in self.waiting:
            return Response(FORBIDDEN, 403, media_type="text/html")
        self.waiting.remove(code)
        user, password = self._pair(code)
        quoted = password.replace("%", "%25").replace(":", "%3A").replace("/", "%2F")
        url = self.access_url or f"http://{user}:{quoted}@{self.host}{ROOT}"
        return Response(url, media_type="text/plain")

    async def _accounts(self, request: Request) -> Response:
        given = request.query_params
        user = self._user(request)
        if user is None or self.revoked:
            return Response(FORBIDDEN, 403, media_type="text/html")
        if self.unpaid:
            return JSONResponse({"errors": ["Payment required."], "accounts": []}, 402)
        if unknown := {*given} - KNOWN:
            self.complain(f"there is no parameter {sorted(unknown)}")
        version = 2 if given.get("version") == "2" and 2 in self.versions else 1
        warnings = self._counted(user)
        if warnings is None:
            return JSONResponse({"errors": ["Too many requests today."]}, 429)
        since, until = self._window(request, warnings)
        accounts = [
            self._told(account, request, since, until, version)
            for account in self.held
            if not given.getlist("account") or account.id in given.getlist("account")
        ]
        told = json.dumps(self._set(accounts, warnings, version))  # in ASCII, whatever is in it
        return Response(told, media_type="application/json")

    def _user(self, request: Request) -> str | None:
        kind, _, coded = request.headers.get("authorization", "").partition(" ")
        if kind != "Basic":
            self.complain("the credentials of an access URL are presented as Basic")
            return None
        user, _, password = base64.b64decode(coded).decode().partition(":")
        return user if (user, password) in self.claimed.values() else None

    def _counted(self, user: str) -> list[str] | None:
        """What it says of how often it was asked today; None where that is too often."""
        if not self.counts_requests:
            return []
        self.spent[user, self.now().date()] += 1
        count = self.spent[user, self.now().date()]
        if count > REQUESTS_MAX:
            self.complain(f"request {count} of a day, of {REQUESTS_MAX}")
        if count > BLOCKED_FROM:
            return None
        return ["You are making too many requests."] if count > WARNED_FROM else []

    def _window(self, request: Request, warnings: list[str]) -> tuple[int, int]:
        given = request.query_params
        for name in ("start-date", "end-date"):
            if name in given and not given[name].isdigit():
                self.complain(f"{name} is a UNIX timestamp")
        if given.get("pending", "1") != "1" or given.get("balances-only", "1") != "1":
            self.complain("pending and balances-only are 1, or not there")
        now = int(self.now().timestamp())
        until = int(given.get("end-date", now + 86_400))
        since = int(given.get("start-date", until - 30 * 86_400))
        if since >= until:
            self.complain("a window ends after it begins")
        if min(until, now) - since > self.days_max * 86_400 + 86_399:
            self.complain(f"more than {self.days_max} days were asked for")
            warnings.append(f"Requested date range exceeds the limit of {self.days_max} days.")
            since = until - self.days_max * 86_400
        return since, until

    def _told(
        self, account: Held, request: Request, since: int, until: int, version: int
    ) -> dict[str, Any]:
        said: dict[str, Any] = {
            "id": account.id,
            "name": account.name,
            "currency": account.currency,
            "balance": account.balance,
            "balance-date": int(account.at.timestamp()),
            "holdings": account.holdings,
            "extra": {},
        }
        if account.available is not None:
            said["available-balance"] = account.available
        if version == 2:
            said["conn_id"] = account.connection
        else:
            said["org"] = {
                "domain": account.domain,
                "name": account.org,
                "sfin-url": f"{self.url}{ROOT}",
            }
        with_pending = "pending" in request.query_params  # even pending=0, as the Bridge takes it
        if "balances-only" not in request.query_params:
            entries = [e for e in account.entries if self._is_in(e, since, until, with_pending)]
            said["transactions"] = [e.told() for e in entries]
        return said

    def _is_in(self, entry: Entry, since: int, until: int, with_pending: bool) -> bool:
        if entry.posted is None:
            return with_pending
        return since <= noon(entry.posted) < until

    def _set(self, accounts: list[dict[str, Any]], warnings: list[str], v: int) -> object:
        if v == 1:
            return {"errors": [*self.errors, *warnings], "accounts": accounts}
        connections = {
            account.connection: {
                "conn_id": account.connection,
                "name": f"{account.org} - Ann",
                "org_id": f"INST-{account.domain}",
                "org_name": account.org,
                "org_url": f"https://{account.domain}",
                "sfin_url": f"{self.url}{ROOT}",
            }
            for account in self.held
        }
        told = [{"code": "gen.", "msg": warning} for warning in warnings]
        return {
            "errlist": [*self.errlist, *told],
            "connections": list(connections.values()),
            "accounts": accounts,
        }


def household(now: datetime) -> list[Held]:
    """Two banks, a card, a broker, a loan, and an account in euros; 100 days of them."""
    today = now.date()

    def ago(days: int) -> date:
        return today - timedelta(days=days)

    checking = Held(
        id="ACT-checking", org="Mill Bank", name="Everyday Checking (4321)", balance="812.50",
        available="800.00", at=now - timedelta(hours=3),
        entries=[
            Entry(id="T-wage", amount="1500.00", description="PAYROLL ACME", posted=ago(2)),
            Entry(id="T-shop", amount="-25.40", description="GREENGROCER 17", posted=ago(9),
                  transacted=ago(11), payee="Greengrocer"),
            Entry(id="T-hold", amount="-4.50", description="COFFEE", posted=None,
                  transacted=ago(1), payee="Coffee House"),
            Entry(id="T-old", amount="-60.00", description="DENTIST", posted=ago(70)),
            Entry(id="T-older", amount="-61.00", description="DENTIST", posted=ago(100),
                  more={"extra": {"category": "health"}}),
        ],
    )  # fmt: skip
    card = Held(
        id="ACT-card", org="Mill Bank", name="Costco Anywhere Visa® Card", balance="-532.69",
        available="4467.31", at=now - timedelta(hours=3),
        entries=[
            Entry(id="T-fuel", amount="-40.00", description="FUEL 8", posted=ago(4)),
            Entry(id="T-paid", amount="300.00", description="AUTOPAY THANK YOU", posted=ago(6)),
        ],
    )  # fmt: skip
    broker = Held(
        id="ACT-broker", org="Hill Securities", name="Individual", balance="16500.00",
        at=now - timedelta(hours=8),
        entries=[Entry(id="T-div", amount="12.50", description="Dividend XYZ", posted=ago(12))],
        holdings=[
            {"id": "HOL-1", "created": int(now.timestamp()), "currency": "",
             "cost_basis": "10000.00", "description": "Growth Fund", "market_value": "15000.00",
             "purchase_price": "0.00", "shares": "200.00", "symbol": "GRW"},
            {"id": "HOL-2", "created": int(now.timestamp()), "currency": "USD",
             "cost_basis": "0.00", "description": "Short Co", "market_value": "-500.00",
             "purchase_price": "0.00", "shares": "-10", "symbol": "SHRT"},
        ],
    )  # fmt: skip
    loan = Held(
        id="ACT-loan", org="Castle Lending", name="Home Mortgage", balance="-240000.00",
        at=now - timedelta(days=1),
    )  # fmt: skip
    euros = Held(
        id="ACT-euros", org="Castle Lending", name="Tagesgeld", balance="99.99", currency="EUR",
        at=now - timedelta(days=1),
        entries=[Entry(id="T-zins", amount="0.09", description="Interest", posted=ago(15))],
    )  # fmt: skip
    return [checking, card, broker, loan, euros]
