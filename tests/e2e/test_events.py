"""Events over sockets of a gateway that is another process, and what is told of each."""

import time
from typing import Any

import pytest

from schema.paging import encoded
from tests.e2e.linking import linked
from tests.e2e.listening import EVENTS, Happening, Listener
from tests.e2e.live import live_of
from tests.e2e.stack import Client, Stack

CREATE = """mutation ($input: CreateManualAccountInput!) { createManualAccount(input: $input) {
  account { id } errors { code } } }"""
DELETE = """mutation ($id: ID!) { deleteManualAccount(accountId: $id) {
  deletedId errors { code } } }"""
HOUSE = {"name": "House", "type": "OTHER", "currency": "USD", "balance": "250000.01"}


async def of_a_first_sync(stack: Stack, client: Client) -> list[dict[str, Any]]:
    """All that is told from before a link is made until its sync is complete."""
    listener = Listener(client, EVENTS)
    async with listener.connected(stack.gateway) as socket:
        await linked(client)
        while not listener.heard or listener.heard[-1]["name"] != "sync.completed":
            await listener.hear(socket, len(listener.heard) + 1)
    return listener.heard


async def test_what_a_sync_does_is_told_with_what_it_is_about(stack: Stack, alice: Client) -> None:
    heard = await of_a_first_sync(stack, alice)

    first = {event["__typename"]: event for event in reversed(heard)}
    assert set(first) == {
        "SyncEvent",
        "LinkEvent",
        "BalanceEvent",
        "HoldingsEvent",
        "NetWorthEvent",
    }
    assert first["LinkEvent"]["link"]["provider"] == {"slug": "sandbox"}
    assert first["SyncEvent"]["run"]["trigger"] == "CONNECT"
    assert heard[-1]["run"]["status"] == "SUCCEEDED"
    assert heard[-1]["run"]["transactions"]["created"] > 400
    assert len([e for e in heard if e["__typename"] == "BalanceEvent"]) == 6
    assert first["BalanceEvent"]["previous"] is None
    assert first["BalanceEvent"]["account"]["name"]
    assert first["HoldingsEvent"]["counts"]["created"] > 0
    worth = [e for e in heard if e["__typename"] == "NetWorthEvent"][-1]
    viewer = await alice.ask("{ netWorth { total { amount currency } } }")
    assert worth["current"] == viewer["netWorth"]["total"]
    categories = {event["name"].partition(".")[0]: event["category"] for event in heard}
    assert categories == {
        "link": "PROVIDER",
        "sync": "SYNC",
        "account": "PORTFOLIO",
        "networth": "PORTFOLIO",
    }
    assert len({event["id"] for event in heard}) == len(heard)
    assert [event["at"] for event in heard] == sorted(event["at"] for event in heard)


async def test_a_client_that_comes_back_gets_what_it_missed_and_goes_on(
    stack: Stack, alice: Client
) -> None:
    to, listener = await Happening.to(stack, alice), Listener(alice)
    async with listener.connected(stack.gateway) as socket:
        await to.happen(5)
        await listener.hear(socket, 5)
    await to.happen(250)
    async with listener.connected(stack.gateway) as socket:
        await to.happen(5)
        await listener.hear(socket, 260)

    assert listener.words == [f"word {number}" for number in range(1, 261)]
    assert len({event["cursor"] for event in listener.heard}) == 260


async def test_only_what_was_asked_for_is_told(stack: Stack, alice: Client) -> None:
    to = await Happening.to(stack, alice)
    async with live_of(alice, stack.gateway) as socket:
        await socket.subscribe(EVENTS, "money", categories=["PORTFOLIO", "SYNC"])
        await socket.ask("{ viewer { id } }")
        await to.happen(3)
        await alice.do(CREATE, input=HOUSE)
        told = [(await socket.next())["payload"]["data"]["events"] for _ in range(2)]

    assert [event["name"] for event in told] == ["account.balance_changed", "networth.changed"]
    assert told[0]["current"] == {"amount": "250000.01"}
    assert told[1]["current"] == {"amount": "250000.01", "currency": "USD"}


async def test_what_is_about_a_deleted_account_is_left_out_where_that_is_shown(
    stack: Stack, alice: Client
) -> None:
    to = await Happening.to(stack, alice)
    whole, plain = Listener(alice, EVENTS), Listener(alice)
    async with plain.connected(stack.gateway) as socket:
        await to.happen()
        await plain.hear(socket, 1)
        whole.heard += plain.heard
        made = await alice.do(CREATE, input=HOUSE)
        await alice.do(DELETE, id=made["account"]["id"])
        await to.happen()
        await plain.hear(socket, 5)
    async with whole.connected(stack.gateway) as socket:
        await whole.hear(socket, 4)

    names = [event["name"] for event in plain.heard]
    assert names[1] == "account.balance_changed"
    assert [event["name"] for event in whole.heard] == [names[0], *names[2:]]


async def test_a_session_is_shown_while_it_goes_on_and_its_end_closes_the_stream(
    stack: Stack, alice: Client
) -> None:
    async with stack.nobody() as other:
        await other.sign_in(alice.email)
        mine, theirs = Listener(alice, EVENTS), Listener(other, EVENTS)
        async with mine.connected(stack.gateway) as here, theirs.connected(stack.gateway) as there:
            async with stack.nobody() as third:
                await third.sign_in(alice.email)
            await mine.hear(here, 1)
            session = mine.heard[0]["session"]
            assert (mine.heard[0]["name"], session["current"]) == ("session.started", False)

            await alice.do("mutation { revokeOtherSessions { revokedCount } }")
            assert await there.closed(within_s=2) == 4401
            await mine.hear(here, 3)
    assert {event["name"] for event in mine.heard[1:]} == {"session.revoked"}
    assert [event["session"] for event in mine.heard[1:]] == [None, None]


@pytest.mark.parametrize(
    "after", ["", "x", encoded("x"), encoded("events", "b"), "\x00", encoded("runs", "0" * 32)]
)
async def test_what_is_no_cursor_is_refused(stack: Stack, alice: Client, after: str) -> None:
    assert await refusal(stack, alice, after) == "BAD_USER_INPUT"


async def test_a_cursor_of_another_or_of_what_is_kept_no_longer_is_refused_alike(
    stack: Stack, alice: Client, bob: Client
) -> None:
    to, listener = await Happening.to(stack, bob), Listener(bob)
    async with listener.connected(stack.gateway) as socket:
        await to.happen()
        await listener.hear(socket, 1)
    await to.happen()
    assert listener.cursor is not None
    assert await refusal(stack, alice, listener.cursor) == "BAD_USER_INPUT"
    assert await refusal(stack, bob, listener.cursor) is None


async def refusal(stack: Stack, client: Client, after: str) -> str | None:
    """Its code, or None where an event comes."""
    async with live_of(client, stack.gateway) as socket:
        await socket.subscribe(EVENTS, after=after)
        message = await socket.next()
    if message["type"] == "next":
        return None
    code: str = message["payload"][0]["extensions"]["code"]
    return code


async def test_an_event_is_told_without_anyone_looking_for_it_and_to_nobody_else(
    stack: Stack, alice: Client, bob: Client
) -> None:
    to, mine, his = await Happening.to(stack, alice), Listener(alice), Listener(bob)
    async with mine.connected(stack.gateway) as here, his.connected(stack.gateway) as there:
        began = time.monotonic()
        for number in range(1, 13):
            await to.happen()
            await mine.hear(here, number)
        assert time.monotonic() - began < 8  # to wait for the relay's next turn takes a second each
        await his.until_answered(there)
    assert his.heard == []
