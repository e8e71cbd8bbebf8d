"""Requests that are there to take a gateway down: documents, variables, bodies, heads, targets.

Each has what has to come of it: the codes that it may be refused with, or none where it is answered.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.attacks.stand import NEW

COMPLEX, PARSE = "TOO_COMPLEX", "GRAPHQL_PARSE_FAILED"
INVALID, INPUT, BAD = "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "BAD_REQUEST"
MEGABYTE = 1 << 20
TYPED = {"content-type": "application/json", "accept": NEW}


@dataclass(frozen=True, slots=True)
class Request:
    """`codes` of its errors, all of which have to be one of these; empty where it is answered."""

    name: str
    codes: frozenset[str]
    content: bytes = b""
    by: str = "POST"
    target: str = "/graphql"
    headers: tuple[tuple[bytes, bytes], ...] = ()


def request(name: str, *codes: str, content: bytes | str = b"", **more: Any) -> Request:
    body = content.encode() if isinstance(content, str) else content
    given = {**TYPED, **more.pop("headers", {})}
    headers = tuple((k.encode(), v.encode("latin-1")) for k, v in given.items() if v is not None)
    return Request(name, frozenset(codes), body, headers=headers, **more)


def asking(name: str, query: str, *codes: str, **more: Any) -> Request:
    return request(name, *codes, content=json.dumps({"query": query, **more}))


def every() -> list[Request]:
    found = [*documents(), *_bodies(), *_heads(), *_targets()]
    assert len({each.name for each in found}) == len(found)
    return found


def documents() -> list[Request]:
    """Those that any transport may carry."""
    return [*_shapes(), *_spellings(), *_values(), *_variables()]


def chain(levels: int, times: int, last: str) -> str:
    return " ".join(
        [f"fragment F{n} on Query {{ {f'...F{n + 1} ' * times} }}" for n in range(levels)]
        + [f"fragment F{levels} on Query {{ {last} }}"]
    )


def circle(levels: int) -> str:
    return " ".join(f"fragment F{n} on Query {{ ...F{(n + 1) % levels} }}" for n in range(levels))


of = asking


def _shapes() -> Iterator[Request]:
    yield of("2 ** 20 fields of 20 fragments", "{ ...F0 } " + chain(20, 2, "__typename"), COMPLEX)
    yield of("2 ** 58 fields of 58 fragments", "{ ...F0 } " + chain(58, 2, "__typename"), COMPLEX)
    yield of("20 ** 20 fields", "{ ...F0 } " + chain(20, 20, "__typename"), COMPLEX)
    yield of("61 fragments", "{ ...F0 } " + chain(60, 1, "__typename"), COMPLEX)
    yield of("a chain of 59 fragments", "{ ...F0 } " + chain(59, 1, "__typename"))
    yield of("a circle of 60 fragments", "{ ...F0 } " + circle(60), INVALID)
    yield of("a fragment of itself", "{ ...F } fragment F on Query { ...F }", INVALID)
    yield of(
        "a fragment that meets itself in a field",
        "{ links { ...L } } fragment L on Link { accounts { link { ...L } } }",
        INVALID,
    )
    yield of("an unknown fragment", "{ ...F }", INVALID)
    yield of("a thousand unknown fragments", "{" + "...F " * 990 + "}", INVALID, COMPLEX)
    yield of("a fragment twice", "{...F} " + "fragment F on Query { __typename } " * 2, INVALID)
    yield of("a fragment that is called on", "{ ...on }", PARSE)
    deep = "accounts { link { " * 7 + "id" + " } }" * 7
    yield of("a circle of types, 15 deep", "{" + deep + "}")
    yield of("a circle of types, 17 deep", "{ accounts { link { " + deep + "}}}", COMPLEX)
    yield of(
        "a circle of types, 80 deep", "{" + "accounts{link{" * 40 + "id" + "}}" * 40 + "}", COMPLEX
    )
    yield of("5,000 levels", "{" + "links{" * 5_000, COMPLEX, PARSE)
    yield of("inline fragments, 101 deep", "{" + "...{" * 101 + "__typename" + "}" * 102, COMPLEX)
    yield of("inline fragments, 99 deep", "{" + "...{" * 99 + "__typename" + "}" * 100)
    yield of("2,000 tokens of one field", "{" + "__typename " * 1_990 + "}", COMPLEX)
    yield of(
        "2,000 tokens of other fields", "{" + " ".join(f"f{n}" for n in range(990)) + "}", COMPLEX
    )
    fields = " ".join(f"f{n}" for n in range(990))
    yield of("2,000 tokens of fields that there are not", f"{{ links {{ {fields} }} }}", INVALID)
    yield of("100,000 tokens", "{" + "a " * 100_000 + "}", COMPLEX)
    yield of("1,000,000 characters of one name", "{" + "a" * 1_000_000 + "}", COMPLEX)
    yield of("1,000,000 spaces", "{" + " " * 1_000_000 + "__typename }", COMPLEX)
    yield of("130,000 spaces", "{" + " " * 130_000 + "__typename }")
    yield of("300,000 comments", "#\n" * 300_000 + "{ __typename }", COMPLEX)
    yield of("one comment of a megabyte", "#" + "c" * 1_000_000 + "\n{ __typename }", COMPLEX)
    yield of("one comment of 130,000", "#" + "c" * 130_000 + "\n{ __typename }")
    yield of("100,000 commas", "{" + "," * 100_000 + "__typename }")
    yield of("31 aliases", "{" + " ".join(f"a{n}:__typename" for n in range(31)) + "}", COMPLEX)
    yield of(
        "5,000 aliases", "{" + " ".join(f"a{n}:links{{id}}" for n in range(5_000)) + "}", COMPLEX
    )
    yield of(
        "aliased sign-ins",
        "mutation {"
        + " ".join(
            f'a{n}: signIn(input: {{email: "a@b.c", password: "p{n}"}}) {{ accessToken }}'
            for n in range(20)
        )
        + "}",
        INVALID,
    )
    yield of("21 root fields", "{" + "providers{slug} " * 21 + "}", COMPLEX)
    yield of("51 directives", "{ __typename " + "@skip(if: false)" * 51 + "}", COMPLEX)
    yield of("10,000 directives", "{ __typename " + "@a" * 10_000 + "}", COMPLEX)
    yield of("an unknown directive", "{ __typename @nothing(if: true) }", INVALID)
    yield of("@include without a condition", "{ __typename @include }", INVALID)
    yield of("@skip and @include at once", "{ __typename @skip(if:true) @include(if:true) }")
    yield of("a directive of the schema's", "{ __typename @deprecated }", INVALID)
    yield of("@defer", "{ ... @defer { __typename } }", INVALID)
    yield of("@stream", "{ links @stream { id } }", INVALID)
    merged = "accounts{link{accounts{name} accounts{name}} link{accounts{name}}} "
    yield of("fields that have to be merged, 20 times", "{" + merged * 20 + "}")
    yield of(
        "fields that cannot be merged",
        "{" + " ".join(f"accounts(filter:{{ids:[{n}]}}){{name}}" for n in range(20)) + "}",
        INVALID,
    )
    conflicts = "".join("{x:providers{slug x:name x:slug}}" for _ in range(1))
    yield of("one alias for two fields", conflicts, INVALID)
    yield of("390 operations", " ".join(f"query q{n} {{ a }}" for n in range(390)), INVALID)


def _spellings() -> Iterator[Request]:
    yield of("two operations and no name", "query a { a } query b { b }", INVALID)
    yield of("two nameless operations", "{ __typename } { __typename }", INVALID)
    yield of("nothing", "", PARSE)
    yield of("a space", " ", PARSE)
    yield of("an empty selection", "{}", PARSE)
    yield of("a byte order mark", "\ufeff{ __typename }")
    yield of("a byte order mark inside", "{ \ufeff__typename }")
    yield of("no-break spaces", "{\u00a0__typename}", PARSE)
    yield of("letters that look like ours", "{ \uff3f\uff3ftypename }", PARSE)
    yield of("text from right to left", "{ \u202e__typename }", PARSE)
    yield of("an emoji as a name", "{ \U0001f4b0 }", PARSE)
    yield of("a NUL", "{ __typename \0 }", PARSE, INPUT)
    yield of("a type of the schema's language", "type Query { a: Int }", INVALID)
    yield of("an extension of the schema", "extend type Query { a: Int } { __typename }", INVALID)
    yield of(
        "only a fragment",
        "fragment F on Query { __typename }",
        INVALID,
        "OPERATION_RESOLUTION_FAILURE",
    )
    yield of("a subscription", "subscription { events { id } }", BAD)
    yield of(
        "two subscriptions at once", "subscription { a: events { id } b: events { id } }", INVALID
    )
    yield of("a mutation and its query", "mutation { viewer { email } }", INVALID)
    yield of("introspection", "{ __schema { types { name } } }", INVALID)
    types = "fields{type{" * 14 + "name" + "}}" * 14
    yield of("introspection, 30 deep", "{__schema{types{" + types + "}}}", COMPLEX)
    yield of("a description before a query", '"""words""" { __typename }', PARSE)


def _values() -> Iterator[Request]:
    def of(name: str, value: str, *codes: str) -> Request:
        return asking(name, f"{{ node(id: {value}) {{ id }} }}", *codes)

    yield of("an id of a megabyte", '"' + "x" * 1_000_000 + '"', COMPLEX)
    yield of("an id of 130,000 characters", '"' + "x" * 130_000 + '"')
    yield of("an id of 21,000 escapes", '"' + "\\u0041" * 21_000 + '"')
    yield of("an id of 140,000 escapes", '"' + "\\u0041" * 140_000 + '"', COMPLEX)
    yield of("an id of 100,000 line breaks", '"""' + "\n" * 100_000 + '"""')
    yield of("a block string, indented differently", '"""' + "\n   a\n b" * 16_000 + '"""')
    yield of("an integer of 5,000 digits", "9" * 5_000)
    yield of("an integer of a megabyte", "9" * 1_000_000, COMPLEX)
    yield of("an integer of 130,000 digits", "9" * 130_000)
    yield of("a number with a huge exponent", "1e999999999", INVALID)
    yield of("an object for an id", "{a: 1}", INVALID)
    yield of("lists, 600 deep", "[" * 600 + "]" * 600, INVALID, COMPLEX)
    yield of("lists, 100,000 deep", "[" * 100_000, COMPLEX, PARSE)
    yield of("an object, 3,000 deep", "{a:" * 400 + "1" + "}" * 400, INVALID, COMPLEX)
    yield of("half a pair of surrogates", '"\\uD83D"', INPUT, PARSE)
    yield of("a code point that there is not", '"\\u{110000}"', PARSE)
    yield of("an escaped NUL", '"\\u0000"', INPUT)
    yield of("a variable that nobody declared", "$id", INVALID)
    yield of("a string without its end", '"abc', PARSE)
    yield of("null for what must not be", "null", INVALID)
    yield of("a list of 900 ids for one", "[" + '"a" ' * 900 + "]", INVALID)
    yield asking(
        "an enum value that there is not",
        "{ transactions(orderBy: NOTHING) { totalCount } }",
        INVALID,
    )
    yield asking(
        "an input's field twice",
        '{ accounts(filter: {ids: ["a"], ids: ["b"]}) { id } }',
        INVALID,
    )
    both = '{provider: "sandbox", using: {nothing: true, credentials: []}}'
    yield asking(
        "two of which one may be given",
        f"mutation {{ connectProvider(input: {both}) {{ errors {{ code }} }} }}",
        INVALID,
    )
    yield asking("an argument twice", '{ node(id: "a", id: "b") { id } }', INVALID)
    yield asking(
        "first beyond 32 bits", "{ transactions(first: 99999999999) { totalCount } }", INVALID
    )
    yield asking(
        "first as large as can be",
        "{ transactions(first: 2147483647) { totalCount } }",
        INPUT,
        COMPLEX,
    )
    yield asking(
        "first below nothing", "{ transactions(first: -2147483648) { totalCount } }", INPUT
    )


def nested(open_: str, close: str, depth: int, inside: str = "1") -> str:
    return open_ * depth + inside + close * depth


def _variables() -> Iterator[Request]:
    def of(name: str, given: str, *codes: str, declared: str = "$v: ID!") -> Request:
        query = json.dumps(f"query({declared}) {{ node(id: $v) {{ id }} }}")
        return request(name, *codes, content=f'{{"query": {query}, "variables": {given}}}')

    def value(name: str, text: str, *codes: str) -> Request:
        return of(name, f'{{"v": {text}}}', *codes)

    yield value("a list, 1,000 deep", nested("[", "]", 1_000), INPUT, BAD)
    yield value("a list, 200,000 deep", nested("[", "]", 200_000), BAD)
    yield value("objects, 1,000 deep", nested('{"a":', "}", 1_000), INPUT, BAD)
    yield value("objects, 100,000 deep", nested('{"a":', "}", 100_000), BAD)
    yield value("a list of 200,000 numbers", "[" + "1," * 199_999 + "1]", INPUT)
    yield value(
        "an object of 50,000 fields", json.dumps({f"k{n}": n for n in range(50_000)}), INPUT
    )
    yield value("an integer past 64 bits", "18446744073709551616", BAD)
    yield value("a number of 100,000 digits", "9" * 100_000, BAD)
    yield value("a fraction of 100,000 digits", "0." + "1" * 100_000, INPUT, BAD)
    yield value("1e400", "1e400", BAD)
    yield value("NaN", "NaN", BAD)
    yield value("-Infinity", "-Infinity", BAD)
    yield value("a variable of a megabyte", '"' + "x" * 1_000_000 + '"')
    yield value("160,000 escapes", '"' + "\\u0041" * 160_000 + '"')
    yield value("a NUL in a variable", '"\\u0000"', INPUT)
    yield value("half a pair in a variable", '"\\ud800"', INPUT)
    yield value("true for an id", "true", INPUT)
    yield value("null for an id", "null", INPUT)
    yield of("no variables", "null", INPUT)
    yield of("variables that are a list", "[1]", BAD)
    yield of("variables that are a text", '"{}"', BAD)
    yield of("a variable twice", '{"v": "a", "v": "b"}', BAD)
    yield of("a variable twice, once escaped", '{"v": "a", "\\u0076": "b"}', BAD)
    yield of(
        "10,000 variables that nobody declared",
        json.dumps({f"v{n}": n for n in range(10_000)} | {"v": "a"}),
    )
    many = " ".join(f"$v{n}: ID" for n in range(490))
    yield of("490 declared variables", "{}", INVALID, declared=f"$v: ID! {many}")
    yield of("a variable declared twice", '{"v": "a"}', INVALID, declared="$v: ID! $v: ID!")
    yield of("a variable of no type", '{"v": "a"}', INVALID, declared="$v: Nothing")
    yield of("a variable of an answer's type", '{"v": "a"}', INVALID, declared="$v: Account")
    yield of(
        "a type in 500 lists",
        '{"v": "a"}',
        INVALID,
        COMPLEX,
        declared="$v: " + nested("[", "]", 500, "ID"),
    )
    yield of("a default that does not fit", "{}", INVALID, declared="$v: ID! = {a: 1}")
    yield of("__proto__ beside it", '{"v": "a", "__proto__": {"a": 1}, "__class__": 1}')
    ids = json.dumps(
        {
            "query": "query($v: [ID!]!) { nodes(ids: $v) { id } }",
            "variables": {"v": ["x"] * 100_000},
        }
    )
    yield request("100,000 ids", INPUT, COMPLEX, content=ids)
    search = json.dumps(
        {
            "query": "query($v: String) { transactions(filter: {search: $v}) { totalCount } }",
            "variables": {"v": "%_\\" * 100_000},
        }
    )
    yield request("a search of 300,000 wildcards", content=search)


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
