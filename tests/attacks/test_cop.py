"""What graphql-cop looks for: nothing of it is found. Each case is one of its checks."""

from dataclasses import dataclass, field
from typing import Any

import pytest

from tests.attacks.stand import NEW, Target, proper

CIRCLE = "{__schema{types{fields{type{fields{type{fields{type{fields{type{name}}}}}}}}}}}"
JSON = {"content-type": "application/json", "accept": NEW}


@dataclass(frozen=True, slots=True, kw_only=True)
class Check:
    """What is sent, and what has to come of it: a status, and a code of the only error."""

    refused: tuple[int, str]
    json: Any = None
    by: str = "POST"
    path: str = "/graphql"
    params: dict[str, str] = field(default_factory=dict)
    content: str | None = None
    headers: dict[str, str] = field(default_factory=dict)


def document(query: str, **refused: Any) -> Check:
    return Check(json={"query": query}, **refused)


TOO_COMPLEX, INVALID = (400, "TOO_COMPLEX"), (400, "GRAPHQL_VALIDATION_FAILED")
FORM = {"content-type": "application/x-www-form-urlencoded"}
BROWSER = {"sec-fetch-site": "cross-site", "sec-fetch-mode": "navigate", "cookie": "dashtam=x"}
ELSEWHERE = {"origin": "https://evil.example", "sec-fetch-site": "cross-site"}
CHECKS = {
    "101 aliases": document(
        "{" + " ".join(f"a{n}:__typename" for n in range(101)) + "}", refused=TOO_COMPLEX
    ),
    "an array of 10 queries": Check(
        json=[{"query": "{ __typename }"}] * 10, refused=(400, "BAD_REQUEST")
    ),
    "an array of one query": Check(
        json=[{"query": "{ __typename }"}], refused=(400, "BAD_REQUEST")
    ),
    "51 directives, of which there are none": document(
        "{ __typename " + "@aa" * 51 + " }", refused=TOO_COMPLEX
    ),
    "10 directives, of which there are none": document(
        "{ __typename " + "@aa" * 10 + " }", refused=INVALID
    ),
    "one directive ten times": document(
        "{ __typename " + "@skip(if:false)" * 10 + " }", refused=INVALID
    ),
    "500 times the same field": document("{" + "__typename " * 500 + "}", refused=TOO_COMPLEX),
    "circular introspection": document(CIRCLE, refused=INVALID),
    "circular fragments": document(
        "query { ...A } fragment A on Query { ...B } fragment B on Query { ...A }", refused=INVALID
    ),
    "a fragment of itself": document(
        "query { ...A } fragment A on Query { ...A }", refused=INVALID
    ),
    "introspection": document("{ __schema { types { name } } }", refused=INVALID),
    "introspection of one type": document('{ __type(name: "Query") { name } }', refused=INVALID),
    "introspection in a fragment": document(
        "{ ...F } fragment F on Query { __schema { queryType { name } } }", refused=INVALID
    ),
    "introspection after a line break": document(
        "{ __schema\n{ types { name } } }", refused=INVALID
    ),
    "introspection by GET": Check(
        by="GET", params={"query": "{__schema{types{name}}}"}, headers=JSON, refused=INVALID
    ),
    "a misspelled field": document("{ viewr { email } }", refused=INVALID),
    "a mutation by GET": Check(
        by="GET",
        params={"query": "mutation { signOut { signedOut } }"},
        headers=JSON,
        refused=(405, "BAD_REQUEST"),
    ),
    "a query by GET, as another site's page can send it": Check(
        by="GET",
        params={"query": "{__typename}"},
        headers=BROWSER,
        refused=(403, "NOT_PERMITTED"),
    ),
    "a query by GET, as an image of another site": Check(
        by="GET",
        params={"query": "{__typename}"},
        headers={"origin": "https://evil.example"},
        refused=(403, "NOT_PERMITTED"),
    ),
    # Without a cookie there would be nothing to ride on, and it is answered as nobody's.
    "a query by GET, with a cookie, from a browser of before 2020": Check(
        by="GET",
        params={"query": "{__typename}"},
        headers={"cookie": "dashtam=x"},
        refused=(403, "NOT_PERMITTED"),
    ),
    "a query as an HTML form": Check(
        content="query=%7B__typename%7D", headers=FORM, refused=(415, "BAD_REQUEST")
    ),
    "a mutation as an HTML form": Check(
        content="query=mutation%7BsignOut%7BsignedOut%7D%7D",
        headers=FORM | ELSEWHERE,
        refused=(415, "BAD_REQUEST"),
    ),
    "JSON that says it is text": Check(
        content='{"query":"mutation{signOut{signedOut}}"}',
        headers={"content-type": "text/plain"} | ELSEWHERE,
        refused=(415, "BAD_REQUEST"),
    ),
    "JSON that says nothing": Check(
        content='{"query":"{__typename}"}',
        headers={"content-type": ""},
        refused=(415, "BAD_REQUEST"),
    ),
    "a form of parts from another site": Check(
        content='--x\r\ncontent-disposition: form-data; name="operations"\r\n\r\n{}\r\n--x--\r\n',
        headers={"content-type": "multipart/form-data; boundary=x"} | ELSEWHERE,
        refused=(403, "NOT_PERMITTED"),
    ),
    "what is no document": document("abc", refused=(400, "GRAPHQL_PARSE_FAILED")),
    "a query that is a number": Check(json={"query": 7}, refused=(400, "BAD_REQUEST")),
}
PAGES = ("/", "/graphiql", "/playground", "/console", "/graphql/playground", "/altair", "/voyager")
TRACES = ("apollo-tracing", "x-apollo-tracing", "x-debug", "graphql-debug", "dashtam-debug")


@pytest.mark.parametrize("check", CHECKS.values(), ids=CHECKS)
async def test_it_is_refused_in_one_sentence(target: Target, check: Check) -> None:
    headers = check.headers or ({"accept": NEW} if check.by == "POST" else {})
    answer = await target.nobody.http.request(
        check.by,
        check.path,
        params=check.params,
        headers={"accept": NEW, **headers},
        **({"json": check.json} if check.content is None else {"content": check.content}),
    )
    said = proper(answer)
    assert "data" not in said
    found = {error["extensions"]["code"] for error in said["errors"]}
    assert (answer.status_code, found) == (check.refused[0], {check.refused[1]})
    assert len(answer.content) < 3_000


@pytest.mark.parametrize("path", PAGES)
async def test_no_playground_is_there(target: Target, path: str) -> None:
    answer = await target.nobody.http.get(path, headers={"accept": "text/html"})
    assert answer.status_code in (403, 404, 406)
    for word in ("graphiql", "GraphiQL", "playground", "GraphQLRoot", "<script"):
        assert word not in answer.text


async def test_no_header_or_extension_shows_how_it_was_made(target: Target) -> None:
    body = {"query": "{ __typename }", "extensions": {"tracing": True, "debug": True}}
    answer = await target.ann.http.post("/graphql", json=body, headers=dict.fromkeys(TRACES, "1"))
    assert proper(answer) == {"data": {"__typename": "Query"}}
    known = {
        *("content-type", "content-length", "cache-control", "vary", "date", "x-request-id"),
        *("ratelimit", "ratelimit-policy"),
    }
    assert answer.headers.keys() <= known


async def test_what_it_asks_properly_it_gets(target: Target) -> None:
    """Else all of the above might be refused for another reason."""
    for headers in ({"content-type": "application/json"}, {"graphql-preflight": "1"}):
        params = {"query": "query cop { __typename }"}
        answer = await target.nobody.http.get("/graphql", params=params, headers=headers)
        assert proper(answer) == {"data": {"__typename": "Query"}}
