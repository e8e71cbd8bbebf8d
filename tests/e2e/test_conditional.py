"""A client that has an answer is told so by one look at the database, until its data changes."""

import asyncio
from typing import Any

import httpx2
import pytest

from domain.commands.people import SetRole, actor_to_be, set_role
from domain.identity import Role
from gateway.documents.names import digest
from tests.e2e.linking import brokerages, checking, connect, import_file, sync
from tests.e2e.stack import Client, Stack
from tests.e2e.test_dashboard import BY_ITSELF, counted

VERSIONED = """query Versioned {
  links { id alias status accounts { id } }
  accounts { id name nickname includedInNetWorth balance { amount } link { status } }
  holdings(first: 5) { totalCount nodes { id quantity security { symbol } } }
  transactions(first: 50) { totalCount nodes { id notes description amount { amount } } }
}"""
UNVERSIONED = "{ accounts { id } netWorth { total { amount } } }"


async def get(client: Client, text: str, known: str | None = None) -> httpx2.Response:
    """As a mobile client does it: by the document's hash, in the path of the URL."""
    headers = {"authorization": f"Bearer {client.token}"}
    if known is not None:
        headers["if-none-match"] = known
    answer = await client.http.get(f"/graphql/sha256:{digest(text)}", headers=headers)
    if answer.status_code != 304 and "errors" in answer.json():
        named = {"persistedQuery": {"version": 1, "sha256Hash": digest(text)}}
        body = {"query": text, "extensions": named}
        assert (await client.http.post("/graphql", json=body, headers=headers)).status_code == 200
        answer = await client.http.get(f"/graphql/sha256:{digest(text)}", headers=headers)
    return answer


class Kept:
    """What a client keeps of one document."""

    def __init__(self, client: Client) -> None:
        self.client, self.tag, self.data = client, "", dict[str, Any]()

    async def again(self) -> int:
        """The status of asking again; what it has then is what is so."""
        answer = await get(self.client, VERSIONED, self.tag or None)
        assert answer.headers["cache-control"] == "private, no-cache"
        if answer.status_code == 200:
            assert answer.headers["etag"] != self.tag
            self.tag, self.data = answer.headers["etag"], answer.json()["data"]
        assert self.data == await self.client.ask(VERSIONED)
        return answer.status_code


@pytest.fixture
async def kept(alice: Client) -> Kept:
    kept = Kept(alice)
    assert [await kept.again(), await kept.again()] == [200, 304]
    return kept


async def test_it_takes_one_round_trip_and_one_point(stack: Stack, alice: Client) -> None:
    await import_file(alice, brokerages(3))
    sent: list[str] = []
    headers = {"authorization": f"Bearer {alice.token}"}
    async with (
        counted(stack, sent) as url,
        httpx2.AsyncClient(base_url=url, headers=headers) as http,
    ):
        ask = {"query": VERSIONED}
        first = await http.get("/graphql", params=ask)
        known = {"if-none-match": first.headers["etag"]}
        points = []
        for _ in range(2):
            sent.clear()
            again = await http.get("/graphql", params=ask, headers=known)
            assert (again.status_code, again.content) == (304, b"")
            points.append(again.headers["ratelimit"])
        statements = [s for s in sent if not any(word in s for word in BY_ITSELF)]
        assert len(statements) == 2, statements
        assert "BEGIN" in statements[0]
        assert statements[1] == "ROLLBACK"
        left = [int(said.partition(";r=")[2].partition(";")[0]) for said in points]
        assert 0 <= left[0] - left[1] <= 1


async def test_every_write_to_what_is_versioned_changes_the_tag(kept: Kept) -> None:
    client = kept.client
    input_ = {"name": "House", "type": "OTHER", "currency": "USD", "balance": "1.00"}
    create = "mutation($input: CreateManualAccountInput!) { createManualAccount(input: $input) { account { id } errors { code } } }"
    house = (await client.do(create, input=input_))["account"]["id"]
    assert await kept.again() == 200
    writes: list[tuple[str, dict[str, Any]]] = [
        (
            'mutation($a: ID!) { recordBalance(input: {accountId: $a, balance: "2.00"}) { errors { code } } }',
            {"a": house},
        ),
        (
            'mutation($a: ID!) { updateAccount(input: {accountId: $a, nickname: "Home"}) { errors { code } } }',
            {"a": house},
        ),
        (
            "mutation($a: ID!) { updateAccount(input: {accountId: $a, includedInNetWorth: false}) { errors { code } } }",
            {"a": house},
        ),
        ("mutation($a: ID!) { deleteManualAccount(accountId: $a) { errors { code } } }", {"a": house}),
    ]  # fmt: skip
    for mutation, variables in writes:
        assert (await client.do(mutation, **variables))["errors"] == []
        assert [await kept.again(), await kept.again()] == [200, 304], mutation


async def test_an_import_changes_it_and_the_same_file_again_does_not(kept: Kept) -> None:
    assert (await import_file(kept.client, checking("-1.00", "-2.00")))["errors"] == []
    assert await kept.again() == 200
    await import_file(kept.client, checking("-1.00", "-2.00"))
    assert await kept.again() == 304
    say = 'mutation($t: ID!) { updateTransaction(input: {transactionId: $t, notes: "x"}) { errors { code } } }'  # fmt: skip
    transaction = kept.data["transactions"]["nodes"][0]["id"]
    assert (await kept.client.do(say, t=transaction))["errors"] == []
    assert await kept.again() == 200
    await import_file(kept.client, checking("-1.00", "-2.00", "-3.00"))
    assert await kept.again() == 200


async def test_a_sync_changes_it_where_it_brings_anything_new(kept: Kept) -> None:
    client = kept.client
    assert (await connect(client))["errors"] == []
    await sync(client)
    assert await kept.again() == 200
    [run] = (await sync(client, force=True))["runs"]
    assert run["status"] == "SUCCEEDED"
    assert (run["transactions"]["created"], run["accounts"]["updated"]) == (0, 0)
    assert await kept.again() == 304  # only when it was last synced has changed
    link = kept.data["links"][0]["id"]
    for mutation in (
        'mutation($l: ID!) { updateLink(input: {linkId: $l, alias: "Mine"}) { errors { code } } }',
        "mutation($l: ID!) { disconnect(linkId: $l, deleteData: true) { errors { code } } }",
    ):  # fmt: skip
        assert (await client.do(mutation, l=link))["errors"] == []
        assert await kept.again() == 200


async def test_settings_and_sign_ins_do_not_change_it(kept: Kept) -> None:
    settings = 'mutation { updateSettings(input: {timeZone: "Asia/Tokyo", baseCurrency: "EUR"}) { errors { code } } }'  # fmt: skip
    assert (await kept.client.do(settings))["errors"] == []
    await kept.client.sign_in(kept.client.email)
    assert await kept.again() == 304


async def test_a_new_role_changes_it(stack: Stack, kept: Kept) -> None:
    app = stack.wired.app
    person = await app.doors.user_by_email(kept.client.email)
    assert person is not None
    by, whom = actor_to_be(Role.ADMIN), person.user.id
    await set_role(app, SetRole(actor=by, user_id=whom, role=Role.READONLY, at=app.now()))
    async with asyncio.timeout(5):
        while await kept.again() == 304:  # noqa: ASYNC110 - until the gateway has heard of it
            await asyncio.sleep(0.01)


async def test_the_tag_of_another_is_of_no_use(alice: Client, bob: Client) -> None:
    tags = [(await get(client, VERSIONED)).headers["etag"] for client in (alice, bob)]
    assert tags[0] != tags[1]
    assert (await get(bob, VERSIONED, tags[0])).status_code == 200


async def test_what_is_not_versioned_has_none_and_is_never_kept_by_a_proxy(alice: Client) -> None:
    answer = await get(alice, UNVERSIONED)
    assert "etag" not in answer.headers
    assert answer.headers["cache-control"] == "private, no-cache"
    headers = {"authorization": f"Bearer {alice.token}"}
    unknown = await alice.http.get(f"/graphql/sha256:{'0' * 64}", headers=headers)
    assert unknown.headers["cache-control"] == "no-store"
