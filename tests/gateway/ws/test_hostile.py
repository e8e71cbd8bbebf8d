"""Messages that nobody well-meaning sends, and clients that do not read."""

import asyncio
import json
import socket as sockets
from collections.abc import Awaitable
from typing import Any, cast

import pytest
import websockets

from gateway.websocket.connection import Socket
from tests.gateway.http.served import SECRET, until
from tests.gateway.ws.served import PROTOCOL, Served, Talk, closed, served

INVALID = {
    "no JSON": "{",
    "nothing": "",
    "null": "null",
    "a number": "1",
    "a string": '"ping"',
    "a list": '[{"type": "ping"}]',
    "no type": "{}",
    "another type": '{"type": "start"}',
    "a type that is a number": '{"type": 1}',
    "a type that is an object": '{"type": {}}',
    "a server's type": '{"type": "next", "id": "1", "payload": {}}',
    "NaN": '{"type": "ping", "payload": {"a": NaN}}',
    "a key twice": '{"type": "ping", "type": "pong"}',
    "a long integer": '{"type": "ping", "payload": {"a": 99999999999999999999}}',
    "deep": '{"type": "ping", "payload": {"a": ' + "[" * 100 + "]" * 100 + "}}",
    "very deep": '{"type": "ping", "payload": ' + '{"a":' * 50_000 + "1" + "}" * 50_001,
    "NUL": '{"type": "ping", "payload": {"a": "\\u0000"}}',
    "half a pair": '{"type": "ping", "payload": {"a": "\\ud83d"}}',
    "a payload that is none": '{"type": "ping", "payload": "x"}',
    "a greeting that is none": '{"type": "connection_init", "payload": [1]}',
    "a number for a token": '{"type": "connection_init", "payload": {"authorization": 1}}',
    "two tokens": '{"type": "connection_init", "payload":'
    ' {"authorization": "Bearer a", "Authorization": "Bearer b"}}',
}
AFTERWARDS = {
    "no id": {"payload": {"query": "{ hello }"}},
    "a number as id": {"id": 1, "payload": {"query": "{ hello }"}},
    "an empty id": {"id": "", "payload": {"query": "{ hello }"}},
    "a long id": {"id": "x" * 129, "payload": {"query": "{ hello }"}},
    "an id that nobody can say": {"id": "\0", "payload": {"query": "{ hello }"}},
    "no payload": {"id": "1"},
    "a payload that is text": {"id": "1", "payload": "{ hello }"},
    "no query": {"id": "1", "payload": {}},
    "a query that is none": {"id": "1", "payload": {"query": 1}},
    "variables that are none": {"id": "1", "payload": {"query": "{ hello }", "variables": [1]}},
    "a name that is none": {"id": "1", "payload": {"query": "{ hello }", "operationName": {}}},
}


@pytest.mark.parametrize("text", INVALID.values(), ids=INVALID)
async def test_what_is_no_message_ends_the_socket(server: Served, text: str) -> None:
    async with server.connected() as socket:
        await socket.send(text)
        code, reason = await closed(socket)

    assert code == 4400
    assert reason
    assert SECRET not in reason


@pytest.mark.parametrize("message", AFTERWARDS.values(), ids=AFTERWARDS)
async def test_what_is_no_operation_ends_the_socket(
    server: Served, message: dict[str, Any]
) -> None:
    async with server.greeted() as talk:
        await talk.say("subscribe", **message)
        assert (await talk.closed())[0] == 4400


async def test_binary_messages_are_none_of_ours(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.socket.send(b'{"type": "ping"}')
        assert (await talk.closed())[0] == 4400


async def test_a_message_in_pieces_is_one_message(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.socket.send(iter(['{"type": "p', 'ing", "payload"', ': {"a": 1}}']))
        assert await talk.next() == {"type": "pong", "payload": {"a": 1}}


async def test_a_message_over_the_limit_ends_the_socket(server: Served) -> None:
    async with server.greeted() as talk:
        await talk.socket.send(json.dumps({"type": "ping", "payload": {"a": "x" * (1 << 20)}}))
        assert (await talk.closed())[0] == 1009


async def test_a_message_just_under_the_limit_is_taken(server: Served) -> None:
    query = "query ($n: String!) { hello(name: $n) }"
    async with server.greeted() as talk:
        said = await talk.ask(query, variables={"n": "x" * 1_000_000})

    assert len(said[0]["payload"]["data"]["hello"]) == 1_000_006


async def test_nothing_is_compressed(server: Served) -> None:
    async with server.connected(compression="deflate") as socket:
        assert socket.protocol.extensions == []


async def test_a_flood_of_pings_is_answered_one_after_the_other(server: Served) -> None:
    async with server.greeted() as talk:
        for number in range(5_000):
            await talk.say("ping", payload={"n": number})
        for number in range(5_000):
            assert (await talk.next())["payload"] == {"n": number}


async def test_a_flood_of_operations_waits_in_a_client_that_reads_no_refusal() -> None:
    async with served(send_s=2.0, operations=5) as server:
        deaf = await _deaf(server)
        await _write(deaf, {"type": "connection_init"})
        tasks = len(asyncio.all_tasks())
        query = "subscription { wide(characters: 100000) }"
        for number in range(5):
            await _write(
                deaf, {"type": "subscribe", "id": str(number), "payload": {"query": query}}
            )
        await until(lambda: len(server.journal.contexts) > 10)

        said = {"query": "{ hello }", "variables": {"a": "x" * 60_000}}
        for number in range(2_000):
            message = {"type": "subscribe", "id": f"n{number}", "payload": said}
            if not await _taken(_write(deaf, message)):
                break

        assert number < 1_000
        assert len(asyncio.all_tasks()) < tasks + 30
        deaf.close()


async def test_what_was_completed_counts_until_it_has_settled() -> None:
    async with served(operations=2) as server, server.greeted() as talk:
        for id in ("1", "2"):
            await talk.subscribe("{ unhurried }", id)
        await until(lambda: server.journal.entries == ["it begins"] * 2)
        for id in ("1", "2"):
            await talk.say("complete", id=id)
        [refused] = await talk.ask("{ hello }", "3")
        server.journal.go_on.set()
        [held] = server.connections._open
        assert isinstance(held, Socket)
        await until(lambda: not held._settling)

        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        assert (await talk.ask("{ hello }", "3"))[1]["type"] == "complete"


async def test_the_operations_of_one_socket_come_to_so_many_characters() -> None:
    async with served(characters=3_000) as server, server.greeted() as talk:
        await talk.subscribe("subscription { silent }", "s", extensions={"a": "x" * 2_000})
        [refused] = await talk.ask("{ hello }", "q", extensions={"a": "x" * 2_000})
        assert refused["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await talk.say("complete", id="s")
        answered = await talk.ask("{ hello }", "q", extensions={"a": "x" * 2_000})
        assert answered[1]["type"] == "complete"


async def test_one_socket_has_so_many_operations_and_no_more() -> None:
    async with served(operations=3) as server, server.greeted() as talk:
        for number in range(3):
            await talk.subscribe("subscription { silent }", f"s{number}")
        refused = await talk.ask("{ hello }", "q")
        assert refused[0]["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
        await talk.say("complete", id="s1")
        assert (await talk.ask("{ hello }", "q"))[1]["type"] == "complete"


async def test_queries_of_all_sockets_share_the_places_of_the_process() -> None:
    async with served(places=2) as server, server.greeted() as one, server.greeted() as two:
        await one.subscribe("{ held }", "1")
        await two.subscribe("{ held }", "2")
        await until(lambda: len(server.journal.entries) == 2)
        [refused] = await two.ask("{ hello }", "3")
        assert refused["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await two.ask("subscription { count(to: 1) }", "4"))[1]["type"] == "complete"
        server.journal.go_on.set()
        assert (await one.all_of("1"))[1]["type"] == "complete"


async def test_subscriptions_of_all_sockets_have_places_of_their_own() -> None:
    async with served(subscriptions=1) as server, server.greeted() as talk:
        await talk.subscribe("subscription { silent }", "1")
        await until(lambda: server.journal.entries == ["silence begins"])
        [refused] = await talk.ask("subscription { count(to: 1) }", "2")
        assert refused["payload"][0]["extensions"]["code"] == "UNAVAILABLE"
        assert (await talk.ask("{ hello }", "3"))[1]["type"] == "complete"


async def test_a_query_that_takes_too_long_is_cancelled_and_says_so() -> None:
    async with served(deadline_s=0.1) as server, server.greeted() as talk:
        [late] = await talk.ask("{ held }")

        assert late["payload"][0]["extensions"]["code"] == "TIMEOUT"
        assert server.journal.entries[-1] == "held is cancelled"


async def test_a_subscription_may_take_longer_than_a_query() -> None:
    async with served(deadline_s=0.1) as server, server.greeted() as talk:
        await talk.subscribe("subscription { silent }")
        await asyncio.sleep(0.3)
        server.journal.go_on.set()
        assert (await talk.all_of())[-1]["type"] == "complete"


async def test_whoever_reads_nothing_is_let_go_and_holds_up_nobody() -> None:
    async with served(send_s=0.5, slow_s=0.2) as server, server.greeted() as other:
        deaf = await _deaf(server)
        await _write(deaf, {"type": "connection_init"})
        for number in range(40):
            query = "subscription { wide(characters: 100000) }"
            await _write(
                deaf, {"type": "subscribe", "id": str(number), "payload": {"query": query}}
            )
        await until(lambda: len(server.connections) == 2)
        made = len(server.journal.contexts)

        await until(lambda: len(server.connections) == 1)  # and it is gone

        assert (await other.ask("{ hello }"))[1]["type"] == "complete"
        assert len(server.journal.contexts) < made + 200  # nothing was made to pile up
        await until(lambda: server.journal.open_contexts == 0)
        deaf.close()


async def test_a_slow_reader_is_told_why_of_each_operation_once_it_reads_again() -> None:
    async with served(send_s=0.3, slow_s=5) as server:
        deaf = await _deaf(server, room=1 << 18)
        await _write(deaf, {"type": "connection_init"})
        for id, query in (("w", "wide(characters: 60000)"), ("s", "silent")):
            payload = {"query": f"subscription {{ {query} }}"}
            await _write(deaf, {"type": "subscribe", "id": id, "payload": payload})
        [held] = server.connections._open
        assert isinstance(held, Socket)
        await until(held._ending.done)
        *_, one, two, farewell = await _frames(deaf)
        deaf.close()

    told = {said["id"]: said for said in (json.loads(one), json.loads(two))}
    assert {"w", "s"} == told.keys()
    for said in told.values():
        assert said["type"] == "error"
        assert said["payload"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert int.from_bytes(farewell[:2]) == 1013  # upon which graphql-ws's clients come back
    assert "does not read" in farewell[2:].decode()


async def _frames(deaf: sockets.socket) -> list[bytes]:
    """What the frames carry, to the one that closes it."""
    loop, data, kind, found = asyncio.get_running_loop(), b"", 0, []
    async with asyncio.timeout(10):
        while kind != 0x88:
            data += await loop.sock_recv(deaf, 1 << 20)
            while len(data) > 10 or data[:1] == b"\x88":
                kind, length, begin = data[0], data[1], 2
                if length >= 126:
                    begin = 4 if length == 126 else 10
                    length = int.from_bytes(data[2:begin])
                if len(data) < begin + length:
                    break
                found.append(data[begin : begin + length])
                data = data[begin + length :]
    return found


async def test_pings_of_a_client_that_reads_no_pong_are_not_read_either() -> None:
    ping = b"\x89\xfd" + bytes(4) + b"x" * 125
    async with served() as server:
        deaf = await _deaf(server)
        await _write(deaf, {"type": "connection_init"})
        [connection] = _connections(server)
        loop, sent = asyncio.get_running_loop(), 0
        while await _taken(loop.sock_sendall(deaf, ping * 1_000)) and sent < 500_000:
            sent += 1_000
        assert sent < 500_000
        assert connection.transport.get_write_buffer_size() < 2 << 20

        read = 0
        while read < sent * 127:
            async with asyncio.timeout(5):
                read += len(await loop.sock_recv(deaf, 1 << 20))
        deaf.close()


async def test_a_message_in_very_many_pieces_takes_no_more_room_than_one() -> None:
    async with served() as server:
        deaf = await _deaf(server)
        [connection] = _connections(server)
        loop = asyncio.get_running_loop()
        await loop.sock_sendall(deaf, b"\x01\x81" + bytes(4) + b"{")
        for _ in range(20):
            await loop.sock_sendall(deaf, (b"\x00\x80" + bytes(4)) * 1_000)
            await loop.sock_sendall(deaf, (b"\x00\x81" + bytes(4) + b" ") * 1_000)
        await until(lambda: sum(map(len, connection.frames)) == 20_001)
        assert len(connection.frames) == 1
        rest = b'"type": "ping"}'
        await loop.sock_sendall(deaf, b"\x80" + bytes([0x80 | len(rest)]) + bytes(4) + rest)
        assert b'{"type":"pong"}' in await loop.sock_recv(deaf, 1_000)
        deaf.close()


async def test_a_slow_reader_is_given_time_for_each_message() -> None:
    slow = SlowSocket(each_s=0.2)
    async with served(send_s=0.5) as server:
        socket = Socket(server.view.live, slow, is_foreign=False)  # type: ignore[arg-type]
        await asyncio.gather(*(socket.say({"type": "pong"}) for _ in range(5)))

    assert slow.said == 5


class SlowSocket:
    def __init__(self, each_s: float) -> None:
        self.each_s, self.said = each_s, 0
        self.headers, self.client = dict[str, str](), "192.0.2.1"

    async def send_text(self, text: str) -> None:
        await asyncio.sleep(self.each_s)
        self.said += 1


def _connections(server: Served) -> set[Any]:
    return cast("set[Any]", server.server.server_state.connections)


async def _taken(sending: Awaitable[None]) -> bool:
    """Whether the other side has taken it within half a second."""
    try:
        await asyncio.wait_for(sending, 0.5)
    except TimeoutError:
        return False
    return True


async def _deaf(server: Served, room: int = 4_096) -> sockets.socket:
    """A client that reads its answer to the handshake, and then nothing."""
    host, port = server.url.removeprefix("ws://").removesuffix("/graphql").split(":")
    deaf = sockets.socket()
    deaf.setsockopt(sockets.SOL_SOCKET, sockets.SO_RCVBUF, room)
    deaf.setblocking(False)
    loop = asyncio.get_running_loop()
    await loop.sock_connect(deaf, (host, int(port)))
    lines = [
        "GET /graphql HTTP/1.1",
        f"Host: {host}:{port}",
        "Upgrade: websocket",
        "Connection: Upgrade",
        "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==",
        "Sec-WebSocket-Version: 13",
        f"Sec-WebSocket-Protocol: {PROTOCOL}",
        "",
        "",
    ]
    await loop.sock_sendall(deaf, "\r\n".join(lines).encode())
    assert b" 101 " in await loop.sock_recv(deaf, 1_000)
    return deaf


async def _write(deaf: sockets.socket, message: dict[str, Any]) -> None:
    """A text frame of RFC 6455, masked with zeros."""
    body = json.dumps(message).encode()
    head = (
        bytes([0x81, 0x80 | len(body)]) if len(body) < 126 else b"\x81\xfe" + len(body).to_bytes(2)
    )
    await asyncio.get_running_loop().sock_sendall(deaf, head + bytes(4) + body)


async def test_many_sockets_come_and_go_and_nothing_stays() -> None:
    async with served() as server:

        async def come_and_go(number: int) -> None:
            async with server.greeted() as talk:
                await talk.subscribe("subscription { ticks }")
                await talk.next()
                if number % 2:
                    talk.socket.transport.abort()

        for _ in range(5):
            await asyncio.gather(*(come_and_go(number) for number in range(40)))
        await server.until_idle()


async def test_there_are_so_many_sockets_and_no_more() -> None:
    async with served(sockets=2) as server:
        async with server.greeted(), server.greeted():
            with pytest.raises(websockets.InvalidStatus) as refused:
                async with server.connected():
                    pass
            response = refused.value.response
            assert response.status_code == 503
            assert int(response.headers["retry-after"]) > 0
            [error] = json.loads(response.body)["errors"]
            assert error["extensions"]["code"] == "UNAVAILABLE"
        await server.until_idle()
        async with server.greeted() as talk:
            assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def test_strangers_of_one_address_leave_room_for_others() -> None:
    here = {"additional_headers": {"x-from": "192.0.2.1"}}
    async with served(strangers=2) as server:
        async with server.connected(**here) as one, server.connected(**here):
            with pytest.raises(websockets.InvalidStatus, match="429"):
                async with server.connected(**here):
                    pass
            async with server.greeted():
                pass
            await Talk(one).say("connection_init")
            assert await Talk(one).next() == {"type": "connection_ack"}
            async with server.connected(**here):
                pass
        await server.until_idle()


async def test_one_user_has_so_many_sockets_and_others_theirs() -> None:
    async with served(sockets_each=2) as server:
        server.journal.let_in("mine")
        server.journal.let_in("another")
        async with server.greeted("mine"), server.greeted("mine"):
            async with server.connected() as socket:
                await Talk(socket).say("connection_init", payload={"authorization": "Bearer mine"})
                assert await closed(socket) == (4429, "too many sockets")
            async with server.greeted("another"), server.greeted(), server.greeted():
                pass
        await server.until_idle()
        async with server.greeted("mine"):
            pass


async def test_signed_out_one_address_has_so_many_sockets() -> None:
    here: dict[str, Any] = {"additional_headers": {"x-from": "192.0.2.1"}}
    there: dict[str, Any] = {"additional_headers": {"x-from": "192.0.2.2"}}
    async with served(sockets_each=1) as server, server.greeted(**here):
        async with server.connected(**here) as socket:
            await Talk(socket).say("connection_init")
            assert (await closed(socket))[0] == 4429
        server.journal.let_in("mine")
        async with server.greeted(**there), server.greeted("mine", **here):
            pass


async def test_a_long_url_and_long_headers_are_refused(server: Served) -> None:
    for url, headers, status in (
        (server.url + "?a=" + "x" * 9_000, {}, 414),
        (server.url, {f"x-{n}": "x" * 1_000 for n in range(40)}, 431),
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with websockets.connect(
                url, subprotocols=[websockets.Subprotocol(PROTOCOL)], additional_headers=headers
            ):
                pass
        assert refused.value.response.status_code == status


async def test_a_bug_shows_nothing(server: Served) -> None:
    async with server.greeted() as talk:
        said = await talk.ask("{ broken }")
        assert SECRET not in json.dumps(said)
        assert said[0]["payload"]["errors"][0]["extensions"]["incident"]
