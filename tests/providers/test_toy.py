"""The suite holds for a provider that was written in an afternoon, unchanged."""

from dataclasses import replace
from pathlib import Path

import httpx2
import pytest

from adapters.providers.kit import Http
from domain.errors import CredentialsRejected
from domain.sync import PullRequest
from tests.providers.conformance import ALL, AT, Case, Conformance, pulled
from tests.providers.fakes import Clock
from tests.providers.hostile import Hostile, Upstream
from tests.providers.toy import Toy

ACCOUNTS = """{"rows": [
  {"id": 1, "name": "Current", "type": "current", "currency": "EUR", "owed": -1234567890.10,
   "at": "2026-03-17T09:00:00+01:00"},
  {"id": 2, "name": "Card", "type": "card", "currency": "EUR", "owed": "310.07",
   "at": "2026-03-17T09:00:00+01:00"}
]}"""


def entries(after: int) -> str:
    rows = ", ".join(
        f'{{"id": "e{after}{n}", "account": {n % 2 + 1}, "out": {n}.10, "currency": "EUR",'
        f' "text": "Entry {n}", "on": "2026-0{n % 3 + 1}-1{n}"}}'
        for n in range(9)
    )
    following = f'"{after + 1}"' if after < 3 else "null"
    return f'{{"rows": [{rows}], "next": {following}}}'


def answer(request: httpx2.Request) -> httpx2.Response:
    if request.headers["authorization"] != "Bearer k":
        return httpx2.Response(401, json={"error": "bad key"})
    if request.url.path == "/me":
        return httpx2.Response(200, json={"id": 7})
    text = ACCOUNTS
    if request.url.path == "/entries":
        after = request.url.params["after"]
        if after not in ("0", "1", "2", "3"):
            return httpx2.Response(400, json={"error": "bad after"})
        text = entries(int(after))
    return httpx2.Response(200, text=text)


def a_toy(transport: httpx2.AsyncBaseTransport | None = None) -> Toy:
    transport = transport or httpx2.MockTransport(answer)
    return Toy(Http("toy", "https://toy.invalid", transport=transport, timing=Clock().timing))


REQUEST = PullRequest(credentials={"key": "k"}, scopes=ALL, at=AT)


class TestToy(Conformance):
    @pytest.fixture
    def case(self) -> Case:
        return Case(name="toy", make=a_toy, request=REQUEST)


class TestHostileToy(Hostile):
    @pytest.fixture
    def upstream(self) -> Upstream:
        return Upstream(
            good=httpx2.MockTransport(answer),
            make=a_toy,
            request=REQUEST,
            connects=REQUEST.credentials,
            rows={"/accounts": [("rows",)], "/entries": [("rows",)]},
        )


async def test_a_wrong_key_is_rejected_credentials() -> None:
    with pytest.raises(CredentialsRejected) as caught:
        await pulled(a_toy(), replace(REQUEST, credentials={"key": "wrong"}))
    assert caught.value.provider == "toy"


async def test_a_login_is_named_by_its_provider() -> None:
    assert (await a_toy().connect({"key": "k"}, AT)).identity == "7"


def test_it_took_less_than_a_hundred_lines() -> None:
    assert len((Path(__file__).parent / "toy.py").read_text().splitlines()) < 100
