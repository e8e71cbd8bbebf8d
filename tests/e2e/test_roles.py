"""A role that is granted or taken counts in every process at once, without a restart."""

import asyncio
import time
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import httpx2

from domain.identity import Role
from gateway.asgi import create_app
from gateway.shell.people import grant
from schema.ids import global_id
from tests.e2e.live import Live, live_of
from tests.e2e.stack import Client, Stack, served_here

ADMIN = "{ admin { jobs { running } } }"
SET = """mutation($user: ID!, $role: Role!) { setRole(input: {userId: $user, role: $role}) {
  user { role } errors { code } } }"""
Sees = Callable[[], Awaitable[bool]]


@asynccontextmanager
async def elsewhere(stack: Stack, client: Client) -> AsyncIterator[Client]:
    """The same person at another gateway, which is this process."""
    async with (
        served_here(create_app(stack.settings)) as url,
        httpx2.AsyncClient(base_url=url, timeout=40) as http,
    ):
        yield Client(http, token=client.token)


def by_http(client: Client) -> Sees:
    async def sees() -> bool:
        answer = (await client.post(ADMIN)).json()
        return answer["data"]["admin"] is not None

    return sees


def by_socket(socket: Live) -> Sees:
    async def sees() -> bool:
        return (await socket.ask(ADMIN))["data"]["admin"] is not None

    return sees


async def within_a_second(ways: list[Sees], *, seen: bool) -> None:
    began = time.monotonic()
    for sees in ways:
        while await sees() is not seen:
            assert time.monotonic() < began + 1, "it did not take effect"
            await asyncio.sleep(0.02)


async def test_a_role_counts_on_every_gateway_and_open_socket_within_a_second(
    stack: Stack,
) -> None:
    async with (
        stack.somebody(Role.ADMIN) as admin,
        stack.somebody(Role.USER) as person,
        elsewhere(stack, person) as there,
        live_of(person, stack.gateway) as socket,
    ):
        ways = [by_http(person), by_http(there), by_socket(socket)]
        assert [await sees() for sees in ways] == [False] * 3  # and it is remembered
        known = await stack.wired.app.doors.user_by_email(person.email)
        assert known is not None
        id = global_id("User", known.user.id)

        await grant(stack.settings, person.email, "ADMIN")  # as `dashtam user grant` does it
        await within_a_second(ways, seen=True)

        taken = await admin.do(SET, user=id, role="READONLY")
        await within_a_second(ways, seen=False)

        given = await admin.do(SET, user=id, role="ADMIN")
        await within_a_second(ways, seen=True)

    assert taken == {"user": {"role": "READONLY"}, "errors": []}
    assert given["errors"] == []


async def test_somebody_made_readonly_reads_on_and_writes_no_more(stack: Stack) -> None:
    write = 'mutation { updateSettings(input: {timeZone: "UTC"}) { errors { code } } }'
    async with stack.somebody(Role.USER) as person:
        assert (await person.do(write))["errors"] == []

        await grant(stack.settings, person.email, "READONLY")

        give_up_at = time.monotonic() + 1
        while not (errors := (await person.do(write))["errors"]):
            assert time.monotonic() < give_up_at
        assert errors == [{"code": "NOT_PERMITTED"}]
        assert await person.ask("{ viewer { email role } accounts { id } }") == {
            "viewer": {"email": person.email, "role": "READONLY"},
            "accounts": [],
        }
        assert (await person.do("mutation { signOut { signedOut errors { code } } }")) == {
            "signedOut": True,
            "errors": [],
        }
