"""Requests that are there to take a gateway down, by what is around a document: bodies, heads and
targets, as only HTTP has them.
"""

import json
from collections.abc import Iterator

from tests.attacks.hostile import BAD, INPUT, Request, nested, request

MEGABYTE = 1 << 20


def envelopes() -> list[Request]:
    return [*_bodies(), *_heads(), *_targets()]


def _bodies() -> Iterator[Request]:
    def of(name: str, content: bytes | str, *codes: str, **headers: str | None) -> Request:
        named = {key.replace("_", "-"): text for key, text in headers.items()}
        return request(name, *(codes or (BAD,)), content=content, headers=named)

    yield of("no body", b"")
    yield of("a body of spaces", b" " * 1_000)
    yield of("over a megabyte", b" " * (MEGABYTE + 1))
    yield of("8 MB", b"[" * (8 * MEGABYTE))
    yield of("no JSON", "{")
    yield of("two objects", '{"query":"{__typename}"}{"query":"{__typename}"}')
    yield of("a comment in JSON", '{"query":"{__typename}"/**/}')
    yield of("a comma too many", '{"query":"{__typename}",}')
    yield of("single quotes", "{'query':'{__typename}'}")
    yield of("a number", "1")
    yield of("null as a body", "null")
    yield of("a text as a body", '"{ __typename }"')
    yield of("1,000 operations in a list", json.dumps([{"query": "{__typename}"}] * 1_000))
    yield of("lists, 500,000 deep, as a body", "[" * 500_000)
    yield of("latin-1", '{"query":"{ é }"}'.encode("latin-1"))
    yield of("UTF-16", '{"query":"{__typename}"}'.encode("utf-16"))
    yield of("overlong UTF-8", b'{"query":"{__typename}\xc0\xaf"}')
    yield of("a query twice", '{"query":"{__typename}","query":"{viewer{email}}"}')
    yield of("a query that is a list", '{"query":["{__typename}"]}')
    yield of("an operation name that is a number", '{"query":"{__typename}","operationName":1}')
    name = json.dumps({"query": "{__typename}", "operationName": "n" * 900_000})
    yield of("an operation name of 900 kB", name, "OPERATION_RESOLUTION_FAILURE")
    name = json.dumps({"query": "query a{__typename}", "operationName": "<script>'\"\u202e"})
    yield of("an operation name of markup", name, "OPERATION_RESOLUTION_FAILURE")
    yield of("extensions that are a list", '{"query":"{__typename}","extensions":[]}')
    deep = f'{{"query":"{{__typename}}","extensions":{{"a":{nested("[", "]", 100_000)}}}}}'
    yield of("extensions, 100,000 deep", deep)
    for what, hash_ in (("a short", "ab"), ("an absent", "0" * 64), ("a long", "a" * 100_000)):
        said = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": hash_}}}
        codes = ("PERSISTED_QUERY_NOT_FOUND", BAD)
        yield of(f"{what} hash of a persisted query", json.dumps(said), *codes)
    text: dict[str, object] = {
        "query": "{ __typename }",
        "extensions": {"persistedQuery": {"version": 1, "sha256Hash": "0" * 64}},
    }
    yield of("a text that is not its hash", json.dumps(text))
    yield of(
        "a version of persisted queries that there is not",
        '{"extensions":{"persistedQuery":{"version":9,"sha256Hash":"a"}}}',
    )
    yield of("an id with a path in it", '{"documentId":"../../../../etc/passwd"}')
    yield of("an id of SQL", json.dumps({"documentId": "x' OR '1'='1"}))
    yield of("two ids at once", '{"documentId":"a","doc_id":"b"}')
    yield of("a compressed body", b"\x1f\x8b\x08\x00" + b"\0" * 100, content_encoding="gzip")
    yield of("a body of an unknown coding", b"{}", content_encoding="x")
    yield of("a form", "query=a", content_type="application/x-www-form-urlencoded")
    yield of("parts without a boundary", "x", content_type="multipart/form-data")
    yield of(
        "a boundary of a kilobyte", "x", content_type="multipart/form-data; boundary=" + "b" * 1_000
    )
    bomb = b"--b\r\n" + b"content-disposition: form-data; name=a\r\n\r\n\r\n--b\r\n" * 5_000
    form = "multipart/form-data; boundary=b"
    yield of("5,000 parts", bomb, BAD, "UNAUTHENTICATED", content_type=form, graphql_preflight="1")
    yield of("JSON that is not JSON", "{}", content_type="application/jsonx")
    yield of(
        "a charset that is not ours",
        '{"query":"{__typename}"}',
        content_type="application/json; charset=utf-7",
    )


def _heads() -> Iterator[Request]:
    def of(name: str, *codes: str, query: str = "{ __typename }", **headers: str) -> Request:
        named = {key.replace("_", "-"): text for key, text in headers.items()}
        return request(name, *codes, content=json.dumps({"query": query}), headers=named)

    def as_somebody(name: str, **headers: str) -> Request:
        return of(name, "UNAUTHENTICATED", query="{ viewer { email } }", **headers)

    yield of("Accept of nothing that is ours", BAD, accept="text/html")
    yield of("Accept of 3,000 types", BAD, accept=", ".join(f"a/b{n}" for n in range(3_000)))
    yield of("Accept with qualities that are none", BAD, accept="application/json;q=9e9, */*;q=x")
    yield of("Accept of 10,000 semicolons", BAD, accept="a/b" + ";" * 10_000)
    yield of("Accept of events", accept="text/event-stream")
    yield of("Accept-Encoding of everything", accept_encoding="*;q=0, " * 500)
    yield of("If-None-Match of 5,000 tags", if_none_match='"a", ' * 5_000)
    yield of("a header of 40 kB", BAD, x_long="a" * 40_000)
    yield of("a trace that is none", traceparent="00-zz-zz-00")
    yield as_somebody("a token of 20 kB", authorization="Bearer " + "a" * 20_000)
    yield as_somebody(
        "a token without a signature", authorization="Bearer eyJhbGciOiJub25lIn0.e30."
    )
    yield as_somebody("a token of three dots", authorization="Bearer ...")
    yield as_somebody("Basic", authorization="Basic YTpi")
    yield as_somebody("a cookie of 8 kB", cookie="dashtam=" + "a" * 8_000)
    yield of("a length that is none", BAD, content_length="1e3")
    yield of("Last-Event-ID of a kilobyte", last_event_id="x" * 1_000)
    yield of("an Idempotency-Key of 10 kB", idempotency_key="k" * 10_000)
    yield of(
        "names of clients with control characters", BAD, apollographql_client_name="a\x7fb" * 100
    )
    yield of("X-Forwarded-For of everybody", x_forwarded_for="1.2.3.4, " * 300)
    yield of("a method override", x_http_method_override="DELETE")
    yield of("another site", "NOT_PERMITTED", sec_fetch_site="cross-site", cookie="a=b")


def _targets() -> Iterator[Request]:
    def of(name: str, target: str, *codes: str, by: str = "GET") -> Request:
        return request(name, *(codes or (BAD,)), by=by, target=target)

    yield of("a URL of 8 kB", "/graphql?query={" + "a" * 9_000 + "}")
    yield of("5,000 query fields", "/graphql?" + "a=1&" * 1_500)
    yield of("a field of the URL twice", "/graphql?query={__typename}&query={__typename}")
    yield of("variables in the URL that are no JSON", "/graphql?query={__typename}&variables={")
    yield of(
        "variables in the URL, 3,000 deep", "/graphql?query={__typename}&variables=" + "[" * 3_000
    )
    yield of("no UTF-8 in the URL", "/graphql?query=%ff%fe")
    yield of("a NUL in the URL", "/graphql?query={__typename%00}", INPUT)
    yield of("a mutation in the URL", "/graphql?query=mutation{signOut{signedOut}}")
    yield of(
        "an id with a path in it, in the path",
        "/graphql/..%2f..%2fetc%2fpasswd",
        BAD,
        "PERSISTED_QUERY_NOT_FOUND",
    )
    yield of("an absent id in the path", "/graphql/" + "0" * 64, "PERSISTED_QUERY_NOT_FOUND")
    yield of("100 segments", "/graphql" + "/a" * 100, "NOT_FOUND")
    yield of("DELETE", "/graphql", by="DELETE")
    yield of("PUT", "/graphql", by="PUT")
    yield of("PATCH", "/graphql", by="PATCH")
