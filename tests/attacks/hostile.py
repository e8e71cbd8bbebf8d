"""Requests that are there to take a gateway down, by their documents and variables.

Each has what has to come of it: the codes that it may be refused with, or none where it is answered.
"""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from tests.attacks.stand import NEW

COMPLEX, PARSE = "TOO_COMPLEX", "GRAPHQL_PARSE_FAILED"
INVALID, INPUT, BAD = "GRAPHQL_VALIDATION_FAILED", "BAD_USER_INPUT", "BAD_REQUEST"
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
    yield value("a list of 9,900 numbers", "[" + "1," * 9_899 + "1]", INPUT)
    yield value("a list of 500,000 numbers", "[" + "1," * 499_999 + "1]", BAD)
    yield value("100,000 lists in lists", "[" + "[[[[1]]]]," * 99_999 + "[[[[1]]]]]", BAD)
    yield value("an object of 9,900 fields", json.dumps({f"k{n}": n for n in range(9_900)}), INPUT)
    yield value("50,000 fields", json.dumps({f"k{n}": n for n in range(50_000)}), BAD)
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
        "9,900 variables that nobody declared",
        json.dumps({f"v{n}": n for n in range(9_900)} | {"v": "a"}),
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
    nodes = "query($v: [ID!]!) { nodes(ids: $v) { id } }"
    yield asking("9,900 ids", nodes, INPUT, COMPLEX, variables={"v": ["x"] * 9_900})
    yield asking("100,000 ids", nodes, BAD, variables={"v": ["x"] * 100_000})
    connect = """mutation($v: [CredentialInput!]) { connectProvider(input: {provider: "sandbox",
      using: {credentials: $v}}) { errors { code } } }"""
    both = [{"name": "", "value": ""}] * 3_300
    yield asking("3,300 credentials", connect, variables={"v": both})
    search = json.dumps(
        {
            "query": "query($v: String) { transactions(filter: {search: $v}) { totalCount } }",
            "variables": {"v": "%_\\" * 100_000},
        }
    )
    yield request("a search of 300,000 wildcards", content=search)
