"""Somebody who says that they are Plaid; and what else comes to where webhooks are posted."""

import base64
import hashlib
import hmac
import json
from collections.abc import AsyncIterator, Callable, Mapping
from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest
from joserfc import jws
from joserfc.errors import JoseError
from joserfc.jwk import ECKey
from starlette.applications import Starlette
from starlette.middleware import Middleware

from domain.limits import Limit
from gateway.routes.webhooks import BODY_MAX, UNPROVEN, Webhooks
from gateway.telemetry.tracing import Traced
from tests.e2e.stack import Client
from tests.gateway.plaid import HOOK, Gateway, connect, linked
from tests.providers.simulators.base import Trouble
from tests.providers.simulators.plaid import PlaidServer
from tests.providers.simulators.plaid_books import Item

HEADER = "Plaid-Verification"


@pytest.fixture(scope="session")
def gateway(told: Gateway) -> Gateway:
    return told


@pytest.fixture
async def ann(gateway: Gateway) -> AsyncIterator[Client]:
    async with gateway.person() as client:
        yield client


@pytest.fixture
def item(gateway: Gateway) -> Item:
    return gateway.item()


def encoded(value: object) -> str:
    plain = value if isinstance(value, bytes) else json.dumps(value).encode()
    return base64.urlsafe_b64encode(plain).decode().rstrip("=")


def token(gateway: Gateway, body: bytes, *, key: ECKey | None = None, **said: Any) -> str:
    """A JWT over the body, with other claims and header members as they are given."""
    plaid = gateway.plaid
    claims = {
        "iat": int(gateway.clock().timestamp()),
        "request_body_sha256": hashlib.sha256(body).hexdigest(),
        **said.get("claims", {}),
    }
    header = {"alg": "ES256", "kid": plaid.kid, "typ": "JWT", **said.get("header", {})}
    plain = json.dumps({k: v for k, v in claims.items() if v is not None})
    return jws.serialize_compact(header, plain, key or plaid.key, ["ES256"])


def _hs256(gateway: Gateway, body: bytes) -> str:
    """Signed with Plaid's public key as if it were a secret."""
    header = {"alg": "HS256", "kid": gateway.plaid.kid, "typ": "JWT"}
    claims = token(gateway, body).split(".")[1]
    signed = f"{encoded(header)}.{claims}"
    secret = gateway.plaid.key.as_pem(private=False)
    return f"{signed}.{encoded(hmac.digest(secret, signed.encode(), 'sha256'))}"


def _none(gateway: Gateway, body: bytes) -> str:
    claims = token(gateway, body).split(".")[1]
    return f"{encoded({'alg': 'none', 'kid': gateway.plaid.kid})}.{claims}."


def _other_claims(gateway: Gateway, body: bytes) -> str:
    header, _, signature = token(gateway, b"another body").split(".")
    return f"{header}.{token(gateway, body).split('.')[1]}.{signature}"


def _p384(gateway: Gateway, body: bytes) -> str:
    key = ECKey.generate_key("P-384")
    header = {"alg": "ES384", "kid": gateway.plaid.kid, "typ": "JWT"}
    claims = base64.urlsafe_b64decode(token(gateway, body).split(".")[1] + "==")
    return jws.serialize_compact(header, claims, key, ["ES384"])


def _ago(gateway: Gateway, seconds: int) -> dict[str, Any]:
    return {"claims": {"iat": int(gateway.clock().timestamp()) - seconds}}


FORGED: Mapping[str, Callable[[Gateway, bytes], str]] = {
    "no token": lambda g, b: "",
    "no JWT": lambda g, b: "a.b",
    "no JSON": lambda g, b: "YQ.YQ.YQ",
    "a long one": lambda g, b: "a" * 5_000 + ".b.c",
    "alg none": _none,
    "HS256 with the public key": _hs256,
    "ES384": _p384,
    "another key of the same name": lambda g, b: token(g, b, key=ECKey.generate_key("P-256")),
    "a key that Plaid does not know": lambda g, b: token(g, b, header={"kid": "mine"}),
    "a key that is a path": lambda g, b: token(g, b, header={"kid": "../../etc"}),
    "a key of its own": lambda g, b: token(
        g, b, key=(own := ECKey.generate_key("P-256")), header={"jwk": own.as_dict(private=False)}
    ),
    "no key": lambda g, b: token(g, b, header={"kid": None}),
    "stale": lambda g, b: token(g, b, **_ago(g, 301)),
    "of the future": lambda g, b: token(g, b, **_ago(g, -60)),
    "of no time": lambda g, b: token(g, b, claims={"iat": None}),
    "of a time that is text": lambda g, b: token(g, b, claims={"iat": "1773763200"}),
    "of a time that is none": lambda g, b: token(g, b, claims={"iat": 10**18}),
    "of no body": lambda g, b: token(g, b, claims={"request_body_sha256": None}),
    "of another body": lambda g, b: token(g, b + b" "),
    "a digest in capitals": lambda g, b: token(
        g, b, claims={"request_body_sha256": hashlib.sha256(b).hexdigest().upper()}
    ),
    "claims that are not signed": _other_claims,
    "half of a signature": lambda g, b: token(g, b)[:-40],
    "an extension": lambda g, b: token(g, b, header={"crit": ["b64"], "b64": True}),
}


@pytest.fixture(scope="module")
async def victim(gateway: Gateway) -> Item:
    """Of a person whose link nothing happens to."""
    item = gateway.item()
    async with gateway.person() as client:
        assert (await connect(gateway, client, item))["errors"] == []
    return item


@pytest.mark.parametrize("how", FORGED)
async def test_what_plaid_did_not_sign_is_refused_and_does_nothing(
    gateway: Gateway, victim: Item, how: str
) -> None:
    before = await _everything(gateway)
    error = {"error_type": "ITEM_ERROR", "error_code": "USER_PERMISSION_REVOKED"}
    body = gateway.plaid.webhook(victim, "ITEM", "USER_PERMISSION_REVOKED", error=error)
    try:
        forged = FORGED[how](gateway, body)
    except (JoseError, ValueError):  # joserfc does not write what it would not read
        forged = _by_hand(gateway, body, how)
    answer = await gateway.post(body, {HEADER: forged} if forged else {})
    assert answer.status_code == 400, answer.text
    [said] = answer.json()["errors"]
    assert said["extensions"]["code"] == "BAD_REQUEST"
    assert victim.id not in answer.text
    assert await _everything(gateway) == before


def _by_hand(gateway: Gateway, body: bytes, how: str) -> str:
    _, claims, signature = token(gateway, body).split(".")
    members: dict[str, Any] = {
        "no key": {"kid": None},
        "an extension": {"crit": ["b64"], "b64": True},
    }
    header = {"alg": "ES256", "kid": gateway.plaid.kid, **members[how]}
    return f"{encoded(header)}.{claims}.{signature}"


async def _everything(gateway: Gateway) -> list[Any]:
    tables = ("links", "sync_runs", "events", "webhook_receipts", "audit_log")
    return [await gateway.spy.fetch(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]


async def test_a_header_that_is_said_twice_is_said_by_nobody(gateway: Gateway) -> None:
    body = gateway.plaid.webhook(None, "ITEM", "ERROR")
    good = token(gateway, body)
    async with gateway.browser() as http:
        twice = [(HEADER, good), (HEADER, good)]
        assert (await http.post(HOOK, content=body, headers=twice)).status_code == 400
        assert (await http.post(HOOK, content=body, headers={HEADER: good})).status_code == 200


async def test_what_is_about_nobody_here_is_answered_as_what_is(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    await linked(gateway, ann, item)
    stranger = Item(id="item-of-nobody", token="none")
    answers = [
        await gateway.tell(who, kind, code)
        for who in (item, stranger, None)
        for kind, code in (("TRANSACTIONS", "SYNC_UPDATES_AVAILABLE"), ("SCREENING", "NEW"))
    ]
    body = b"no JSON"
    answers.append(await gateway.post(body, gateway.plaid.signed(body)))
    assert {(a.status_code, a.text) for a in answers} == {(200, "{}")}
    names = {frozenset(a.headers) for a in answers}
    assert len(names) == 1


@pytest.mark.parametrize("provider", ["sandbox", "nobody", "PLAID"])
async def test_where_nobody_tells_there_is_nothing(gateway: Gateway, provider: str) -> None:
    answer = await gateway.post(b"{}", {}, to=f"/webhooks/{provider}")
    assert answer.status_code == 404


async def test_it_is_posted_and_bounded(gateway: Gateway) -> None:
    async with gateway.browser() as http:
        for method in ("GET", "PUT", "DELETE"):
            answer = await http.request(method, HOOK)
            assert (answer.status_code, answer.headers["allow"]) == (405, "POST")
    large = b" " * (BODY_MAX + 1)
    assert (await gateway.post(large, gateway.plaid.signed(large))).status_code == 413
    packed = {**gateway.plaid.signed(b"x"), "content-encoding": "gzip"}
    assert (await gateway.post(b"x", packed)).status_code == 415


async def test_what_is_forged_costs_its_address_and_what_is_plaids_next_to_nothing(
    gateway: Gateway,
) -> None:
    app = gateway.wired.app
    limit = Limit(name="few", burst=3 * UNPROVEN, per_seconds=600)
    few = replace(app.limit_settings, webhook=limit)
    [view] = [r for r in gateway.app.routes if "webhooks" in getattr(r, "path", "")]
    authenticator = view.endpoint.__self__.authenticator  # type: ignore[attr-defined]
    limited = Starlette(
        routes=[*Webhooks(replace(app, limit_settings=few), authenticator).routes()],
        middleware=[Middleware(Traced)],
    )
    strict = replace(gateway, app=limited)
    real = [await strict.tell(None, "ITEM", "ERROR") for _ in range(20)]
    assert {a.status_code for a in real} == {200}
    answers = [await strict.post(b"{}", {}) for _ in range(3)]
    assert [a.status_code for a in answers] == [400, 400, 429]
    assert int(answers[-1].headers["retry-after"]) > 0


async def test_plaid_is_asked_for_a_key_once_and_is_waited_for(gateway: Gateway) -> None:
    plaid, path = gateway.plaid, "/webhook_verification_key/get"
    old, plaid.kid = plaid.kid, "a-newer-key"
    try:
        plaid.fault(Trouble.AWAY, path=path, times=9)
        body = plaid.webhook(None, "ITEM", "ERROR")
        answer = await gateway.post(body, plaid.signed(body))
        assert (answer.status_code, "retry-after" in answer.headers) == (503, True)
        plaid.mend()
        before = len(plaid.asked(path))
        gateway.clock.turn(minutes=2)  # what was kept of the key that could not be had is over
        for _ in range(3):
            assert (await gateway.post(body, plaid.signed(body))).status_code == 200
        assert len(plaid.asked(path)) <= before + 1
        for _ in range(3):
            forged = token(gateway, body, header={"kid": "nobody-s"})
            assert (await gateway.post(body, {HEADER: forged})).status_code == 400
        assert len(plaid.asked(path)) <= before + 2
        plaid.key_expired_at = int(gateway.clock().timestamp()) - 1
        plaid.kid = "an-expired-key"
        assert (await gateway.post(body, plaid.signed(body))).status_code == 400
    finally:
        plaid.kid, plaid.key_expired_at = old, None


async def test_receipts_are_kept_for_as_long_as_they_are_of_use(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    await linked(gateway, ann, item)
    await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")
    doors, link = gateway.wired.app.doors, await gateway.link(item)
    count = "SELECT count(*) FROM webhook_receipts WHERE link_id = $1"
    await doors.clear_webhook_receipts(gateway.clock() - timedelta(hours=1), 1_000)
    assert await gateway.spy.fetchval(count, link["id"]) == 1
    assert await doors.clear_webhook_receipts(gateway.clock() + timedelta(hours=1), 1_000) > 0
    assert await gateway.spy.fetchval(count, link["id"]) == 0


def test_the_simulator_signs_as_plaid_does() -> None:
    plaid = PlaidServer()
    body = plaid.webhook(None, "ITEM", "ERROR")
    [signed] = plaid.signed(body).values()
    claims = json.loads(jws.deserialize_compact(signed, plaid.key, ["ES256"]).payload)
    assert claims["request_body_sha256"] == hashlib.sha256(body).hexdigest()
