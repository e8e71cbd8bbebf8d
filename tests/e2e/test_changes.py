"""`changes` over HTTP: a copy is kept by it, and whatever else is sent is refused."""

import base64
import json
from typing import Any
from uuid import UUID

import pytest

from domain.identity import Role
from tests.e2e.linking import checking, import_file
from tests.e2e.stack import Client, Stack

CHANGES = "query($a: String, $n: Int!) { changes(after: $a, first: $n) { upserted { __typename id ... on Account { name link { id } } ... on Transaction { account { id } } } deletedIds cursor hasMore } }"
CREATE = 'mutation { createManualAccount(input: {name: "House", type: OTHER, currency: "USD", balance: "1.00"}) { account { id } } }'
DELETE = "mutation($id: ID!) { deleteManualAccount(accountId: $id) { deletedId errors { code } } }"


async def changed(client: Client, after: str | None = None, first: int = 500) -> dict[str, Any]:
    found: dict[str, Any] = (await client.ask(CHANGES, a=after, n=first))["changes"]
    return found


def cursor(*position: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(position).encode()).decode()


async def test_a_copy_is_kept_by_what_changes(alice: Client, bob: Client) -> None:
    empty = await changed(alice)
    assert (empty["upserted"], empty["deletedIds"], empty["hasMore"]) == ([], [], False)
    await import_file(alice, checking("-1.00", "-2.00"))
    house = (await alice.do(CREATE))["account"]["id"]
    seen: dict[str, Any] = {}
    at, more = empty["cursor"], True
    while more:
        page = await changed(alice, at, 2)
        assert len(page["upserted"]) + len(page["deletedIds"]) <= 2
        seen |= {one["id"]: one for one in page["upserted"]}
        at, more = page["cursor"], page["hasMore"]
    kinds = sorted(one["__typename"] for one in seen.values())
    assert kinds == ["Account", "Account", "Link", "Transaction", "Transaction"]

    await alice.do(DELETE, id=house)
    last = await changed(alice, at)
    assert (last["upserted"], last["deletedIds"]) == ([], [house])
    assert (await changed(alice, last["cursor"])) == {
        "upserted": [],
        "deletedIds": [],
        "cursor": last["cursor"],
        "hasMore": False,
    }
    assert house not in {one["id"] for one in (await changed(alice))["upserted"]}
    assert (await changed(alice))["deletedIds"] == []
    assert (await changed(bob))["upserted"] == []
    [error] = await bob.errors(CHANGES, a=last["cursor"], n=1)  # ahead of all that is his
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_whoever_reads_may_and_whoever_is_signed_out_may_not(
    stack: Stack, nobody: Client
) -> None:
    async with stack.somebody(Role.READONLY) as reader:
        assert (await changed(reader))["upserted"] == []
    [error] = await nobody.errors(CHANGES, n=1)
    assert error["extensions"]["code"] == "UNAUTHENTICATED"


@pytest.mark.parametrize(
    ("after", "first"),
    [
        (None, 0),
        (None, 501),
        (None, -1),
        ("", 1),
        ("nonsense", 1),
        (cursor(), 1),
        (cursor("0", "0", "0"), 1),
        (cursor("0", "0", "0", "no id"), 1),
        (cursor("0", "-1", "0", str(UUID(int=0))), 1),
        (cursor("0", "0", "7", str(UUID(int=0))), 1),
        (cursor("0", "9" * 18, "0", str(UUID(int=0))), 1),
        (cursor("0", "9" * 40, "0", str(UUID(int=0))), 1),
        (cursor("9" * 18, "0", "0", str(UUID(int=0))), 1),
        (cursor("0", "٣", "0", str(UUID(int=0))), 1),
        (cursor(0, 0, 0, 0), 1),
    ],
)
async def test_what_is_no_cursor_or_no_size_of_a_page_is_refused(
    alice: Client, after: str | None, first: int
) -> None:
    answer = await alice.post(CHANGES, {"a": after, "n": first})
    assert answer.status_code == 200
    [error] = answer.json()["errors"]
    assert (error["extensions"]["code"], error["path"]) == ("BAD_USER_INPUT", ["changes"])


async def test_what_comes_is_paid_for_and_never_costs_more_than_was_said(alice: Client) -> None:
    await import_file(alice, checking(*(f"-{n}.00" for n in range(1, 20))))
    answer = await alice.post(CHANGES, {"n": 100}, dashtam_cost="report")
    said = answer.json()
    given = len(said["data"]["changes"]["upserted"])
    assert given == 21
    assert said["extensions"]["cost"]["requested"] >= given + 20  # the account of each, too
