"""How often something may be tried: over the network, through proxies, and without Redis."""

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest
import websockets
from websockets.typing import Subprotocol

from gateway.asgi import create_app
from gateway.settings import Settings
from tests.e2e.stack import (
    PASSWORD,
    SIGN_IN,
    Client,
    Stack,
    a_free_port,
    environment,
    running,
    served_here,
    until_ready,
)
from tests.servers import running_redis

VIEWER = "{ viewer { email } }"
PROTOCOL = Subprotocol("graphql-transport-ws")
WRONG = "not the password"
LOOPBACK = ip_network("127.0.0.1")


@asynccontextmanager
async def a_gateway(settings: Settings) -> AsyncIterator[Client]:
    async with (
        served_here(create_app(settings)) as url,
        httpx2.AsyncClient(base_url=url, timeout=20) as http,
    ):
        yield Client(http)


def limited(stack: Stack, **figures: int) -> Settings:
    return replace(stack.settings, limits=replace(stack.settings.limits, **figures))


async def guess(client: Client, email: str, address: str, password: str = WRONG) -> str:
    """What came of one attempt to sign in from there."""
    said = {"email": email, "password": password}
    answer = await client.post(SIGN_IN, {"input": said}, x_forwarded_for=address)
    body = answer.json()
    if "data" not in body:
        return str(body["errors"][0]["extensions"]["code"])
    errors = body["data"]["signIn"]["errors"]
    return str(errors[0]["code"]) if errors else "SIGNED_IN"


def left(answer: httpx2.Response) -> dict[str, tuple[int, int]]:
    """For each limit of which it says so: how many are left, and when there is one more."""
    found: dict[str, tuple[int, int]] = {}
    for said in answer.headers["ratelimit"].split(", "):
        name, units, seconds = said.split(";")
        found[json.loads(name)] = int(units.removeprefix("r=")), int(seconds.removeprefix("t="))
    return found


# ── guessing ────────────────────────────────────────────────────────────────


async def evaluated(database_url: str) -> int:
    """How many passwords were compared, by the audit log."""
    connection = await asyncpg.connect(database_url)
    try:
        count: int = await connection.fetchval(
            "SELECT count(*) FROM audit_log WHERE action = 'session.start'"
            " AND outcome = 'FAILED' AND detail = 'SIGN_IN_FAILED'"
        )
        return count
    finally:
        await connection.close()


async def test_of_1000_guesses_through_50_addresses_and_two_gateways_10_are_looked_at(
    stack: Stack, tmp_path: Path
) -> None:
    email = await stack.a_user()
    more = {
        "DASHTAM_TRUSTED_PROXIES": "127.0.0.1",
        "DASHTAM_KEYRING": str(stack.settings.keyring),
    }
    with running_redis() as redis:
        more["DASHTAM_REDIS_URL"] = redis.url
        environs = [environment(stack.database, tmp_path, a_free_port(), **more) for _ in range(2)]
        async with (
            running("serve", environs[0], tmp_path) as one,
            running("serve", environs[1], tmp_path) as other,
            stack.nobody(one) as first,
            stack.nobody(other) as second,
            stack.nobody(other) as owner,
        ):
            await asyncio.gather(until_ready(one), until_ready(other))
            said = {"input": {"email": email, "password": PASSWORD}}
            owner.headers["dashtam-device"] = (await first.post(SIGN_IN, said)).headers[
                "dashtam-device"
            ]
            before = await evaluated(stack.database.superuser_url)

            guessing = asyncio.gather(
                *(guess((first, second)[n % 2], email, f"203.0.113.{n % 50}") for n in range(1_000))
            )
            meanwhile = []
            while not guessing.done():
                meanwhile.append(await guess(owner, email, "203.0.113.1", PASSWORD))
                await asyncio.sleep(0.3)

            # One of the account's ten was the owner's own, from a device not yet known.
            came_of = Counter(await guessing)
            assert came_of["SIGN_IN_FAILED"] == 9
            # A machine with more to do than it can may say that it is busy.
            assert came_of.keys() <= {"SIGN_IN_FAILED", "RATE_LIMITED", "UNAVAILABLE"}
            assert await evaluated(stack.database.superuser_url) - before == 9
            assert meanwhile
            assert set(meanwhile[:10]) == {"SIGNED_IN"}
            assert await guess(second, email, "198.51.100.2", PASSWORD) == "RATE_LIMITED"


async def test_a_known_device_has_ten_attempts_of_its_own(stack: Stack) -> None:
    email, other = await stack.a_user(), await stack.a_user()
    async with a_gateway(stack.settings) as stolen:
        said = {"input": {"email": email, "password": PASSWORD}}
        device = (await stolen.post(SIGN_IN, said)).headers["dashtam-device"]
        stolen.headers["dashtam-device"] = device

        assert [await guess(stolen, email, "") for _ in range(11)][-2:] == [
            "SIGN_IN_FAILED",
            "RATE_LIMITED",
        ]
        # The account's own are untouched; and for another's account it is no known device.
        del stolen.headers["dashtam-device"]
        assert await guess(stolen, email, "", PASSWORD) == "SIGNED_IN"
        stolen.headers["dashtam-device"] = device
        assert {await guess(stolen, other, "") for _ in range(10)} == {"SIGN_IN_FAILED"}
        del stolen.headers["dashtam-device"]
        assert await guess(stolen, other, "", PASSWORD) == "RATE_LIMITED"


# ── from where ──────────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("trusted", "chains", "same"),
    [
        # Nobody is trusted: what is said of the client does not count.
        ((), ["203.0.113.1", "203.0.113.2"], True),
        # The proxy is: what it added, not what the client had said before.
        ((LOOPBACK,), ["203.0.113.1", "203.0.113.2"], False),
        ((LOOPBACK,), ["203.0.113.1, 198.51.100.7", "203.0.113.2, 198.51.100.7"], True),
        ((LOOPBACK,), ["203.0.113.1", "::ffff:203.0.113.1"], True),
        ((LOOPBACK,), ["2001:db8:1:2::1", "[2001:db8:1:2:ffff::9]:4711"], True),
        ((LOOPBACK,), ["2001:db8:1:2::1", "2001:db8:1:3::1"], False),
        ((LOOPBACK,), ["nonsense", "other nonsense"], True),
    ],
)
async def test_an_address_is_the_peers_unless_a_trusted_proxy_says_another(
    stack: Stack, trusted: tuple[Any, ...], chains: list[str], same: bool
) -> None:
    settings = replace(limited(stack, sign_in_address=1), trusted_proxies=trusted)
    async with a_gateway(settings) as client:
        first, second = [await guess(client, f"{n}@example.com", c) for n, c in enumerate(chains)]

    assert first == "SIGN_IN_FAILED"
    assert second == ("RATE_LIMITED" if same else "SIGN_IN_FAILED")


# ── points ──────────────────────────────────────────────────────────────────


async def test_every_answer_says_what_is_left(stack: Stack, alice: Client) -> None:
    async with a_gateway(limited(stack, points=6)) as client:  # one in ten seconds
        signed_out = await client.post("{ providers { slug } }")
        assert signed_out.headers["ratelimit-policy"] == '"points";q=6;w=60'
        assert left(signed_out) == {"points": (5, 10)}

        client.token = alice.token
        answers = [await client.post(ask) for ask in (VIEWER, "{ me: viewer { email } }", VIEWER)]
        assert [left(answer)["points"][0] for answer in answers] == [5, 4, 3]
        assert not any("retry-after" in answer.headers for answer in answers)
        read = await client.http.get(
            "/graphql",
            params={"query": VIEWER},
            headers={"authorization": f"Bearer {alice.token}", "x-requested-with": "x"},
        )
        assert left(read)["points"][0] == 2

        client.token = "no token"
        for broken in (
            await client.post(VIEWER),
            await client.post("{ nothing"),
            await post(client),
        ):
            assert broken.status_code in (200, 400, 401, 415)
            assert left(broken)["points"][0] < 5
        refused = await client.http.get("/graphql", headers={"accept": "text/plain"})
        assert (refused.status_code, "ratelimit" in refused.headers) == (406, True)


async def post(client: Client) -> httpx2.Response:
    return await client.http.post("/graphql", content=b"<xml/>", headers={"content-type": "x/y"})


async def test_an_empty_bucket_refuses_over_http_and_over_a_socket_and_fills_again(
    stack: Stack, alice: Client, bob: Client
) -> None:
    made = (
        'createManualAccount(input: {name: "A safe", type: OTHER, currency: "USD", balance: "1"})'
    )
    assert await alice.do(f"mutation {{ {made} {{ errors {{ code }} }} }}") == {"errors": []}
    async with a_gateway(limited(stack, points=6)) as client:  # one in ten seconds
        client.token = alice.token
        five = "{ a: accounts { id } b: accounts { id } c: accounts { id } d: accounts { id } e: accounts { id } }"
        answer = await client.post(five)
        assert (answer.status_code, left(answer)["points"][0]) == (200, 1)

        refused = await client.post(five)

        assert refused.status_code == 429
        wait = int(refused.headers["retry-after"])
        assert 30 <= wait <= 40  # until there are four more
        assert refused.headers["ratelimit"] == f'"points";r=0;t={wait}'
        [error] = refused.json()["errors"]
        assert error["extensions"]["code"] == "RATE_LIMITED"
        assert error["extensions"]["retryAfterSeconds"] == wait

        url = str(client.http.base_url).replace("http:", "ws:")
        async with websockets.connect(f"{url}/graphql", subprotocols=[PROTOCOL]) as ws:
            await ws.send(
                json.dumps(
                    {
                        "type": "connection_init",
                        "payload": {"authorization": f"Bearer {alice.token}"},
                    }
                )
            )
            await ws.recv()
            await ws.send(json.dumps({"type": "subscribe", "id": "1", "payload": {"query": five}}))
            message = json.loads(await ws.recv())
        assert message["type"] == "error"
        assert message["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert message["payload"][0]["extensions"]["retryAfterSeconds"] <= wait

        assert (await client.post(VIEWER)).status_code == 200  # which takes the one that is left
        client.token = bob.token
        assert (await client.post(five)).status_code == 200  # others have their own


async def test_a_price_is_taken_at_once_and_given_back_but_for_what_was_read(
    stack: Stack, alice: Client
) -> None:
    fifty = "{ transactions { nodes { id } } }"
    async with a_gateway(limited(stack, points=60)) as client:  # one a second
        client.token = alice.token
        answers = [await client.post(fifty, dashtam_cost="report") for _ in range(3)]
        assert [answer.status_code for answer in answers] == [200] * 3
        costs = [answer.json()["extensions"]["cost"] for answer in answers]
        assert [cost["requested"] for cost in costs] == [50] * 3
        assert [cost["limit"] for cost in costs] == [60] * 3
        assert [cost["remaining"] for cost in costs] == [left(a)["points"][0] for a in answers]
        assert costs[0]["remaining"] == 59  # there are none
        at = datetime.fromisoformat(costs[0]["resetAt"])
        assert timedelta(0) < at - datetime.now(UTC) <= timedelta(seconds=2)
        assert set(costs[0]) == {"requested", "limit", "remaining", "resetAt"}

        assert "extensions" not in (await client.post(fifty)).json()
        assert "extensions" not in (await client.post(fifty, dashtam_cost="yes")).json()

        url = str(client.http.base_url).replace("http:", "ws:")
        signed_in, asks = {"authorization": f"Bearer {alice.token}"}, {"dashtam-cost": "report"}
        for headers, payload in ((signed_in | asks, None), ({}, signed_in | asks)):
            async with websockets.connect(
                f"{url}/graphql", subprotocols=[PROTOCOL], additional_headers=headers
            ) as ws:
                await ws.send(json.dumps({"type": "connection_init", "payload": payload}))
                await ws.recv()
                asking = {"type": "subscribe", "id": "1", "payload": {"query": fifty}}
                await ws.send(json.dumps(asking))
                over_a_socket = json.loads(await ws.recv())["payload"]["extensions"]["cost"]
            assert over_a_socket["requested"] == 50

        at_once = await asyncio.gather(*(client.post(fifty) for _ in range(6)))
        assert {answer.status_code for answer in at_once} <= {200, 429}
        assert (await client.post(fifty)).status_code == 200  # they gave theirs back


async def test_whatever_the_aliases_and_arguments_each_attempt_counts(
    stack: Stack, alice: Client
) -> None:
    """The reference system counted a path with its ids, and so not at all."""
    async with a_gateway(limited(stack, sync=5, connect=2)) as client:
        client.token = alice.token
        syncs = " ".join(
            f'a{n}: sync(input: {{linkId: "TGluazo{n}"}}) '
            "{ errors { code ... on RateLimited { retryAfterSeconds } } }"
            for n in range(7)
        )
        answer = await client.post(f"mutation {{ {syncs} }}")

        codes = [payload["errors"][0]["code"] for payload in answer.json()["data"].values()]
        assert codes == ["NOT_FOUND"] * 5 + ["RATE_LIMITED"] * 2
        assert answer.status_code == 200  # a mutation's refusals are data
        name, (remaining, next_s) = [*left(answer).items()][1]
        assert (name, remaining) == ("sync", 0)
        assert 0 < next_s <= 12
        assert '"sync";q=5;w=60' in answer.headers["ratelimit-policy"]

        connect = (
            "mutation($slug: String!) { connectProvider(input: {provider: $slug, using: "
            "{nothing: true}}) { errors { code } } }"
        )
        slugs = ("none", "no-other", "sandbox")
        said = [(await client.do(connect, slug=slug))["errors"][0]["code"] for slug in slugs]
        assert said == ["PROVIDER_UNKNOWN", "PROVIDER_UNKNOWN", "RATE_LIMITED"]


# ── without Redis ───────────────────────────────────────────────────────────


async def test_without_redis_reads_go_on_and_nobody_signs_in_until_it_is_back(
    stack: Stack, alice: Client, tmp_path: Path
) -> None:
    email = await stack.a_user()
    with running_redis(tmp_path) as redis:
        settings = replace(limited(stack, points=1_000), redis_url=redis.url)
        async with a_gateway(settings) as client:
            assert await guess(client, email, "") == "SIGN_IN_FAILED"
            assert (await client.http.get("/readyz")).json()["warnings"] == []
            redis.process.kill()
            redis.process.wait()

            said = {"input": {"email": email, "password": PASSWORD}}
            for _ in range(2):
                refused = await client.post(SIGN_IN, said)
                assert refused.status_code == 503
                assert refused.headers["retry-after"] == "5"
                [error] = refused.json()["errors"]
                assert error["extensions"]["code"] == "UNAVAILABLE"
            client.token = alice.token
            answer = await client.post(VIEWER)
            assert answer.json() == {"data": {"viewer": {"email": alice.email}}}
            assert left(answer)["points"][0] == 249  # a quarter of it, in each process
            [warning] = (await client.http.get("/readyz")).json()["warnings"]
            assert warning.startswith("Redis is away: nobody can sign in, register or link")

            with running_redis(tmp_path):
                async with asyncio.timeout(10):
                    while (await client.http.get("/readyz")).json()["warnings"]:  # noqa: ASYNC110
                        await asyncio.sleep(0.05)
                assert (await client.sign_in(email))["errors"] == []
