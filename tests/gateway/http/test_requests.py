"""What the endpoint answers to whom; every refusal is JSON with a code and a trace id."""

import json
from typing import Any

import httpx2
import pytest

from tests.gateway.http.served import SECRET

NEW, OLD = "application/graphql-response+json", "application/json"
JSON = {"content-type": OLD}


def refused(response: httpx2.Response, status: int, code: str) -> dict[str, Any]:
    """The one error of a refusal."""
    assert response.status_code == status, response.text
    assert "data" not in response.json()
    error: dict[str, Any] = response.json()["errors"][0]
    assert error["message"]
    assert error["extensions"]["code"] == code, response.text
    assert error["extensions"]["traceId"]
    assert response.headers["content-type"].partition(";")[0] in (NEW, OLD)
    return error


async def test_a_query_is_answered_under_the_type_that_was_asked_for(
    http: httpx2.AsyncClient,
) -> None:
    for accept in (NEW, OLD):
        response = await http.post(
            "/graphql", json={"query": "{hello}"}, headers={"accept": accept}
        )
        assert response.status_code == 200
        assert response.headers["content-type"] == f"{accept}; charset=utf-8"
        assert response.headers["cache-control"] == "no-store"
        assert response.json() == {"data": {"hello": "hello world"}}


async def test_a_type_that_we_do_not_speak_is_406_in_json(http: httpx2.AsyncClient) -> None:
    for accept in ("text/html", f"{OLD};q=0", "text/plain", "application/json;q=2"):
        response = await http.post(
            "/graphql", json={"query": "{hello}"}, headers={"accept": accept}
        )
        refused(response, 406, "BAD_REQUEST")


BODIES: list[bytes] = [
    b"",
    b"1",
    b"null",
    b'"x"',
    b"[]",
    b'[{"query":"{hello}"}]',
    b"[1]",
    b"{",
    b"\xff\xfe",
    b'{"query":"{hello}","variables":{"a":"\xed\xa0\x80"}}',
    b'\xef\xbb\xbf{"query":"{hello}"}',
    '{"query":"{hello}"}'.encode("utf-16"),
    b'{"query":"{hello}","variables":{"a":NaN}}',
    b'{"query":"{hello}","variables":{"a":-Infinity}}',
    b'{"query":"{hello}","variables":{"a":1e999}}',
    b'{"query":"{hello}","variables":{"a":9223372036854775808}}',
    b'{"query":"{hello}","variables":{"a":' + b"9" * 5_000 + b"}}",
    b'{"query":"{hello}","query":"{node}"}',
    b'{"query":"{hello}","variables":{"a":1,"\\u0061":2}}',
    b'{"query":"{hello}","variables":{"a":' + b"[" * 100_000 + b"]" * 100_000 + b"}}",
    b'{"query":"{hello}","variables":{"a":' + b'{"a":' * 80 + b"1" + b"}" * 80 + b"}}",
    b"[" * 500_000,
    b'{"query":1}',
    b'{"query":["{hello}"]}',
    b'{"query":null}',
    b'{"qeury":"{hello}"}',
    b'{"query":"{hello}","variables":[]}',
    b'{"query":"{hello}","variables":"{}"}',
    b'{"query":"{hello}","operationName":0}',
    b'{"query":"{hello}","extensions":false}',
]


@pytest.mark.parametrize("body", BODIES, ids=lambda body: body[:40].decode("latin-1"))
@pytest.mark.parametrize("accept", [NEW, OLD])
async def test_a_body_that_is_no_strict_json_request_is_400(
    http: httpx2.AsyncClient, body: bytes, accept: str
) -> None:
    response = await http.post("/graphql", content=body, headers={**JSON, "accept": accept})
    refused(response, 400, "BAD_REQUEST")


@pytest.mark.parametrize(
    "body",
    [
        r'{"query":"query($n:String!){hello(name:$n)}","variables":{"n":"a\u0000b"}}',
        r'{"query":"query($n:String!){hello(name:$n)}","variables":{"n":"\ud800"}}',
        r'{"query":"query($i:ID!){node(id:$i){id}}","variables":{"i":"\udc00\ud800"}}',
        r'{"query":"query($p:Place!){place(at:$p)}","variables":{"p":{"name":"x","tags":["\u0000"]}}}',
        r'{"query":"{hello}","variables":{"\u0000":1}}',
        r'{"query":"{hello}","operationName":"\u0000"}',
        r'{"query":"{hello(name:\"\u0000\")}"}',
        r'{"query":"{hello(name:\"\\u0000\")}"}',
        r'{"query":"{hello(name:\"\\u{0}\")}"}',
        r'{"query":"{node(id:\"a\\u0000\"){id}}"}',
        r'{"query":"{hello(name:\"\\uD800\")}"}',
        r'{"query":"{hello(name:\"\\u{DFFF}\")}"}',
        r'{"query":"{hello(name:\"\\uDE00\\uD83D\")}"}',
        r'{"query":"{place(at:{name:\"x\",tags:[\"\\u0000\"]})}"}',
    ],
)
@pytest.mark.parametrize("accept", [NEW, OLD])
async def test_nul_and_lone_surrogates_are_bad_input_wherever_they_are(
    http: httpx2.AsyncClient, body: str, accept: str
) -> None:
    response = await http.post("/graphql", content=body, headers={**JSON, "accept": accept})
    refused(response, 400, "BAD_USER_INPUT")


async def test_text_beyond_the_basic_plane_goes_through(http: httpx2.AsyncClient) -> None:
    query = r'{a:hello(name:"\uD83D\uDE00") b:hello(name:"😀")}'
    response = await http.post("/graphql", json={"query": query})
    assert response.json() == {"data": {"a": "hello 😀", "b": "hello 😀"}}


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ("{", "GRAPHQL_PARSE_FAILED"),
        ("", "GRAPHQL_PARSE_FAILED"),
        ("{nobody}", "GRAPHQL_VALIDATION_FAILED"),
        ("{...F} fragment F on Query{...F}", "GRAPHQL_VALIDATION_FAILED"),
        ("{...Missing}", "GRAPHQL_VALIDATION_FAILED"),
        ("type A{b:Int}", "GRAPHQL_VALIDATION_FAILED"),
        ("query A{hello} query B{hello}", "OPERATION_RESOLUTION_FAILURE"),
        ("{hello" + "(name:[" * 150 + "])" * 150 + "}", "GRAPHQL_PARSE_FAILED"),
        ("{hello(name:" + "[" * 900 + "]" * 900 + ")}", "TOO_COMPLEX"),
        ("query($v:String!){hello(name:$v)}", "BAD_USER_INPUT"),
    ],
)
async def test_a_request_error_is_400_under_the_new_type_and_200_under_the_old(
    http: httpx2.AsyncClient, query: str, code: str
) -> None:
    for accept, status in ((NEW, 400), (OLD, 200)):
        response = await http.post("/graphql", json={"query": query}, headers={"accept": accept})
        refused(response, status, code)


async def test_an_error_says_where_in_the_document_it_is(http: httpx2.AsyncClient) -> None:
    error = refused(
        await http.post("/graphql", json={"query": "{\n  nobody\n}"}),
        200,
        "GRAPHQL_VALIDATION_FAILED",
    )
    assert error["locations"] == [{"line": 2, "column": 3}]


async def test_errors_are_few_and_short_however_much_is_wrong(http: httpx2.AsyncClient) -> None:
    many = "{" + " ".join(f"{'x' * 9_000}{n}" for n in range(90)) + "}"
    response = await http.post("/graphql", json={"query": many})
    assert len(response.json()["errors"]) <= 6
    assert len(response.content) < 10_000


async def test_the_operation_that_is_named_runs(http: httpx2.AsyncClient) -> None:
    query = "query A{a:hello} query B{b:hello}"
    response = await http.post("/graphql", json={"query": query, "operationName": "B"})
    assert response.json() == {"data": {"b": "hello world"}}
    response = await http.post("/graphql", json={"query": query, "operationName": "C"})
    refused(response, 200, "OPERATION_RESOLUTION_FAILURE")


async def test_null_parameters_are_absent_ones(http: httpx2.AsyncClient) -> None:
    nulls = {"variables": None, "operationName": None, "extensions": None, "documentId": None}
    response = await http.post("/graphql", json={"query": "{hello}", **nulls})
    assert response.json() == {"data": {"hello": "hello world"}}


@pytest.mark.parametrize(
    "named",
    [
        {"documentId": "sha256:" + "0" * 64},
        {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}}},
    ],
)
async def test_a_document_that_is_only_named_and_not_known_is_not_found(
    http: httpx2.AsyncClient, named: dict[str, Any]
) -> None:
    error = refused(await http.post("/graphql", json=named), 200, "PERSISTED_QUERY_NOT_FOUND")
    assert error["message"] == "PersistedQueryNotFound"


async def test_get_and_query_take_queries(http: httpx2.AsyncClient) -> None:
    query = "query Q($n:String!){hello(name:$n)}"
    variables = {"n": "é"}
    url = {"query": query, "variables": json.dumps(variables), "operationName": "Q"}
    by_get = await http.get("/graphql", params={**url, "extensions": "{}"})
    by_query = await http.request(
        "QUERY", "/graphql", json={"query": query, "variables": variables}
    )
    assert by_get.json() == by_query.json() == {"data": {"hello": "hello é"}}
    empty = await http.get(
        "/graphql", params={"query": "{hello}", "variables": "", "extensions": ""}
    )
    assert empty.json() == {"data": {"hello": "hello world"}}


async def test_a_mutation_comes_by_post_only(http: httpx2.AsyncClient) -> None:
    mutation = 'mutation{write(what:"x")}'
    for accept in (NEW, OLD):
        got = await http.get("/graphql", params={"query": mutation}, headers={"accept": accept})
        refused(got, 405, "BAD_REQUEST")
        assert got.headers["allow"] == "POST"
    refused(await http.request("QUERY", "/graphql", json={"query": mutation}), 422, "BAD_REQUEST")
    posted = await http.post("/graphql", json={"query": mutation})
    assert posted.json() == {"data": {"write": "x"}}


@pytest.mark.parametrize("method", ["PUT", "DELETE", "PATCH", "TRACE"])
async def test_other_methods_are_405_and_say_which_are_allowed(
    http: httpx2.AsyncClient, method: str
) -> None:
    response = await http.request(method, "/graphql")
    refused(response, 405, "BAD_REQUEST")
    assert response.headers["allow"] == "GET, HEAD, POST, QUERY, OPTIONS"
    assert response.headers["accept-query"] == "application/json"


@pytest.mark.parametrize(
    "query_string",
    [
        "",
        "query=%7Bhello%7D&query=%7Bhello%7D",
        "query=%7Bhello%7D&variables=%7B",
        "query=%7Bhello%7D&variables=[]",
        "query=%7Bhello%7D&variables=NaN",
        "query=%7Bhello%7D&extensions=1",
        "query=%FF",
        "query=%ED%A0%80",
        "&".join(f"a{n}=1" for n in range(30)),
    ],
)
async def test_a_malformed_query_string_is_400(http: httpx2.AsyncClient, query_string: str) -> None:
    refused(await http.get(f"/graphql?{query_string}"), 400, "BAD_REQUEST")


async def test_nul_in_a_query_string_is_bad_input(http: httpx2.AsyncClient) -> None:
    for query_string in (
        "query=%7Bhello%7D%00",
        "query=%7Bhello%7D&variables=%7B%22a%22:%22%5Cu0000%22%7D",
    ):
        refused(await http.get(f"/graphql?{query_string}"), 400, "BAD_USER_INPUT")


@pytest.mark.parametrize(
    "content_type",
    [
        None,
        "",
        "text/plain",
        "application/x-www-form-urlencoded",
        "xapplication/jsonx",
        "application/graphql",
        "application/json; charset=utf-16",
    ],
)
async def test_another_type_of_body_is_415(
    http: httpx2.AsyncClient, content_type: str | None
) -> None:
    headers = {} if content_type is None else {"content-type": content_type}
    response = await http.post("/graphql", content=b'{"query":"{hello}"}', headers=headers)
    refused(response, 415, "BAD_REQUEST")


async def test_a_get_with_a_forms_type_or_a_compressed_body_is_415(
    http: httpx2.AsyncClient,
) -> None:
    url = {"query": "{hello}"}
    response = await http.get("/graphql", params=url, headers={"content-type": "text/plain"})
    refused(response, 415, "BAD_REQUEST")
    response = await http.get("/graphql", params=url, headers=JSON)  # as Apollo does
    assert response.status_code == 200
    response = await http.post(
        "/graphql", content=b"\x1f\x8b", headers={**JSON, "content-encoding": "gzip"}
    )
    refused(response, 415, "BAD_REQUEST")


async def test_too_long_a_url_is_414_and_too_many_headers_are_431(
    http: httpx2.AsyncClient,
) -> None:
    long = await http.get("/graphql", params={"query": "{hello}", "x": "y" * 8_200})
    refused(long, 414, "BAD_REQUEST")
    large = {"x-large": "y" * 33_000}
    refused(await http.post("/graphql", json={}, headers=large), 431, "BAD_REQUEST")
    many = {f"x-{n}": "y" for n in range(101)}
    refused(await http.post("/graphql", json={}, headers=many), 431, "BAD_REQUEST")


async def test_a_failing_field_is_data_beside_a_masked_error(http: httpx2.AsyncClient) -> None:
    for accept in (NEW, OLD):
        response = await http.post(
            "/graphql", json={"query": "{hello broken}"}, headers={"accept": accept}
        )
        assert response.status_code == 200
        assert response.json()["data"] == {"hello": "hello world", "broken": None}
        assert response.json()["errors"][0]["extensions"]["code"] == "INTERNAL"
        assert response.json()["errors"][0]["path"] == ["broken"]
        assert SECRET not in response.text


async def test_what_the_app_refuses_before_the_operation_is_said_with_its_headers(
    http: httpx2.AsyncClient,
) -> None:
    response = await http.post(
        "/graphql", json={"query": "{hello}"}, headers={"authorization": "Bearer expired"}
    )
    refused(response, 401, "UNAUTHENTICATED")
    assert response.headers["www-authenticate"] == 'Bearer error="invalid_token"'


async def test_a_bug_before_the_operation_is_masked_and_has_an_incident(
    http: httpx2.AsyncClient,
) -> None:
    response = await http.post(
        "/graphql", json={"query": "{hello}"}, headers={"authorization": "Bearer bug"}
    )
    error = refused(response, 500, "INTERNAL")
    assert len(error["extensions"]["incident"]) == 12
    assert SECRET not in response.text


async def test_every_answer_has_a_trace_id_of_its_own(http: httpx2.AsyncClient) -> None:
    bodies = [(await http.post("/graphql", json={"query": "{"})).json() for _ in range(2)]
    first, second = (body["errors"][0]["extensions"]["traceId"] for body in bodies)
    assert first != second
