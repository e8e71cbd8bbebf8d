"""How long a stream goes on: heartbeats, the end of a session, a drain, clients that leave."""

import asyncio
import signal
import time
from contextlib import AsyncExitStack
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.identity import Role
from gateway.auth import Admitted
from gateway.sse.stream import EventStream
from tests.gateway.http.served import SECRET, until
from tests.gateway.sse.raw import raw
from tests.gateway.sse.served import COMPLETE, Served, Stream, served
from tests.gateway.ws.served import ALLOWED_ORIGIN, Journal

SILENT = "subscription { silent }"


def code_of(said: Any) -> str:
    assert said is not None
    assert said.event == "next"
    [error] = said.data["errors"]
    assert error["extensions"]["traceId"]
    return str(error["extensions"]["code"])


async def ended_for_good(stream: Stream, *, within_s: float = 1) -> str:
    """The code with which it was ended."""
    *_, told, end = await stream.rest(within_s=within_s)
    assert end == COMPLETE
    return code_of(told)


# ── heartbeats ──────────────────────────────────────────────────────────────


async def test_a_stream_in_which_nothing_happens_is_kept_awake() -> None:
    async with served(heartbeat_s=0.05) as server, server.stream(SILENT) as stream:
        assert (await stream.any()) is not None  # when to come back
        for _ in range(3):
            said = await stream.any(within_s=1)
            assert said is not None
            assert said.is_heartbeat
        server.journal.go_on.set()
        assert [said.event for said in await stream.rest()] == ["next", "complete"]


# ── whose it is ─────────────────────────────────────────────────────────────


async def test_the_cookie_says_who_somebody_is_on_pages_of_ours_only(server: Served) -> None:
    server.journal.let_in("good")
    mine = "subscription { mine }"
    host = f"http://127.0.0.1:{server.port}"
    for origin, site in (
        ({"origin": host}, None),
        ({"origin": ALLOWED_ORIGIN}, None),
        ({}, "same-origin"),
        ({"origin": "https://behind.a.proxy"}, "same-origin"),
    ):
        headers = {"cookie": "dashtam=good", **origin, **({"sec-fetch-site": site} if site else {})}
        assert [s.event for s in await server.said(mine, by="GET", headers=headers)] == [
            "next",
            "complete",
        ]
    for foreign in (
        {"origin": "https://evil.example"},
        {"origin": "null"},
        {"origin": host, "sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "cross-site"},
        {"sec-fetch-site": "same-site"},
        {},  # an old browser's, which would say nothing of who sends it
    ):
        headers = {"cookie": "dashtam=good", **foreign}
        refused = await server.refused(mine, by="GET", headers=headers)
        assert refused.status_code == 403


async def test_a_session_that_ends_ends_its_streams_at_once_and_no_other(server: Served) -> None:
    ending, _ = server.journal.let_in("mine"), server.journal.let_in("another")
    async with (
        server.stream(SILENT, "mine") as one,
        server.stream("subscription { ticks }", "mine") as two,
        server.stream(SILENT, "another") as other,
        server.stream(SILENT) as nobody,
    ):
        await until(lambda: server.journal.entries.count("silence begins") == 3)
        began = time.monotonic()
        server.connections.ended(ending)
        assert await ended_for_good(one) == "UNAUTHENTICATED"
        assert await ended_for_good(two) == "UNAUTHENTICATED"
        assert time.monotonic() - began < 1
        await until(lambda: "silence ends" in server.journal.entries)
        server.journal.go_on.set()
        for stream in (other, nobody):
            assert [said.event for said in await stream.rest()] == ["next", "complete"]


async def test_who_has_changed_is_asked_again_and_known_anew(server: Served) -> None:
    server.journal.let_in("mine")
    server.journal.let_in("ended")
    async with server.stream(SILENT, "mine"), server.stream(SILENT, "ended") as ended:
        await until(lambda: server.journal.looks == 4)
        tokens = server.journal.tokens
        mine = replace(tokens["mine"].actor, role=Role.READONLY)
        tokens["mine"] = replace(tokens["mine"], actor=mine)
        gone = tokens.pop("ended").actor
        for actor in (mine, gone):
            server.connections.ask_again(actor.user_id)
        assert await ended_for_good(ended) == "UNAUTHENTICATED"
        await until(lambda: len(server.connections) == 1)
        [stream] = server.connections._open
        assert isinstance(stream, EventStream)
        assert stream._watch is not None
        assert stream._watch.admitted.actor.role is Role.READONLY


async def test_whoever_never_got_a_stream_is_not_watched() -> None:
    async with served(deadline_s=0.2, look_s=0.01) as server:
        server.journal.let_in("mine")
        refused = asyncio.create_task(server.refused("subscription { late }", "mine"))
        await until(lambda: "it is late" in server.journal.entries)
        server.connections.ended(None)
        assert (await refused).status_code == 503
        looks = server.journal.looks
        assert looks > 1
        await asyncio.sleep(0.05)
        assert server.journal.looks == looks


async def test_what_cannot_be_asked_for_a_bug_of_ours_ends_the_stream(server: Served) -> None:
    server.journal.let_in("mine")
    async with server.stream(SILENT, "mine") as stream:
        await until(lambda: server.journal.looks == 2)
        server.journal.tokens["mine"] = object()  # type: ignore[assignment]  # no look survives it
        server.connections.ended(None)
        told, *_ = await stream.rest(within_s=1)
        assert code_of(told) == "UNAVAILABLE"


async def test_whoever_is_let_in_as_the_drain_begins_is_sent_away() -> None:
    class Draining(dict[str, Admitted]):
        def get(self, token: str, *_: Any) -> Any:
            server.connections.drain(0)
            return self[token]

    async with served() as server:
        server.journal.let_in("mine")
        server.journal.tokens = Draining(server.journal.tokens)
        assert (await server.refused(SILENT, "mine")).status_code == 503
        assert not len(server.connections)


async def test_news_that_may_have_been_missed_are_asked_for(server: Served) -> None:
    server.journal.let_in("mine")
    server.journal.let_in("another")
    async with server.stream(SILENT, "mine") as one, server.stream(SILENT, "another") as other:
        del server.journal.tokens["mine"]
        server.connections.ended(None)
        assert await ended_for_good(one) == "UNAUTHENTICATED"
        server.journal.go_on.set()
        assert (await other.rest())[-1] == COMPLETE


async def test_a_stream_ends_with_the_token_that_opened_it(server: Served) -> None:
    server.journal.let_in("mine", until=datetime.now(UTC) + timedelta(seconds=0.3))
    async with server.stream(SILENT, "mine") as stream:
        assert await ended_for_good(stream, within_s=1.3) == "UNAUTHENTICATED"


async def test_while_the_database_is_away_it_stays_until_its_token_ends() -> None:
    journal = Journal(hears=False)
    journal.let_in("mine", until=datetime.now(UTC) + timedelta(seconds=0.4))
    async with served(journal, look_deaf_s=0.05) as server, server.stream(SILENT, "mine") as stream:
        journal.down = True
        await until(lambda: journal.looks > 5)
        [said] = await stream.rest(within_s=2)  # without `complete`: it may come back
        assert code_of(said) == "UNAVAILABLE"


# ── the end of the process ──────────────────────────────────────────────────


async def test_a_drain_says_when_to_come_back_and_not_to_all_the_same() -> None:
    async with served() as server, AsyncExitStack() as opened:
        streams = [await opened.enter_async_context(server.stream(SILENT)) for _ in range(20)]
        for stream in streams:
            await stream.any()
        began = time.monotonic()
        server.connections.drain(0.5)
        last = [await stream.any() for stream in streams]
        assert time.monotonic() - began < 2
        assert [await stream.any() for stream in streams] == [None] * 20  # not `complete`
        waits = {said.retry_ms for said in last if said is not None}
        assert len(waits) > 10
        assert all(wait is not None and 1_000 <= wait <= 4_000 for wait in waits)
        await server.until_idle()

        refused = await server.refused(SILENT)
        assert refused.status_code == 503
        assert refused.headers["retry-after"] == "1"


async def test_a_process_that_is_told_to_end_ends_though_streams_are_open() -> None:
    async with served() as server, server.stream(SILENT) as stream:
        server.server.handle_exit(signal.SIGTERM, None)
        assert await stream.rest(within_s=2) == []
        await until(lambda: not server.server.server_state.tasks)


# ── clients that leave, or do not read ──────────────────────────────────────


async def test_many_streams_come_and_go_and_nothing_stays() -> None:
    async with served() as server:
        await server.said("{ hello }")
        tasks = len(asyncio.all_tasks())
        for _ in range(4):
            async with AsyncExitStack() as opened:
                for number in range(30):
                    query = SILENT if number % 2 else "subscription { ticks }"
                    await opened.enter_async_context(raw(server, query))
                await until(lambda: len(server.connections) == 30)
            await server.until_idle()
        assert server.live.subscriptions._free == server.live.limits.subscriptions
        begun, ended = (sum(word in e for e in server.journal.entries) for word in ("begin", "end"))
        assert begun == ended > 60
        await until(lambda: len(asyncio.all_tasks()) <= tasks + 2)


async def test_a_client_that_is_gone_before_the_first_event_leaves_nothing(
    server: Served,
) -> None:
    async with raw(server, SILENT) as client:
        await until(lambda: server.journal.entries == ["silence begins"])
        client.abort()
        await until(lambda: server.journal.entries == ["silence begins", "silence ends"])


async def test_whoever_reads_nothing_is_let_go_and_holds_up_nobody() -> None:
    async with served(send_s=0.3, slow_s=0.2) as server:
        async with raw(server, "subscription { wide(characters: 100000) }"):
            await until(lambda: len(server.journal.contexts) > 5)
            assert (await server.said("{ hello }"))[-1] == COMPLETE
            made = len(server.journal.contexts)
            await server.until_idle()
            assert len(server.journal.contexts) < made + 200  # nothing was made to pile up
        await until(lambda: not server.server.server_state.tasks)


async def test_a_slow_reader_is_told_why_once_it_reads_again() -> None:
    async with (
        served(send_s=0.3, slow_s=5) as server,
        raw(server, "subscription { wide(characters: 100000) }", room=1 << 18) as client,
    ):
        await until(lambda: bool(_ending(server)))
        *events, told = await client.events()
        assert all(set(said.data) == {"data"} for said in events)
        assert code_of(told) == "RATE_LIMITED"
        await server.until_idle()


def _ending(server: Served) -> list[bool]:
    streams = [s for s in server.connections._open if isinstance(s, EventStream)]
    return [stream._ending.done() for stream in streams if stream._ending.done()]


async def test_a_second_request_behind_a_stream_waits_until_it_is_over(server: Served) -> None:
    async with raw(server, SILENT) as client:
        await client.ask("{ hello }")
        await until(lambda: server.journal.entries == ["silence begins"])
        server.journal.go_on.set()
        text = await client.text(until="hello world")
        assert text.index("complete") < text.index("hello world")


async def test_an_old_client_gets_a_stream_that_ends_with_the_connection(server: Served) -> None:
    async with raw(server, "subscription { count(to: 2) }", version="1.0") as client:
        text = await client.text()
    assert text.count("event: next") == 2
    assert text.endswith(("event: complete\ndata:\n\n", "0\r\n\r\n"))


async def test_a_bug_shows_nothing(server: Served) -> None:
    said = await server.said("subscription { breaks }")
    assert SECRET not in repr(said)
    assert said[-2].data["errors"][0]["extensions"]["incident"]


# ── how many ────────────────────────────────────────────────────────────────


async def test_one_user_has_so_many_streams_and_others_theirs() -> None:
    async with served(sockets_each=2) as server:
        server.journal.let_in("mine")
        server.journal.let_in("another")
        async with server.stream(SILENT, "mine"), server.stream(SILENT, "mine"):
            refused = await server.refused(SILENT, "mine")
            assert refused.status_code == 429
            assert int(refused.headers["retry-after"]) > 0
            async with server.stream(SILENT, "another"), server.stream(SILENT):
                pass
        await server.until_idle()
        async with server.stream(SILENT, "mine"):
            pass


@pytest.mark.parametrize("limits", [{"sockets": 2}, {"subscriptions": 2}])
async def test_there_are_so_many_streams_in_a_process_and_no_more(limits: dict[str, Any]) -> None:
    async with served(**limits) as server:
        async with server.stream(SILENT), server.stream(SILENT):
            refused = await server.refused(SILENT)
            assert refused.status_code == 503
            assert int(refused.headers["retry-after"]) > 0
            assert (await server.said("{ hello }"))[-1] == COMPLETE
        await server.until_idle()
        async with server.stream(SILENT):
            pass


async def test_what_is_refused_as_it_begins_gives_all_back(server: Served) -> None:
    for _ in range(3):
        assert (await server.said("subscription ($n: Int!) { count(to: $n) }"))[-1] == COMPLETE
        assert (await server.said("subscription { mine }"))[-1] == COMPLETE
    await server.until_idle()
    assert server.live.subscriptions._free == server.live.limits.subscriptions
