"""The status of each kind of answer, as it is audited and as the newer draft has it."""

from collections.abc import AsyncIterator
from typing import Any, NamedTuple

import httpx2
import pytest

from gateway.http.profiles import AUDITED, PROFILES
from gateway.operations.guard import Limits
from gateway.settings import HttpProfile
from tests.gateway.http.served import Journal, a_view, served
from tests.gateway.http.test_requests import JSON, NEW, OLD

FORM = {"content-type": "application/x-www-form-urlencoded"}


class Case(NamedTuple):
    """What is sent, and the statuses by default under either type, and in the newer draft."""

    content: bytes
    new: int
    old: int
    draft: int
    code: str | None
    method: str = "POST"
    headers: dict[str, str] = JSON
    url: str = "/graphql"


def asked(query: str, *more: Any) -> bytes:
    return httpx2.Request("POST", "http://x", json={"query": query, **dict(more)}).content


N = "query($n:String!){hello(name:$n)}"
CASES: dict[str, Case] = {
    "a query": Case(asked("{hello}"), 200, 200, 200, None),
    "data beside errors": Case(asked("{hello broken}"), 200, 200, 294, "INTERNAL"),
    "a mutation": Case(asked('mutation{write(what:"x")}'), 200, 200, 200, None),
    "no JSON": Case(b"NONSENSE", 400, 400, 400, "BAD_REQUEST"),
    "half of it": Case(b'{"query":', 400, 400, 400, "BAD_REQUEST"),
    "nothing": Case(b"", 400, 400, 400, "BAD_REQUEST"),
    "no UTF-8": Case(b'{"query":"\xff"}', 400, 400, 400, "BAD_REQUEST"),
    "NaN": Case(b'{"query":"{hello}","variables":{"n":NaN}}', 400, 400, 400, "BAD_REQUEST"),
    "no text": Case(rb'{"query":"{hello(name:\"\u0000\")}"}', 400, 400, 400, "BAD_USER_INPUT"),
    "a list": Case(b"[]", 400, 400, 422, "BAD_REQUEST"),
    "a number": Case(b"1", 400, 400, 422, "BAD_REQUEST"),
    "no query": Case(b'{"qeury":"{hello}"}', 400, 400, 422, "BAD_REQUEST"),
    "a query that is none": Case(b'{"query":1}', 400, 400, 422, "BAD_REQUEST"),
    "variables in a list": Case(asked("{hello}", ("variables", [7])), 400, 400, 422, "BAD_REQUEST"),
    "extensions that are none": Case(
        asked("{hello}", ("extensions", 1)), 400, 400, 422, "BAD_REQUEST"
    ),
    "a name that is none": Case(
        asked("{hello}", ("operationName", {})), 400, 400, 422, "BAD_REQUEST"
    ),
    "a document id that is none": Case(b'{"documentId":"a b"}', 400, 400, 422, "BAD_REQUEST"),
    "an unknown document": Case(b'{"documentId":"a"}', 400, 200, 422, "PERSISTED_QUERY_NOT_FOUND"),
    "a document that does not parse": Case(asked("{"), 400, 200, 400, "GRAPHQL_PARSE_FAILED"),
    "that does not validate": Case(asked("{no}"), 400, 200, 422, "GRAPHQL_VALIDATION_FAILED"),
    "that is too complex": Case(asked("{a:hello b:hello c:hello}"), 400, 200, 422, "TOO_COMPLEX"),
    "several operations": Case(
        asked("query A{hello} query B{hello}"), 400, 200, 422, "OPERATION_RESOLUTION_FAILURE"
    ),
    "an unknown operation": Case(
        asked("query A{hello}", ("operationName", "B")),
        *(400, 200, 422, "OPERATION_RESOLUTION_FAILURE"),
    ),
    "a variable that lacks": Case(asked(N), 400, 200, 422, "BAD_USER_INPUT"),
    "a variable that does not coerce": Case(
        asked(N, ("variables", {"n": 1})), 400, 200, 422, "BAD_USER_INPUT"
    ),
    "another method": Case(b"", 405, 405, 405, "BAD_REQUEST", "PUT"),
    "a mutation by GET": Case(
        *(b"", 405, 405, 405, "BAD_REQUEST", "GET", {}),
        url="/graphql?query=mutation{signOut}",
    ),
    "a mutation by QUERY": Case(
        asked("mutation{signOut}"), 422, 422, 422, "BAD_REQUEST", "QUERY", JSON
    ),
    "another type": Case(asked("{hello}"), 415, 415, 415, "BAD_REQUEST", "POST", FORM),
    "another type by QUERY": Case(asked("{hello}"), 415, 415, 415, "BAD_REQUEST", "QUERY", FORM),
    "another type by GET": Case(
        *(b"", 415, 415, 415, "BAD_REQUEST", "GET", FORM), url="/graphql?query={hello}"
    ),
    "a compressed body": Case(
        *(b"\x1f\x8b", 415, 415, 415, "BAD_REQUEST", "POST"),
        {**JSON, "content-encoding": "gzip"},
    ),
    "a page of another site": Case(
        *(asked("{hello}"), 403, 403, 403, "NOT_PERMITTED", "POST"),
        {**JSON, "origin": "https://evil.example"},
    ),
    "credentials that are no good": Case(
        *(asked("{hello}"), 401, 401, 401, "UNAUTHENTICATED", "POST"),
        {**JSON, "authorization": "Bearer expired"},
    ),
    "too large a body": Case(b" " * 9_000, 413, 413, 413, "BAD_REQUEST"),
    "too long a URL": Case(
        *(b"", 414, 414, 414, "BAD_REQUEST", "GET", {}), url="/graphql?query=" + "x" * 8_200
    ),
    "too large a head": Case(
        *(b"", 431, 431, 431, "BAD_REQUEST", "POST"),
        {**JSON, "x-large": "y" * 33_000},
    ),
    "what is away": Case(asked("{away}"), 503, 503, 503, "UNAVAILABLE"),
    "another path": Case(b"", 404, 404, 404, "NOT_FOUND", "GET", {}, "/graphql/a/b/c"),
}


@pytest.fixture(scope="module")
async def addresses() -> AsyncIterator[tuple[str, str]]:
    """One server a profile."""
    limits = Limits(aliases=2, body=8_192)
    views = [
        a_view(Journal(), limits=limits, profile=profile)
        for profile in (AUDITED, PROFILES[HttpProfile.DRAFT_2026_08])
    ]
    async with served(views[0]) as default, served(views[1]) as draft:
        yield default, draft


async def answered(address: str, case: Case, accept: str) -> httpx2.Response:
    async with httpx2.AsyncClient(base_url=address) as client:
        headers = {**case.headers, "accept": accept}
        return await client.request(case.method, case.url, content=case.content, headers=headers)


@pytest.mark.parametrize("case", CASES.values(), ids=CASES)
async def test_each_profile_has_its_own(addresses: tuple[str, str], case: Case) -> None:
    default, draft = addresses
    for address, accept, status, media in (
        (default, NEW, case.new, NEW),
        (default, OLD, case.old, OLD),
        (draft, NEW, case.draft, NEW),
        # Clients from before: the same statuses, and only what succeeded is relabelled.
        (draft, OLD, case.draft, OLD if case.draft < 300 else NEW),
    ):
        response = await answered(address, case, accept)

        said = response.json()
        assert response.status_code == status, (accept, response.text)
        assert response.headers["content-type"] == f"{media}; charset=utf-8"
        assert ("data" in said) is (status in (200, 294) and case.code in (None, "INTERNAL"))
        codes = {error["extensions"]["code"] for error in said.get("errors", ())}
        assert codes == ({case.code} if case.code else set())
        assert all(error["extensions"]["traceId"] for error in said.get("errors", ()))
        assert status != 405 or response.headers["allow"]
        assert response.headers["cache-control"] == "no-store"


async def test_what_nobody_here_speaks_is_406_in_either(addresses: tuple[str, str]) -> None:
    for address, media in zip(addresses, (OLD, NEW), strict=True):
        response = await answered(address, CASES["a query"], "text/html")
        assert response.status_code == 406
        assert response.headers["content-type"] == f"{media}; charset=utf-8"
        assert response.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_bug_is_500_in_the_newer_draft_too(addresses: tuple[str, str]) -> None:
    case = CASES["a query"]._replace(headers={**JSON, "authorization": "Bearer bug"})
    response = await answered(addresses[1], case, OLD)
    assert (response.status_code, response.headers["content-type"]) == (
        500,
        f"{NEW}; charset=utf-8",
    )
    assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
