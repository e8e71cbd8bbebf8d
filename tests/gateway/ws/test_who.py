"""Whose a socket is, which page may open one, and how it ends with the session."""

import asyncio
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import pytest
import websockets

from domain.identity import Role
from gateway.websocket.connection import Socket
from tests.gateway.http.served import until
from tests.gateway.ws.served import ALLOWED_ORIGIN, Journal, Served, Talk, closed, served


@pytest.mark.parametrize("name", ["authorization", "Authorization"])
async def test_a_token_in_the_greeting_says_who_somebody_is(server: Served, name: str) -> None:
    server.journal.let_in("good")
    async with server.connected() as socket:
        talk = Talk(socket)
        await talk.say("connection_init", payload={name: "Bearer good", "more": 1})
        assert await talk.next() == {"type": "connection_ack"}
        said = await talk.ask("{ me }")

    assert said[0]["payload"] == {"data": {"me": str(server.journal.tokens["good"].actor.user_id)}}


async def test_a_native_client_may_say_it_in_a_header(server: Served) -> None:
    server.journal.let_in("good")
    headers = {"authorization": "Bearer good"}
    async with server.greeted(additional_headers=headers) as talk:
        assert "errors" not in (await talk.ask("{ me }"))[0]["payload"]


async def test_the_cookie_says_who_somebody_is_and_a_token_is_worth_more(server: Served) -> None:
    server.journal.let_in("cookies")
    server.journal.let_in("tokens")
    headers = {"cookie": "other=1; dashtam=cookies"}
    for token, whose in ((None, "cookies"), ("tokens", "tokens")):
        async with server.greeted(token, additional_headers=headers) as talk:
            said = await talk.ask("{ me }")
        assert said[0]["payload"]["data"]["me"] == str(server.journal.tokens[whose].actor.user_id)


async def test_credentials_that_are_no_good_end_the_socket(server: Served) -> None:
    async with server.connected() as socket:
        talk = Talk(socket)
        await talk.say("connection_init", payload={"authorization": "Bearer stolen"})
        assert await talk.closed() == (4401, "the session is over")


async def test_where_nobody_can_look_clients_come_back_later(server: Served) -> None:
    server.journal.down = True
    async with server.connected() as socket:
        await Talk(socket).say("connection_init", payload={"authorization": "Bearer good"})
        assert (await closed(socket))[0] == 1013


# ── pages of other sites ────────────────────────────────────────────────────

COOKIE = {"cookie": "dashtam=good"}


def host(server: Served) -> str:
    return server.url.removeprefix("ws://").removesuffix("/graphql")


async def test_a_page_of_another_site_may_not_ride_on_the_cookie(server: Served) -> None:
    server.journal.let_in("good")
    for origin in (
        "https://evil.example",
        "null",
        "http://127.0.0.1:1",
        "http://localhost:8000",  # another host than the one that was asked
        f"http://{host(server)}.evil.example",
        f"http://evil.example/{host(server)}",
        ALLOWED_ORIGIN.replace("https", "http"),
        "https://app.example.evil.example",
        "file://",
        "",
    ):
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with server.connected(origin=origin, additional_headers=COOKIE):
                pass
        assert refused.value.response.status_code == 403, origin
    assert server.journal.looks == 0


async def test_our_own_page_and_those_we_allow_may(server: Served) -> None:
    server.journal.let_in("good")
    for origin in (f"http://{host(server)}", ALLOWED_ORIGIN, None):
        async with server.greeted(origin=origin, additional_headers=COOKIE) as talk:
            assert "errors" not in (await talk.ask("{ me }"))[0]["payload"]


async def test_the_same_machine_by_another_name_is_its_own_origin(server: Served) -> None:
    """A browser on http://localhost says so in both headers; its cookie is localhost's own."""
    server.journal.let_in("good")
    by_name = server.url.replace("127.0.0.1", "localhost")
    name, address = (f"http://{host}:{server.port}" for host in ("localhost", "127.0.0.1"))
    for url, origin, is_open in (
        (by_name, name, True),
        (by_name, address, False),
        (server.url, name, False),
        (server.url, address, True),
    ):
        connecting = websockets.connect(
            url,
            subprotocols=[websockets.Subprotocol("graphql-transport-ws")],
            origin=websockets.Origin(origin),
            additional_headers=COOKIE,
        )
        if is_open:
            async with connecting as socket:
                await Talk(socket).say("connection_init")
                assert await Talk(socket).next() == {"type": "connection_ack"}
            continue
        with pytest.raises(websockets.InvalidStatus):
            await connecting


async def test_fetch_metadata_is_believed_before_the_origin(server: Served) -> None:
    server.journal.let_in("good")
    ours = f"http://{host(server)}"
    for site, origin, is_open in (
        ("same-origin", "https://behind.a.proxy", True),
        ("cross-site", ours, False),
        ("same-site", ours, False),
        ("cross-site", ALLOWED_ORIGIN, True),
    ):
        headers = COOKIE | {"sec-fetch-site": site}
        if is_open:
            async with server.greeted(origin=origin, additional_headers=headers):
                pass
            continue
        with pytest.raises(websockets.InvalidStatus) as refused:
            async with server.connected(origin=origin, additional_headers=headers):
                pass
        assert refused.value.response.status_code == 403


async def test_a_page_of_another_site_needs_a_token(server: Served) -> None:
    server.journal.let_in("good")
    async with server.greeted("good", origin="https://evil.example") as talk:
        assert "errors" not in (await talk.ask("{ me }"))[0]["payload"]
    async with server.connected(origin="https://evil.example") as socket:
        await Talk(socket).say("connection_init")
        assert await closed(socket) == (4403, "this site may not open sockets here")


# ── the end of a session ────────────────────────────────────────────────────


async def test_a_session_that_ends_closes_its_sockets_at_once_and_no_other(
    server: Served,
) -> None:
    ending, _ = server.journal.let_in("mine"), server.journal.let_in("another")
    async with (
        server.greeted("mine") as one,
        server.greeted("mine") as two,
        server.greeted("another") as other,
        server.greeted() as nobody,
    ):
        await one.subscribe("subscription { silent }")
        await until(lambda: server.journal.entries == ["silence begins"])

        server.connections.ended(ending)

        assert await one.closed(within_s=1) == (4401, "the session is over")
        assert await two.closed(within_s=1) == (4401, "the session is over")
        await until(lambda: server.journal.entries[-1] == "silence ends")
        for talk in (other, nobody):
            assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def test_what_ended_the_session_is_answered_before_the_socket_closes(
    server: Served,
) -> None:
    server.journal.let_in("mine")
    async with server.greeted("mine") as talk:
        said = await talk.ask(f'mutation {{ endSession(server: "{server.port}") }}')

        assert said[0]["payload"] == {"data": {"endSession": True}}
        assert (await talk.closed(within_s=1))[0] == 4401


async def test_what_takes_its_time_is_not_waited_for_when_the_session_ends(
    server: Served,
) -> None:
    session_id = server.journal.let_in("mine")
    async with server.greeted("mine") as talk:
        await talk.subscribe("{ held }")
        await until(lambda: server.journal.entries == ["held begins"])
        server.connections.ended(session_id)
        assert (await talk.closed(within_s=1))[0] == 4401
    await until(lambda: server.journal.entries[-1] == "held is cancelled")


async def test_once_the_session_is_over_nothing_new_is_begun(server: Served) -> None:
    session_id = server.journal.let_in("mine")
    async with server.greeted("mine") as talk:
        await talk.subscribe("{ held }", "1")
        await talk.subscribe("subscription { silent }", "2")
        await until(lambda: len(server.journal.entries) == 2)
        server.connections.ended(session_id)
        await talk.subscribe('mutation { write(what: "it") }', "3")
        assert (await talk.closed(within_s=1))[0] == 4401

    await server.until_idle()
    assert server.journal.entries[2:] == ["silence ends", "held is cancelled"]


async def test_news_that_may_have_been_missed_are_asked_for(server: Served) -> None:
    server.journal.let_in("mine")
    server.journal.let_in("another")
    async with server.greeted("mine") as one, server.greeted("another") as other:
        del server.journal.tokens["mine"]
        server.connections.ended(None)
        assert (await one.closed(within_s=1))[0] == 4401
        assert (await other.ask("{ hello }"))[1]["type"] == "complete"


async def test_whoever_has_changed_is_asked_again_and_known_anew_on_their_sockets_alone(
    server: Served,
) -> None:
    for token in ("mine", "another", "ended"):
        server.journal.let_in(token)
    async with (
        server.greeted("mine") as mine,
        server.greeted("another") as another,
        server.greeted("ended") as ended,
    ):
        await until(lambda: server.journal.looks == 6)
        tokens = server.journal.tokens
        tokens["another"] = replace(
            tokens["another"], actor=replace(tokens["another"].actor, role=Role.READONLY)
        )
        gone = tokens.pop("ended").actor
        for actor in (tokens["another"].actor, gone):
            server.connections.ask_again(actor.user_id)

        assert (await ended.closed(within_s=1))[0] == 4401
        assert server.journal.looks == 8
        assert await roles(server) == {Role.USER, Role.READONLY}
        for talk in (mine, another):
            assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def roles(server: Served) -> set[Role]:
    """Of those whose sockets are open."""
    sockets = [s for s in server.connections._open if isinstance(s, Socket)]
    return {socket.admitted.actor.role for socket in sockets if socket.admitted}


@pytest.mark.parametrize("turns", range(6))
async def test_a_client_that_leaves_as_news_come_leaves_nothing_behind(turns: int) -> None:
    journal = Journal()
    journal.let_in("mine")
    async with served(journal) as server, server.greeted("mine"):
        await until(lambda: journal.looks == 2)
        [socket] = server.connections._open
        assert isinstance(socket, Socket)
        assert socket._watch is not None
        socket.look_again()
        for _ in range(turns):
            await asyncio.sleep(0)
        await socket._watch.close()  # as `run` does it
        looking = socket._watch._looking
        assert looking is None or looking.done()
        assert socket._watch._timer is None
        socket.look_again()
        assert socket._watch._looking is looking


async def test_while_no_news_arrive_it_is_asked_again_and_again() -> None:
    journal = Journal(hears=False)
    journal.let_in("mine")
    async with served(journal, look_deaf_s=0.1) as server, server.greeted("mine") as talk:
        await until(lambda: journal.looks > 4)
        del journal.tokens["mine"]
        assert (await talk.closed(within_s=1))[0] == 4401


async def test_while_news_arrive_it_is_hardly_ever_asked(server: Served) -> None:
    server.journal.let_in("mine")
    async with server.greeted("mine"):
        await asyncio.sleep(0.3)
        assert server.journal.looks == 2  # in the greeting, and right after it


async def test_a_socket_ends_with_the_token_that_opened_it(server: Served) -> None:
    server.journal.let_in("mine", until=datetime.now(UTC) + timedelta(seconds=0.5))
    async with server.greeted("mine") as talk:
        began = time.monotonic()
        await talk.subscribe("subscription { silent }")
        assert await talk.closed(within_s=2) == (4401, "the session is over")
        assert time.monotonic() - began < 1.5


async def test_a_session_that_lives_on_keeps_its_socket(server: Served) -> None:
    server.journal.let_in("mine", until=datetime.now(UTC) + timedelta(seconds=0.3))
    async with server.greeted("mine") as talk:
        session = server.journal.tokens["mine"]
        server.journal.tokens["mine"] = type(session)(
            actor=session.actor, until=datetime.now(UTC) + timedelta(hours=1)
        )
        await asyncio.sleep(0.6)
        assert (await talk.ask("{ hello }"))[1]["type"] == "complete"


async def test_while_the_database_is_away_a_socket_stays_until_its_token_ends() -> None:
    journal = Journal(hears=False)
    journal.let_in("mine", until=datetime.now(UTC) + timedelta(seconds=1))
    async with served(journal, look_deaf_s=0.05) as server, server.greeted("mine") as talk:
        journal.down = True
        await until(lambda: journal.looks > 5)
        assert (await talk.ask("{ hello }"))[1]["type"] == "complete"
        assert (await talk.closed(within_s=3))[0] == 1013
