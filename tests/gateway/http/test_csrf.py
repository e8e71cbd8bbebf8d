"""A page of another site gets nothing done; everybody who is no such page notices nothing."""

import httpx2
import pytest
from starlette.datastructures import Headers

from gateway.http.csrf import CsrfRules
from tests.gateway.http.served import ALLOWED_ORIGIN
from tests.gateway.http.test_requests import refused
from tests.gateway.http.test_uploads import MULTIPART, WHOLE

FORM = {"content-type": MULTIPART["content-type"]}
JSON = {"content-type": "application/json"}
EVIL = "https://evil.example"
COOKIE = {"cookie": "dashtam=secret"}
RULES = CsrfRules(frozenset({ALLOWED_ORIGIN}))

PERMITTED: list[tuple[str, dict[str, str]]] = [
    # native and server clients
    ("POST", JSON),
    ("POST", {**JSON, **COOKIE}),
    ("GET", {}),
    ("GET", {"sec-fetch-mode": "cors"}),
    ("GET", {**COOKIE, "x-requested-with": "curl"}),
    ("GET", {**COOKIE, **JSON}),  # Apollo by GET
    ("FORM", {**FORM, "graphql-preflight": "1"}),
    ("FORM", {**FORM, "apollo-require-preflight": "true"}),
    ("FORM", {**FORM, "x-requested-with": "XMLHttpRequest"}),
    ("FORM", {**FORM, "authorization": "Bearer token"}),
    # our own pages
    ("GET", {"sec-fetch-site": "same-origin", **COOKIE}),
    ("GET", {"sec-fetch-site": "none", **COOKIE}),
    ("POST", {"sec-fetch-site": "same-origin", "origin": "https://gateway.example", **JSON}),
    ("POST", {"sec-fetch-site": "same-origin", "origin": "http://localhost:5173", **JSON}),
    ("FORM", {"sec-fetch-site": "same-origin", **FORM, **COOKIE}),
    ("POST", {"origin": "https://gateway.example", **JSON}),
    ("FORM", {"origin": "https://gateway.example", **FORM, **COOKIE}),
    # pages that are allowed
    ("POST", {"sec-fetch-site": "cross-site", "origin": ALLOWED_ORIGIN, **JSON}),
    ("FORM", {"sec-fetch-site": "same-site", "origin": ALLOWED_ORIGIN, **FORM}),
    ("GET", {"origin": ALLOWED_ORIGIN, **COOKIE}),
    # a token that no browser adds by itself
    ("POST", {"sec-fetch-site": "cross-site", "origin": EVIL, "authorization": "bearer x", **JSON}),
]

REFUSED: list[tuple[str, dict[str, str]]] = [
    ("GET", {"sec-fetch-site": "cross-site"}),
    ("GET", {"sec-fetch-site": "same-site", **COOKIE}),
    ("GET", {"sec-fetch-site": "cross-site", "origin": EVIL}),
    ("GET", {"sec-fetch-site": "cross-site", "origin": "null"}),
    ("GET", {"sec-fetch-site": "cross-site", "origin": EVIL, "x-requested-with": "x"}),
    ("GET", {"sec-fetch-site": "something-new", "origin": EVIL}),
    ("GET", {"origin": EVIL}),
    ("GET", {"origin": "null"}),
    ("GET", {"origin": "https://["}),
    ("GET", COOKIE),
    ("GET", {**COOKIE, "authorization": "Basic eDp5"}),
    ("POST", {"sec-fetch-site": "cross-site", "origin": EVIL, **JSON}),
    ("POST", {"sec-fetch-site": "same-site", "origin": "https://other.example", **JSON}),
    ("POST", {"origin": EVIL, **JSON}),
    ("POST", {"origin": ALLOWED_ORIGIN + ".evil.example", **JSON}),
    ("POST", {"origin": "https://gateway.example.evil.example", **JSON}),
    ("FORM", {"sec-fetch-site": "cross-site", "origin": EVIL, **FORM}),
    ("FORM", {"sec-fetch-site": "cross-site", **FORM, "graphql-preflight": "1"}),
    ("FORM", {"origin": EVIL, **FORM, **COOKIE}),
    ("FORM", FORM),
    ("FORM", {**FORM, **COOKIE}),
]


@pytest.mark.parametrize(("how", "headers"), PERMITTED)
def test_who_is_no_page_of_another_site_is_let_through(how: str, headers: dict[str, str]) -> None:
    known = Headers({"host": "gateway.example", **headers})
    assert RULES.permits(known, simple=how != "POST")


@pytest.mark.parametrize(("how", "headers"), REFUSED)
def test_what_a_page_of_another_site_can_send_is_refused(how: str, headers: dict[str, str]) -> None:
    known = Headers({"host": "gateway.example", **headers})
    assert not RULES.permits(known, simple=how != "POST")


async def test_a_refused_page_gets_403_and_nothing_runs(http: httpx2.AsyncClient) -> None:
    headers = {"origin": EVIL, "sec-fetch-site": "cross-site"}
    for response in (
        await http.get("/graphql", params={"query": "{hello}"}, headers=headers),
        await http.post("/graphql", json={"query": "{hello}"}, headers=headers),
        await http.post("/graphql", content=WHOLE, headers={**FORM, **headers}),
        await http.post("/graphql", content=WHOLE, headers=FORM),
    ):
        refused(response, 403, "NOT_PERMITTED")


@pytest.mark.parametrize("content_type", ["text/plain", "application/x-www-form-urlencoded"])
async def test_what_a_form_can_send_besides_is_no_request_at_all(
    http: httpx2.AsyncClient, content_type: str
) -> None:
    headers = {"content-type": content_type, "origin": EVIL, **COOKIE}
    response = await http.post("/graphql", content=b'{"query":"{hello}"}', headers=headers)
    refused(response, 415, "BAD_REQUEST")


OURS = {"sec-fetch-site": "same-origin", **COOKIE}
THEIRS = {"sec-fetch-site": "cross-site", "origin": EVIL, **COOKIE}
NAVIGATED = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", **COOKIE}
APOLLO = {"apollographql-client-name": "ios", "apollographql-client-version": "1.0"}

# What clients and pages really send, and what becomes of it: method, headers, status.
SHAPES: list[tuple[str, dict[str, str], int]] = [
    # urql by GET has no content type; Apollo has JSON's; both from a page of ours, or another's
    ("GET", OURS, 200),
    ("GET", {**OURS, **JSON}, 200),
    ("GET", {**COOKIE, **JSON, **APOLLO}, 200),
    ("GET", {"sec-fetch-site": "cross-site", "origin": ALLOWED_ORIGIN, **COOKIE}, 200),
    ("GET", {"user-agent": "okhttp/5", **APOLLO}, 200),
    ("GET", {"authorization": "Bearer x", "user-agent": "CFNetwork"}, 200),
    ("GET", THEIRS, 403),
    ("GET", NAVIGATED, 403),
    ("GET", {**THEIRS, **JSON}, 403),
    ("GET", {**COOKIE, "referer": EVIL}, 403),
    # a content type that a form may have makes no request of JSON (GHSA-9q82-xgwf-vj6h)
    ("GET", {**COOKIE, "content-type": "text/plain"}, 415),
    ("GET", {**COOKIE, "content-type": "text/plain; application/json"}, 415),
    ("GET", {**COOKIE, "content-type": "application/x-www-form-urlencoded"}, 415),
    ("GET", {**COOKIE, "content-type": "multipart/form-data; boundary=x"}, 415),
    ("GET", {**OURS, "content-type": "text/plain"}, 415),
    ("HEAD", OURS, 200),
    ("HEAD", THEIRS, 403),
    ("HEAD", {**COOKIE, "content-type": "text/plain"}, 415),
    # no page sends these without asking first, and then only of allowed origins
    ("POST", {**JSON, **COOKIE}, 200),
    ("POST", {**JSON, **OURS}, 200),
    ("POST", {**JSON, **THEIRS}, 403),
    ("QUERY", {**JSON, **COOKIE}, 200),
    ("QUERY", {**JSON, **OURS}, 200),
    ("QUERY", {**JSON, **THEIRS}, 403),
    # what sendBeacon, a Blob and a form send without asking
    ("POST", {**THEIRS, "content-type": "text/plain;charset=UTF-8"}, 415),
    ("POST", {**THEIRS, "content-type": "application/x-www-form-urlencoded"}, 415),
    ("POST", THEIRS, 415),
    ("POST", {**THEIRS, "content-type": ""}, 415),
    ("POST", {**THEIRS, "content-type": "application/json+x"}, 415),
    ("POST", {**THEIRS, **FORM}, 403),
    ("POST", {**NAVIGATED, **FORM}, 403),
    ("POST", {**COOKIE, **FORM}, 403),
    ("PUT", {**JSON, **THEIRS}, 405),
]


@pytest.mark.parametrize(("method", "headers", "status"), SHAPES)
async def test_each_request_that_clients_and_pages_send(
    http: httpx2.AsyncClient, method: str, headers: dict[str, str], status: int
) -> None:
    in_url = method in ("GET", "HEAD")
    content = None if in_url else b'{"query":"{hello}"}'
    if headers.get("content-type") == FORM["content-type"]:
        content = WHOLE
    for path in ("/graphql", "/graphql/abc") if in_url and status >= 400 else ("/graphql",):
        request = http.build_request(
            method,
            path,
            params={"query": "{hello}"} if in_url and path == "/graphql" else None,
            content=content,
            headers=headers,
        )
        response = await http.send(request)
        assert response.status_code == status, response.text
        if status >= 400 and method != "HEAD":
            assert response.json()["errors"][0]["extensions"]["code"]


async def test_an_access_token_lets_no_page_send_a_form_type(http: httpx2.AsyncClient) -> None:
    headers = {"authorization": "Bearer x", "content-type": "text/plain"}
    response = await http.post("/graphql", content=b'{"query":"{hello}"}', headers=headers)
    refused(response, 415, "BAD_REQUEST")
