"""QUERY, HEAD and OPTIONS beside GET and POST, and documents that the path names."""

import json

import httpx2
import pytest

from gateway.documents.names import digest
from tests.gateway.http.test_requests import JSON, NEW, refused

TEXT = 'query Q($n:String!="world"){hello(name:$n)} query B{b:hello}'
ID = digest(TEXT)


@pytest.fixture
async def registered(http: httpx2.AsyncClient) -> httpx2.AsyncClient:
    """The document of TEXT is known by its hash, as Apollo registers it."""
    named = {"persistedQuery": {"version": 1, "sha256Hash": ID}}
    body = {"query": TEXT, "operationName": "B", "extensions": named}
    assert (await http.post("/graphql", json=body)).json() == {"data": {"b": "hello world"}}
    return http


async def test_query_is_post_for_what_is_safe(http: httpx2.AsyncClient) -> None:
    asked = {"query": TEXT, "operationName": "Q", "variables": {"n": "é"}}
    response = await http.request("QUERY", "/graphql", json=asked, headers={"accept": NEW})
    assert response.json() == {"data": {"hello": "hello é"}}
    assert response.headers["content-type"] == f"{NEW}; charset=utf-8"
    named = {"documentId": f"sha256:{ID}", "operationName": "B"}
    assert (await http.post("/graphql", json={"query": TEXT, **named})).status_code == 200


async def test_query_says_in_which_types_it_is_taken(http: httpx2.AsyncClient) -> None:
    """RFC 10008: without a type, or in another, it fails, and Accept-Query says what would do."""
    for headers in ({}, {"content-type": "application/graphql"}, {"content-type": "text/plain"}):
        response = await http.request("QUERY", "/graphql", content=b"{}", headers=headers)
        refused(response, 415, "BAD_REQUEST")
        assert response.headers["accept-query"] == "application/json"
    mutation = {"query": 'mutation{write(what:"x")}'}
    response = await http.request("QUERY", "/graphql", json=mutation)
    refused(response, 422, "BAD_REQUEST")
    form = {"content-type": "multipart/form-data; boundary=x"}
    refused(await http.request("QUERY", "/graphql", headers=form), 415, "BAD_REQUEST")


async def test_head_is_get_without_its_content(http: httpx2.AsyncClient) -> None:
    url = {"query": "{hello}"}
    got, headed = await http.get("/graphql", params=url), await http.head("/graphql", params=url)
    assert (headed.status_code, headed.content) == (200, b"")
    for name in ("content-type", "content-length", "vary", "cache-control"):
        assert headed.headers[name] == got.headers[name], name
    response = await http.head("/graphql", params={"query": "mutation{signOut}"})
    assert (response.status_code, response.headers["allow"]) == (405, "POST")


async def test_options_says_what_may_be_asked(http: httpx2.AsyncClient) -> None:
    response = await http.options("/graphql")
    assert (response.status_code, response.content) == (204, b"")
    assert response.headers["allow"] == "GET, HEAD, POST, QUERY, OPTIONS"
    assert response.headers["accept-query"] == "application/json"
    named = await http.options("/graphql/abc")
    assert named.headers["allow"] == "GET, HEAD, OPTIONS"
    assert "accept-query" not in named.headers


@pytest.mark.parametrize(
    "path",
    [
        f"{ID}/Q",
        f"sha256:{ID}/Q",
        f"sha256%3A{ID}/%51",
        f"{ID}?operationName=Q",
    ],
)
async def test_a_path_names_a_document_and_its_operation(
    registered: httpx2.AsyncClient, path: str
) -> None:
    between = "&" if "?" in path else "?"
    for variables, said in (("", "hello world"), ('variables={"n":"you"}', "hello you")):
        response = await registered.get(f"/graphql/{path}{between}{variables}")
        assert response.json() == {"data": {"hello": said}}
        assert response.headers["cache-control"] == "private, no-cache"
    again = await registered.get("/graphql", params={"documentId": ID, "operationName": "B"})
    assert again.headers["cache-control"] == "private, no-cache"


@pytest.mark.parametrize(
    ("path", "status", "code"),
    [
        ("/graphql/a", 400, "PERSISTED_QUERY_NOT_FOUND"),
        ("/graphql/A-Za-z0-9-._~:", 400, "PERSISTED_QUERY_NOT_FOUND"),
        (f"/graphql/{'a' * 128}", 400, "PERSISTED_QUERY_NOT_FOUND"),
        (f"/graphql/{'a' * 129}", 400, "BAD_REQUEST"),
        (f"/graphql/{'a' * 8_200}", 414, "BAD_REQUEST"),
        ("/graphql/a%2Fb", 400, "BAD_REQUEST"),
        ("/graphql/a%20b", 400, "BAD_REQUEST"),
        ("/graphql/%C3%A9", 400, "BAD_REQUEST"),
        ("/graphql/%FF", 400, "BAD_REQUEST"),
        ("/graphql/%ED%A0%80", 400, "BAD_REQUEST"),
        ("/graphql/%00", 400, "BAD_USER_INPUT"),
        ("/graphql/a/%00", 400, "BAD_USER_INPUT"),
        ("/graphql/..%2f..%2fetc%2fpasswd", 400, "BAD_REQUEST"),
        ("/graphql/%", 400, "BAD_REQUEST"),
        ("/graphql/a/", 404, "NOT_FOUND"),
        ("/graphql//b", 404, "NOT_FOUND"),
        ("/graphql/a/b/c", 404, "NOT_FOUND"),
        ("/%67raphql/a", 400, "PERSISTED_QUERY_NOT_FOUND"),
        ("/graphql%2Fa?query={hello}", 404, "NOT_FOUND"),
        ("/graphql/a?documentId=a", 400, "BAD_REQUEST"),
        ("/graphql/a?doc_id=a", 400, "BAD_REQUEST"),
        ("/graphql/a?query={hello}", 400, "BAD_REQUEST"),
        ("/graphql/a/B?operationName=B", 400, "BAD_REQUEST"),
        ("/graphql/a?variables=1", 400, "BAD_REQUEST"),
        (f"/graphql/{ID}", 400, "OPERATION_RESOLUTION_FAILURE"),
        (f"/graphql/{ID}/C", 400, "OPERATION_RESOLUTION_FAILURE"),
        (f"/graphql/{ID}/%7Bx", 400, "OPERATION_RESOLUTION_FAILURE"),
        (f"/graphql/{ID}/Q?variables=%7B%22n%22%3A1%7D", 400, "BAD_USER_INPUT"),
    ],
)
async def test_a_path_that_names_nothing_is_refused(
    registered: httpx2.AsyncClient, path: str, status: int, code: str
) -> None:
    response = await registered.get(path, headers={"accept": NEW})
    refused(response, status, code)
    assert response.headers["cache-control"] == "no-store"


@pytest.mark.parametrize("method", ["POST", "QUERY", "PUT", "DELETE"])
async def test_a_path_that_names_a_document_is_got_only(
    registered: httpx2.AsyncClient, method: str
) -> None:
    content = json.dumps({"variables": {}}).encode()
    path = f"/graphql/{ID}/B"
    response = await registered.request(method, path, content=content, headers=JSON)
    refused(response, 405, "BAD_REQUEST")
    assert response.headers["allow"] == "GET, HEAD, OPTIONS"


async def test_a_slash_at_the_end_of_the_endpoint_does_no_harm(http: httpx2.AsyncClient) -> None:
    response = await http.post("/graphql/", json={"query": "{hello}"})
    assert response.json() == {"data": {"hello": "hello world"}}
