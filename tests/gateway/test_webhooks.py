"""Plaid tells us, and somebody else who says that they are Plaid."""

import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import pytest

from tests.e2e.stack import Client
from tests.gateway.plaid import CONNECT, HOOK, PUBLIC, Gateway, connect, linked
from tests.providers.simulators.plaid_books import Item, a_transaction

LINK = """query Link($id: ID!) { links { id } node: link(id: $id) { status actionRequired
  credentialsExpireAt error { code message } lastRun { trigger status }
  accounts { name balance { amount } } } }"""
DISCONNECT = """mutation Cut($id: ID!) { disconnect(linkId: $id) {
  link { status } errors { code } } }"""
FORCE = """mutation Force($id: ID!) { sync(input: {linkId: $id, force: true}) {
  runs { status } errors { code message } } }"""
HEADER = "Plaid-Verification"


@pytest.fixture
def gateway(told: Gateway) -> Gateway:
    return told


@pytest.fixture
async def ann(gateway: Gateway) -> AsyncIterator[Client]:
    async with gateway.person() as client:
        yield client


@pytest.fixture
def item(gateway: Gateway) -> Item:
    return gateway.item()


# ── from Link to the next sync ──────────────────────────────────────────────


async def test_a_person_links_plaid_and_is_told_of_what_happens_next(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    begun = await ann.do(CONNECT, input={"provider": "plaid", "using": {"oauth": {}}})
    assert (begun["linkToken"], begun["link"], begun["errors"]) == (
        "link-sandbox-af1a0311",
        None,
        [],
    )
    asked = gateway.plaid.link_tokens[-1]
    assert asked["webhook"] == PUBLIC + HOOK
    assert "@" not in json.dumps(asked["user"])

    payload = await connect(gateway, ann, item)
    assert payload["link"]["lastRun"] == {"trigger": "CONNECT", "status": "QUEUED"}
    [first] = await gateway.run_waiting(item)
    assert (first.status.value, first.transactions.created) == ("SUCCEEDED", 34)

    item.enter(
        a_transaction("t31", "acc-card-3333", 28.34, "2026-03-16", pending_transaction_id="p30")
    )
    item.remove("p30")
    told = await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE",
                              historical_update_complete=True)  # fmt: skip
    assert (told.status_code, told.json()) == (200, {})
    [second] = await gateway.run_waiting(item)
    assert second.trigger.value == "WEBHOOK"
    # The pending row settled: it is the same one still, and not gone.
    assert (second.transactions.created, second.transactions.updated) == (0, 1)
    assert second.transactions.removed == 0
    assert gateway.plaid.complaints == []

    # Update mode, and the same Item again.
    id = payload["link"]["id"]
    item.error = {"error_type": "ITEM_ERROR", "error_code": "ITEM_LOGIN_REQUIRED"}
    await gateway.tell(item, "ITEM", "ERROR", error=item.error)
    link = (await ann.ask(LINK, id=id))["node"]
    assert (link["status"], link["actionRequired"]) == ("NEEDS_REAUTHORIZATION", "REAUTHORIZE")
    mend = {"provider": "plaid", "linkId": id}
    begun = await ann.do(CONNECT, input={**mend, "using": {"oauth": {}}})
    assert gateway.plaid.link_tokens[-1]["access_token"] == item.token
    item.error = None
    payload = await connect(gateway, ann, item, linkId=id)
    assert payload["errors"] == []
    assert (payload["link"]["id"], payload["link"]["status"]) == (id, "ACTIVE")
    [third] = await gateway.run_waiting(item)
    assert (third.status.value, third.transactions.received) == ("SUCCEEDED", 0)
    assert gateway.plaid.removed == []


async def test_the_same_accounts_linked_again_are_refused_and_the_new_item_is_removed(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    id = await linked(gateway, ann, item)
    twin = gateway.item()
    twin.institution_id = item.institution_id
    payload = await connect(gateway, ann, twin)
    [error] = payload["errors"]
    assert (error["__typename"], error["existingId"]) == ("Conflict", id)
    assert gateway.plaid.removed[-1] == twin.token
    assert item.token in gateway.plaid.items

    again = await connect(gateway, ann, item)  # the very same Item, without saying what it mends
    assert again["errors"][0]["existingId"] == id
    assert item.token in gateway.plaid.items
    other = gateway.item()
    unknown = await connect(gateway, ann, other, linkId="TGluazowMDAw")
    assert unknown["errors"][0]["code"] == "NOT_FOUND"
    assert other.token in gateway.plaid.items  # it was not even asked for


async def test_a_link_that_is_mended_by_a_new_item_gives_the_old_one_back(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    id = await linked(gateway, ann, item)
    twin = gateway.item()
    twin.institution_id = item.institution_id
    payload = await connect(gateway, ann, twin, linkId=id, alias=twin.id)
    assert (payload["errors"], payload["link"]["id"]) == ([], id)
    assert gateway.plaid.removed[-1] == item.token
    [run] = await gateway.run_waiting(twin)
    assert run.status.value == "SUCCEEDED", run.error  # with no cursor of the old one
    await gateway.tell(twin, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")
    assert len(await gateway.run_waiting(twin)) == 1
    payload = await ann.do(DISCONNECT, id=id)
    assert payload["link"]["status"] == "DISCONNECTED"
    assert gateway.plaid.removed[-1] == twin.token
    row = await gateway.link(twin)
    assert row["upstream"] is None
    assert (await gateway.tell(twin, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")).status_code == 200
    assert await gateway.run_waiting(twin) == []


# ── what is said, and what comes of it ──────────────────────────────────────


async def test_the_same_webhook_a_hundred_times_has_one_effect(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    await linked(gateway, ann, item)
    link = await gateway.link(item)
    body = gateway.plaid.webhook(item, "HOLDINGS", "DEFAULT_UPDATE")
    headers = gateway.plaid.signed(body)
    [other] = gateway.plaid.signed(body).values()  # signed anew, over the same
    statuses = set()
    for n in range(100):
        sent = {HEADER: other} if n % 2 else headers
        statuses.add((await gateway.post(body, sent)).status_code)
        if n in (0, 50):
            await gateway.run_waiting(item)
    assert statuses == {200}
    assert [run["trigger"] for run in await gateway.runs(link["id"])] == ["CONNECT", "WEBHOOK"]
    receipts = "SELECT count(*) FROM webhook_receipts WHERE link_id = $1"
    assert await gateway.spy.fetchval(receipts, link["id"]) == 1


async def test_news_joins_a_run_that_waits_and_follows_one_that_is_under_way(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    await linked(gateway, ann, item)
    link = await gateway.link(item)
    for _ in range(3):
        await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")
    assert len(await gateway.runs(link["id"])) == 2  # the first one, and one for all three

    async def comes_meanwhile() -> None:
        item.enter(a_transaction("late", "acc-card-3333", 7, "2026-03-16"))
        await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")

    gateway.plaid.meanwhile = [comes_meanwhile]  # once the place has been read where it is
    [second] = await gateway.run_waiting(item)
    assert second.transactions.created == 0
    [third] = await gateway.run_waiting(item)
    assert (third.trigger.value, third.transactions.created) == ("WEBHOOK", 1)
    assert (await gateway.link(item))["news_at"] is None
    assert await gateway.run_waiting(item) == []


async def test_what_went_before_a_forced_run_is_gone_after_it(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    today = gateway.clock().date().isoformat()
    item.enter(a_transaction("p40", "acc-card-3333", 5, today, pending=True))
    id = await linked(gateway, ann, item)
    item.remove("p40", "t2")  # one was pending and is given up, the other the bank took back
    [queued] = (await ann.do(FORCE, id=id))["runs"]
    assert queued["status"] == "QUEUED"
    [forced] = await gateway.run_waiting(item)
    assert (forced.status.value, forced.transactions.removed) == ("SUCCEEDED", 1), forced.error
    await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")
    [next_run] = await gateway.run_waiting(item)
    assert next_run.transactions.removed == 1


async def test_what_an_item_says_of_itself_moves_its_link(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    id = await linked(gateway, ann, item)
    link = await gateway.link(item)

    async def told(code: str, **said: Any) -> dict[str, Any]:
        gateway.clock.turn(seconds=1)
        assert (await gateway.tell(item, "ITEM", code, **said)).status_code == 200
        found: dict[str, Any] = (await ann.ask(LINK, id=id))["node"]
        return found

    def error(code: str, **more: Any) -> dict[str, Any]:
        return {"error_type": "ITEM_ERROR", "error_code": code, **more}

    end = (gateway.clock() + timedelta(days=7)).replace(microsecond=0)
    soon = await told("PENDING_EXPIRATION", consent_expiration_time=end.isoformat())
    assert soon["status"] == "ACTIVE"
    assert (await gateway.link(item))["credentials_expire_at"] == end
    assert (await told("ERROR", error=error("INSTITUTION_DOWN")))["status"] == "ACTIVE"
    ended = await told("ERROR", error=error("ITEM_LOGIN_REQUIRED"))
    assert (ended["status"], ended["actionRequired"]) == ("NEEDS_REAUTHORIZATION", "REAUTHORIZE")
    news = await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")
    assert (news.status_code, await gateway.run_waiting(item)) == (200, [])
    mended = await told("LOGIN_REPAIRED")
    assert (mended["status"], mended["error"]) == ("ACTIVE", None)
    assert mended["lastRun"] == {"trigger": "WEBHOOK", "status": "QUEUED"}
    assert len(await gateway.run_waiting(item)) == 1
    await told(
        "PENDING_DISCONNECT", disconnect_time=end.isoformat(), reason="INSTITUTION_MIGRATION"
    )
    revoked = await told("USER_PERMISSION_REVOKED", error=error("USER_PERMISSION_REVOKED"))
    assert revoked["status"] == "REVOKED"
    assert (await told("LOGIN_REPAIRED"))["status"] == "REVOKED"
    assert (await told("NEW_ACCOUNTS_AVAILABLE"))["status"] == "REVOKED"
    events = [e for e in await gateway.events(link["id"]) if e["name"].startswith("link.")]
    assert [event["name"] for event in events] == [
        "link.connected",
        "link.expiring",
        "link.needs_reauthorization",
        "link.connected",
        "link.needs_reauthorization",
    ]
    assert json.loads(events[1]["facts"])["expires_at"] == end.isoformat()
    audit = await gateway.spy.fetch(
        "SELECT outcome, detail FROM audit_log WHERE action = 'link.notice' AND resource = $1"
        " ORDER BY seq LIMIT 2",
        f"link:{link['id']}",
    )
    assert [(a["outcome"], a["detail"]) for a in audit] == [
        ("ATTEMPTED", None),
        ("SUCCEEDED", "EXPIRING"),
    ]


async def test_an_older_word_after_a_newer_one_is_not_heard(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    id = await linked(gateway, ann, item)
    error = {"error_type": "ITEM_ERROR", "error_code": "ITEM_LOGIN_REQUIRED"}
    late = gateway.plaid.webhook(item, "ITEM", "ERROR", error=error)
    signed = gateway.plaid.signed(late)
    gateway.clock.turn(seconds=20)
    await gateway.tell(item, "ITEM", "LOGIN_REPAIRED")
    assert (await gateway.post(late, signed)).status_code == 200
    assert (await ann.ask(LINK, id=id))["node"]["status"] == "ACTIVE"


async def test_a_run_that_is_under_way_does_not_bring_back_what_has_ended(
    gateway: Gateway, ann: Client, item: Item
) -> None:
    id = await linked(gateway, ann, item)
    await gateway.tell(item, "TRANSACTIONS", "SYNC_UPDATES_AVAILABLE")
    error = {"error_type": "ITEM_ERROR", "error_code": "ITEM_LOGIN_REQUIRED"}
    await gateway.tell(item, "ITEM", "ERROR", error=error)
    [run] = await gateway.run_waiting(item)
    assert run.status.value == "CANCELLED"
    assert (await ann.ask(LINK, id=id))["node"]["status"] == "NEEDS_REAUTHORIZATION"
