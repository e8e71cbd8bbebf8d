"""Who may upload is asked before a byte of the file is read, and each has two places."""

import asyncio
from collections.abc import AsyncIterator

from tests.e2e.linking import checking, import_file
from tests.e2e.stack import Client, Stack

FORM = {"content-type": "multipart/form-data; boundary=b", "graphql-preflight": "1"}
BEGINNING = b'--b\r\nContent-Disposition: form-data; name="operations"\r\n\r\n'


async def half_a_form(go_on: asyncio.Event) -> AsyncIterator[bytes]:
    yield BEGINNING
    await go_on.wait()
    yield b"{}\r\n--b--\r\n"


async def test_half_sent_forms_of_nobody_are_in_nobodys_way(
    stack: Stack, nobody: Client, alice: Client
) -> None:
    go_on = asyncio.Event()
    halves = [
        asyncio.create_task(nobody.http.post("/graphql", content=half_a_form(go_on), headers=FORM))
        for _ in range(8)
    ]
    await asyncio.sleep(0.2)

    async with asyncio.timeout(20):
        assert (await import_file(alice, checking("-1.00")))["errors"] == []

    go_on.set()
    for answer in await asyncio.gather(*halves):
        assert answer.status_code == 401
        assert answer.headers["www-authenticate"].startswith("Bearer")
        assert answer.json()["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"


async def test_a_third_upload_of_one_person_waits_and_others_do_not(
    alice: Client, bob: Client
) -> None:
    go_on = asyncio.Event()
    headers = {**FORM, "authorization": f"Bearer {alice.token}"}

    async def half() -> int:
        """Again, where the third came first."""
        while True:
            sent = await alice.http.post("/graphql", content=half_a_form(go_on), headers=headers)
            if sent.status_code != 429:
                return sent.status_code

    halves = [asyncio.create_task(half()) for _ in range(2)]
    await asyncio.sleep(0.2)

    third = await alice.http.post("/graphql", content=BEGINNING, headers=headers)
    async with asyncio.timeout(10):
        while third.status_code == 400:  # cut short: the other two are still on their way
            third = await alice.http.post("/graphql", content=BEGINNING, headers=headers)
    assert (await import_file(bob, checking("-1.00")))["errors"] == []

    assert third.status_code == 429
    assert third.json()["errors"][0]["extensions"]["code"] == "RATE_LIMITED"
    assert third.headers["retry-after"] == "1"
    go_on.set()
    assert await asyncio.gather(*halves) == [400, 400]
