"""The sandbox's institution: an HTTP service in this process, with latency, faults and limits.

    POST /login                          {"scenario", "seed"} -> {"token"}
    POST /revoke                         -> {}; the token is good no more
    GET  /accounts                       {"accounts"}
    GET  /balances                       {"balances", "total"}
    GET  /accounts/{id}/holdings         {"holdings"}
    GET  /accounts/{id}/transactions     {"transactions", "total", "voided"}

Each read is told the institution's day; lists take since, until, offset and limit.
"""

import asyncio
import json
import secrets
from collections import OrderedDict
from collections.abc import Awaitable, Callable
from datetime import date

import httpx2
import msgspec

from adapters.providers.sandbox.dice import Dice
from adapters.providers.sandbox.world import SCENARIOS, World, world

FAULT_EVERY = 5
LIMIT_MAX = 1_000
LOGINS_MAX = 1_000

_encoder = msgspec.json.Encoder(decimal_format="number")


class Institution(httpx2.AsyncBaseTransport):
    """`latency_s` is waited before each answer."""

    def __init__(self, *, latency_s: float, sleep: Callable[[float], Awaitable[None]]) -> None:
        self._latency_s, self._sleep = latency_s, sleep
        self._calls: OrderedDict[str, int] = OrderedDict()
        self._revoked: OrderedDict[str, None] = OrderedDict()

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        if self._latency_s:
            await self._sleep(self._latency_s)
        body, token = json.loads(await request.aread() or b"{}"), ""
        if request.url.path == "/login":
            scenario, seed = body["scenario"], body["seed"]
        else:
            token = request.headers["authorization"].removeprefix("Bearer ")
            scenario, seed, *_ = token.split(" ")
        if scenario not in SCENARIOS:
            return _json(401, {"error": "unknown_login"})
        if scenario == "down" or (scenario == "flaky" and self._is_faulty(seed)):
            return self._fault(request, scenario, seed)
        if request.url.path == "/login":
            return _json(200, {"token": f"{scenario} {seed} {secrets.token_hex(4)}"})
        if request.url.path == "/revoke":
            self._revoke(token)
            return _json(200, {})
        if token in self._revoked:
            return _json(401, {"error": "token_revoked"})
        if scenario == "expired":
            return _json(401, {"error": "token_expired"})
        today = date.fromisoformat(request.url.params["day"])
        # Other work goes on while a world is made.
        told = await asyncio.to_thread(world, scenario, seed, today)
        return _answer(request.url, told)

    def _revoke(self, token: str) -> None:
        self._revoked[token] = None
        if len(self._revoked) > LOGINS_MAX:
            self._revoked.popitem(last=False)

    def _is_faulty(self, seed: str) -> bool:
        """Every fifth call, the first of them by the seed."""
        count = self._calls.pop(seed, Dice(seed, "faults").below(FAULT_EVERY)) + 1
        self._calls[seed] = count
        if len(self._calls) > LOGINS_MAX:
            self._calls.popitem(last=False)
        return count % FAULT_EVERY == 0

    def _fault(self, request: httpx2.Request, scenario: str, seed: str) -> httpx2.Response:
        if scenario == "down":
            return httpx2.Response(503, text="<html>down for maintenance</html>")
        match self._calls[seed] // FAULT_EVERY % 5:
            case 0:
                return _json(500, {"error": "internal"})
            case 1:
                return httpx2.Response(429, headers={"retry-after": "0"}, json={"error": "slow"})
            case 2:
                page = "<html><body>Just a moment</body></html>"
                return httpx2.Response(200, text=page, headers={"content-type": "text/html"})
            case 3:
                return httpx2.Response(200, content=b'{"accounts": [{"id": "chec')
            case _:
                raise httpx2.ReadError("connection reset", request=request)


def _answer(url: httpx2.URL, told: World) -> httpx2.Response:
    params = url.params  # parsed anew each time that it is asked for
    first, last = _window(params)
    match url.path.strip("/").split("/"):
        case ["accounts"]:
            return _json(200, {"accounts": told.accounts})
        case ["balances"]:
            whose = set(params.get_list("account"))
            rows: list[object] = [
                row
                for row in told.balances
                if isinstance(row, dict)
                and row["account_id"] in whose
                and first <= str(row["day"]) <= last
            ]
            return _json(200, {"balances": _part(url, rows), "total": len(rows)})
        case ["accounts", id, "holdings"]:
            return _json(200, {"holdings": told.holdings.get(id, [])})
        case ["accounts", id, "transactions"] if id in told.transactions:
            rows = [
                row
                for row in told.transactions[id]
                if not isinstance(row, dict) or first <= str(row["date"]) <= last
            ]
            voided = [v for day, v in told.voided.get(id, ()) if first <= day <= last]
            answer = {"transactions": _part(url, rows), "total": len(rows), "voided": voided}
            return _json(200, answer)
    return _json(404, {"error": "no_such_account"})


def _window(params: httpx2.QueryParams) -> tuple[str, str]:
    """Days are compared as text; what is no day at all is not left out."""
    return str(params.get("since", "")), str(params.get("until", "~"))


def _part(url: httpx2.URL, rows: list[object]) -> list[object]:
    offset, limit = int(url.params["offset"]), int(url.params["limit"])
    return rows[offset : offset + min(limit, LIMIT_MAX)]


def _json(status: int, body: object) -> httpx2.Response:
    headers = {"content-type": "application/json"}
    return httpx2.Response(status, content=_encoder.encode(body), headers=headers)
