"""Requests as no client sends them, over a real socket: each gets JSON that says what is wrong."""

import asyncio
import json
from collections.abc import Iterator

import pytest

from gateway.http.protocol import HttpProtocol
from tests.gateway.http.served import Journal, a_view, served

HEAD = b"POST /graphql HTTP/1.1\r\nhost: x\r\ncontent-type: application/json\r\n"
GOOD = b'{"query":"{hello}"}'

NEW = b"accept: application/graphql-response+json"


def post(body: bytes, *lines: bytes) -> bytes:
    length = b"content-length: %d" % len(body)
    lines = lines if lines and lines[0].startswith(b"accept") else (NEW, *lines)
    return HEAD + b"".join(line + b"\r\n" for line in (length, *lines)) + b"\r\n" + body


def chunked(body: bytes) -> bytes:
    return HEAD + b"transfer-encoding: chunked\r\n\r\n" + body


def get(target: bytes, *lines: bytes) -> bytes:
    head = b"GET " + target + b" HTTP/1.1\r\nhost: x\r\n"
    return head + b"".join(line + b"\r\n" for line in (NEW, *lines)) + b"\r\n"


def asking(variables: bytes) -> bytes:
    return b'{"query":"query($n:String){hello(name:$n)}","variables":{"n":' + variables + b"}}"


VALUES = [
    *(b"NaN", b"-Infinity", b"Infinity", b"1e999", b"-1e999", b"9" * 40, b"-" + b"9" * 5_000),
    *(b"01", b"1.", b".5", b"+1", b"0x1", b"1_000", b"'a'", b"a", b"tru", b"True", b"None"),
    *(b'"\\x41"', b'"\\u12"', b'"\t"', b'"\n"', b'"\x00"', b'"\xff"', b'"\xc0\xaf"', b'"\xed\xa0\x80"'),
    *(b'"\\ud800"', b'"\\udc00"', b'"\\u0000"', b'"\xf4\x90\x80\x80"', b"[1,]", b"{,}", b'{"a":1,}'),
    *(b'{"a":1,"a":2}', b'{"a":1,"\\u0061":2}', b"[" * 100_000, b"[" * 100 + b"]" * 100),
    *(b'{"a":' * 100 + b"1" + b"}" * 100, b"/**/1", b"1//", b"1 2", b"1}}{", b"", b"\xef\xbb\xbf1"),
    *(b'"unterminated', b"\x00", b"undefined", b"1e", b"--1", b"9223372036854775808"),
]  # fmt: skip
BODIES = [
    *(b"", b" ", b"1", b"null", b"true", b'"x"', b"[]", b"[1]", b"{", b"}", b"{}", b"\x00" * 100),
    *(b"[" + GOOD + b"]", b"[" + GOOD + b"," + GOOD + b"]", GOOD + GOOD, GOOD + b"x", GOOD[:-1]),
    *(b"\xef\xbb\xbf" + GOOD, GOOD.decode().encode("utf-16"), GOOD.decode().encode("utf-32")),
    *(b"\x1f\x8b\x08\x00" + bytes(60), b"PK\x03\x04" + bytes(60), b"query={hello}", b"{hello}"),
    *(b'{"query":null}', b'{"query":1}', b'{"query":[]}', b'{"query":{}}', b'{"query":true}'),
    *(b'{"query":"{hello}","query":"{hello}"}', b'{"query":"{hello}","variables":"{}"}'),
    *(b'{"query":"{hello}","variables":[1]}', b'{"query":"{hello}","variables":1}'),
    *(b'{"query":"{hello}","operationName":1}', b'{"query":"{hello}","operationName":[]}'),
    *(b'{"query":"{hello}","extensions":[]}', b'{"query":"{hello}","extensions":"x"}'),
    *(b'{"documentId":1}', b'{"documentId":""}', b'{"documentId":" "}', b'{"documentId":"a/b"}'),
    *(b'{"documentId":"' + b"a" * 200 + b'"}', b'{"doc_id":[]}', b'{"doc_id":"\\ud800"}'),
    *(b'{"extensions":{"persistedQuery":1}}', b'{"extensions":{"persistedQuery":{}}}'),
    *(b'{"extensions":{"persistedQuery":{"version":2,"sha256Hash":"a"}}}',),
    *(b'{"documentId":"a","doc_id":"b"}', b'{"id":"a"}', b'{"Query":"{hello}"}'),
    *(b'{"query":"{"}', b'{"query":"}"}', b'{"query":"{hello"}', b'{"query":"#"}'),
]  # fmt: skip
TYPES = [
    *(b"text/plain", b"text/html", b"application/xml", b"application/graphql", b"application/jsonx"),
    *(b"application/json; charset=utf-16", b"application/json; charset=latin-1", b"*/*", b",", b";"),
    *(b"application/x-www-form-urlencoded", b"application/json, text/plain", b"\xff\xfe", b"a" * 9_000),
    *(b"multipart/form-data", b"multipart/form-data; boundary=", b"multipart/mixed; boundary=x"),
]  # fmt: skip
LINES = [
    *(b"content-encoding: gzip", b"content-encoding: zstd, gzip", b"content-encoding: \xff"),
    *(b"x: " + b"y" * 40_000, b"\r\n".join(b"x-%d: y" % n for n in range(120))),
    *(b"accept: text/html", b"accept: " + b"a/b," * 2_048, b"accept: application/json;q=0"),
    *(b"accept: ;;;;", b"accept: \xff\xfe", b"accept: " + b"application/json;q=2," * 380),
    *(b"origin: null", b"origin: https://[", b"sec-fetch-site: cross-site"),
]
TARGETS = [
    *(b"/graphql", b"/graphql?", b"/graphql?query", b"/graphql?query=", b"/graphql?query=%7B"),
    *(b"/graphql?query=%FF", b"/graphql?query=%00", b"/graphql?query={hello}&query={hello}"),
    *(b"/graphql?query={hello}&variables=%7B", b"/graphql?query={hello}&variables=[]", b"/graphql?query={no}"),
    *(b"/graphql?query={hello}&variables=NaN", b"/graphql?query={hello}&operationName=B"),
    *(b"/graphql?query={hello}&extensions=1", b"/graphql?query=%ED%A0%80", b"/graphql?query=%C0%AF"),
    *(b"/graphql?query=mutation{signOut}", b"/graphql?" + b"&".join(b"a%d=b" % n for n in range(30))),
    *(b"/graphql?query=" + b"x" * 9_000, b"/graphql?documentId=%20", b"/graphql?documentId=a&doc_id=b"),
    *(b"/graphql/%00", b"/graphql/%2e%2e%2f", b"/graphql/a/b/c", b"/graphql/" + b"a" * 300),
    *(b"/graphql/%FF", b"/graphql/a?query={hello}", b"/graphql/a?documentId=a", b"/graphql/a/%00"),
    *(b"http://evil.example/graphql?query={", b"/graphql?query=subscription{a}"),
]  # fmt: skip
WEBSOCKET = (
    b"GET /graphql HTTP/1.1\r\nconnection: upgrade\r\nupgrade: websocket\r\n"
    b"sec-websocket-version: 13\r\nsec-websocket-key: MDEyMzQ1Njc4OWFiY2RlZg==\r\n\r\n"
)
# What never becomes a request, and is answered by whoever speaks HTTP.
BROKEN = [
    *(b"GARBAGE\r\n\r\n", b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03" + bytes(40), b"\x00" * 64),
    *(b"GET\r\n\r\n", b"GET /graphql\r\n\r\n", b"GET /graphql HTTP/9.9\r\n\r\n", b"get / HTTP/1.1\r\n\r\n"),
    *(b"GET /graphql HTTP/1.1\r\nhost x\r\n\r\n", b"GET /graphql HTTP/1.1\r\n: x\r\n\r\n"),
    *(b"GET /graphql HTTP/1.1\r\nho st: x\r\n\r\n", b"GET /graphql HTTP/1.1\r\nx: a\x00b\r\n\r\n"),
    *(b"GET /graphql\xff HTTP/1.1\r\nhost: x\r\n\r\n", b"GET /gra phql HTTP/1.1\r\nhost: x\r\n\r\n"),
    HEAD + b"content-length: -1\r\n\r\n",
    HEAD + b"content-length: 1e3\r\n\r\n",
    HEAD + b"content-length: 5\r\ncontent-length: 6\r\n\r\nabcdef",
    HEAD + b"content-length: " + b"9" * 40 + b"\r\n\r\n",
    HEAD + b"content-length: 5\r\ntransfer-encoding: chunked\r\n\r\n0\r\n\r\n",
    HEAD + b"transfer-encoding: gzip\r\n\r\n",
    chunked(b"zz\r\n"),
    chunked(b"-5\r\nabcde\r\n0\r\n\r\n"),
    chunked(b"5\r\nabcdefgh\r\n0\r\n\r\n"),
    chunked(b"f" * 20 + b"\r\n"),
    chunked(b"1;" + b"x" * 20 + b"\x00\r\na\r\n0\r\n\r\n"),
    b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
    b"GET /graphql HTTP/1.1\r\nx: " + b"y" * 1_000_000,  # no end of it
    b"GET /graphql HTTP/1.1\r\n" + b"x: y\r\n" * 100_000,
    b"GET /" + b"a" * 1_000_000,
    *(b"GET /graphql HTTP/1.1\r\nx: y\r\n\r\n", b"GET / HTTP/1.1\r\nhost: x\r\nhost: x\r\n\r\n"),
    *(b"GET / HTTP/1.0\r\nhost: x\r\nHost: y\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a/b\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nhost: a b\r\n\r\n", b"GET / HTTP/1.1\r\nhost: a@b\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nhost: x:y\r\n\r\n", b"GET / HTTP/1.1\r\nhost: [::1\r\n\r\n"),
    *(b"GET / HTTP/1.1\r\nhost: x, y\r\n\r\n", b"GET / HTTP/1.1\r\nhost: \xff\r\n\r\n"),
    WEBSOCKET,
    WEBSOCKET.replace(b"\r\n\r\n", b"\r\nhost: x\r\nhost: x\r\n\r\n"),
]  # fmt: skip


def requests() -> Iterator[bytes]:
    yield from (post(body) for body in BODIES)
    yield from (post(asking(value)) for value in VALUES)
    yield from (
        HEAD.replace(b"application/json", kind) + b"content-length: 19\r\n\r\n" + GOOD
        for kind in TYPES
    )
    yield from (post(GOOD, line) for line in LINES)
    yield from (get(target) for target in TARGETS)
    yield from (
        chunked(b"5\r\n" + body[:5] + b"\r\n0\r\n\r\n") for body in (GOOD, b"[[[[[", b"12345")
    )
    yield HEAD.replace(b"POST", b"PUT") + b"content-length: 0\r\n\r\n"
    yield HEAD.replace(b"POST", b"DELETE") + b"\r\n"
    yield HEAD.replace(b"POST", b"QUERY") + b"content-length: 0\r\n\r\n"
    yield post(b" " * 1_100_000)
    yield from BROKEN


REQUESTS = list(requests())


async def exchanged(address: str, request: bytes) -> tuple[int, bytes, bytes]:
    """Status, head and body of the answer, whose connection is then closed."""
    reader, writer = await asyncio.open_connection("127.0.0.1", int(address.rpartition(":")[2]))
    try:
        writer.write(request)
        async with asyncio.timeout(10):
            head = await reader.readuntil(b"\r\n\r\n")
            lines = head.lower().split(b"\r\n")
            length = next(int(x[15:]) for x in lines if x.startswith(b"content-length:"))
            return int(head.split()[1]), head, await reader.readexactly(length)
    finally:
        writer.close()


def test_there_are_two_hundred_of_them() -> None:
    assert len(REQUESTS) >= 200
    assert len(set(REQUESTS)) == len(REQUESTS)


@pytest.mark.parametrize("start", range(0, len(REQUESTS), 40))
async def test_what_is_malformed_is_refused_in_json(server: str, start: int) -> None:
    for request in REQUESTS[start : start + 40]:
        status, head, body = await exchanged(server, request)

        shown = request[:120], status, body[:200]
        said = json.loads(body)
        assert 400 <= status < 500, shown
        for error in said["errors"]:
            assert error["message"], shown
            assert error["extensions"]["code"], shown
            assert error["extensions"]["traceId"], shown
        assert "data" not in said, shown
        assert b"content-type: application/" in head, shown


async def test_the_server_goes_on_as_before(server: str) -> None:
    status, _, body = await exchanged(server, post(GOOD))
    assert (status, json.loads(body)) == (200, {"data": {"hello": "hello world"}})


async def test_what_is_no_http_says_nothing_in_the_log(
    server: str, caplog: pytest.LogCaptureFixture
) -> None:
    for request in (*BROKEN[:3], WEBSOCKET.replace(b"websocket", b"h2c"), get(b"/")):
        await exchanged(server, request)
    assert caplog.records == []


@pytest.mark.parametrize(
    "host",
    [
        *("x", "x:8000", "127.0.0.1:80", "[::1]:8000", "[fe80::1]", "[fe80::1%25en0]"),
        *("a_b-c.example", "", "x:", "x \t"),
    ],
)
@pytest.mark.parametrize("version", ["1.0", "1.1"])
async def test_whatever_names_a_host_is_taken(server: str, host: str, version: str) -> None:
    request = f"GET /graphql?query={{hello}} HTTP/{version}\r\nHost: {host}\r\n\r\n"
    assert (await exchanged(server, request.encode()))[0] == 200


async def test_of_before_http_1_1_no_host_is_asked(server: str) -> None:
    assert (await exchanged(server, b"GET /graphql?query={hello} HTTP/1.0\r\n\r\n"))[0] == 200


async def test_an_absolute_target_is_that_path_here(server: str) -> None:
    target = b"http://evil.example/graphql?query={hello}"
    assert (await exchanged(server, get(target)))[0] == 200


async def test_a_body_that_turns_out_to_be_none_is_refused_while_it_is_read(server: str) -> None:
    """The application waits for the rest of it, which never comes."""
    whole = chunked(b"5\r\n" + GOOD[:5] + b"\r\nzz\r\n")
    status, head, body = await exchanged(server, whole)
    assert (status, json.loads(body)["errors"][0]["extensions"]["code"]) == (400, "BAD_REQUEST")
    assert b"connection: close" in head


@pytest.mark.parametrize("before", [1, 3])
async def test_what_was_asked_before_garbage_is_answered_and_nothing_after(
    server: str, before: int
) -> None:
    reader, writer = await asyncio.open_connection("127.0.0.1", int(server.rpartition(":")[2]))
    writer.write(post(GOOD) * before + b"GARBAGE\r\n\r\n" + post(GOOD))
    async with asyncio.timeout(10):
        answered = await reader.read()
    writer.close()
    assert answered.count(b"HTTP/1.1 200 ") == answered.count(b"HTTP/1.1 ") == before


async def test_who_never_ends_a_head_is_let_go() -> None:
    class Hasty(HttpProtocol):
        head_s_max = 0.05

    async with served(a_view(Journal()), Hasty) as address:
        for begun, answered in ((b"", b""), (b"POST /graphql HTTP/1.1\r\nhost:", b" 408 ")):
            port = int(address.rpartition(":")[2])
            reader, writer = await asyncio.open_connection("127.0.0.1", port)
            writer.write(begun)
            async with asyncio.timeout(5):
                answer = await reader.read()
            writer.close()
            assert answered in answer
            assert (b'"code":"TIMEOUT"' in answer) is bool(begun)
        assert (await exchanged(address, post(GOOD)))[0] == 200
