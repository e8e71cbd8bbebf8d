"""Links: connected in the request, synced by the worker."""

from collections.abc import AsyncIterator
from datetime import datetime
from typing import Any

import pytest

from tests.e2e.linking import SYNC, connect, connect_scenario, import_file, linked, sync
from tests.e2e.linking import checking as a_statement
from tests.e2e.stack import Client, Stack

ABSENT = "TGluazowMTlhYTAwMC0wMDAwLTcwMDAtODAwMC0wMDAwMDAwMDAwMDA="
LINK = """query($id: ID!) { link(id: $id) {
  id status alias syncEverySeconds connectedAt lastSyncedAt nextSyncAt consecutiveFailures
  accounts { name } lastRun { id status trigger } } }"""
RUN = "query($id: ID!) { syncRun(id: $id) { status error { __typename } link { status } } }"


def only_error(payload: dict[str, Any]) -> dict[str, Any]:
    [error] = payload["errors"]
    assert error["message"]
    found: dict[str, Any] = error
    return found


@pytest.fixture(scope="module")
async def household(stack: Stack) -> AsyncIterator[tuple[Client, str]]:
    """Somebody with a synced sandbox link, and its id. Tests leave the link as it was."""
    async with stack.somebody() as client:
        yield client, await linked(client)


async def test_connecting_queues_a_run_that_the_worker_does(stack: Stack, alice: Client) -> None:
    payload = await connect(alice, alias="Mine")

    link = payload["link"]
    assert payload["errors"] == []
    assert (link["status"], link["provider"]["slug"]) == ("ACTIVE", "sandbox")
    assert link["accounts"] == []  # the request has pulled nothing itself
    assert (link["lastRun"]["status"], link["lastRun"]["trigger"]) == ("QUEUED", "CONNECT")

    synced = await sync(alice, linkId=link["id"])

    [run] = synced["runs"]
    assert synced["errors"] == []
    assert run["id"] == link["lastRun"]["id"]  # it joined the run that was under way
    assert (run["status"], run["progress"]) == ("SUCCEEDED", 1.0)
    assert run["accounts"]["created"] == 6
    assert run["holdings"]["created"] == 25
    assert run["transactions"]["created"] >= 400
    done = (await alice.ask(LINK, id=link["id"]))["link"]
    assert done["alias"] == "Mine"
    assert len(done["accounts"]) == 6
    assert done["lastRun"] == {"id": run["id"], "status": "SUCCEEDED", "trigger": "CONNECT"}
    assert datetime.fromisoformat(done["nextSyncAt"]) > datetime.fromisoformat(done["lastSyncedAt"])
    assert run["id"] in [
        r["id"] for r in (await alice.ask("{ syncRuns { nodes { id } } }"))["syncRuns"]["nodes"]
    ]
    assert any(line["event"] == "sync.finished" for line in stack.worker.lines())


async def test_the_same_login_linked_again_is_a_conflict_that_names_the_first(
    household: tuple[Client, str],
) -> None:
    client, link_id = household

    again = only_error(await connect(client))
    default = only_error(await connect_scenario(client, "default"))

    for error in (again, default):
        assert (error["__typename"], error["code"]) == ("Conflict", "CONFLICT")
        assert error["existingId"] == link_id


async def test_the_same_login_with_its_link_id_mends_that_link(
    household: tuple[Client, str],
) -> None:
    client, link_id = household

    payload = await connect(client, linkId=link_id)

    assert payload["errors"] == []
    assert payload["link"]["id"] == link_id
    assert len(payload["link"]["accounts"]) == 6
    [run] = (await sync(client, linkId=link_id))["runs"]
    assert run["transactions"]["created"] == 0


@pytest.mark.parametrize(
    ("input", "type", "code", "field"),
    [
        ({"provider": "nobody"}, "NotFound", "PROVIDER_UNKNOWN", ["input", "provider"]),
        (
            {"using": {"nothing": False}},
            "InvalidInput",
            "INVALID_INPUT",
            ["input", "using", "nothing"],
        ),
        ({"using": {"oauth": {}}}, "InvalidInput", "INVALID_INPUT", ["input", "using", "oauth"]),
        (
            {"using": {"credentials": [{"name": "scenario", "value": "none"}]}},
            "InvalidInput",
            "INVALID_INPUT",
            ["input", "using", "credentials"],
        ),
        (
            {"using": {"credentials": [{"name": "password", "value": "x"}]}},
            "InvalidInput",
            "INVALID_INPUT",
            ["input", "using", "credentials"],
        ),
        (
            {
                "using": {
                    "credentials": [{"name": "seed", "value": "a"}, {"name": "seed", "value": "b"}]
                }
            },
            "InvalidInput",
            "INVALID_INPUT",
            ["input", "using", "credentials"],
        ),
        ({"provider": "file"}, "InvalidInput", "INVALID_INPUT", ["input", "using"]),
        ({"alias": "x" * 61}, "InvalidInput", "INVALID_INPUT", ["input", "alias"]),
        ({"linkId": ABSENT}, "NotFound", "NOT_FOUND", ["input", "linkId"]),
        ({"linkId": "nonsense"}, "NotFound", "NOT_FOUND", ["input", "linkId"]),
    ],
)
async def test_a_bad_way_to_connect_is_refused_where_it_stands(
    stack: Stack, alice: Client, input: dict[str, Any], type: str, code: str, field: list[str]
) -> None:
    error = only_error(await connect(alice, **input))

    assert (error["__typename"], error["code"], error["field"]) == (type, code, field)
    assert (await alice.ask("{ links { id } }")) == {"links": []}


async def test_exactly_one_way_to_connect_is_given(alice: Client) -> None:
    for using in ({}, {"nothing": True, "oauth": {}}, {"nothing": None}):
        [error] = await alice.errors(
            "mutation($i: ConnectProviderInput!) { connectProvider(input: $i) { errors { code } } }",
            i={"provider": "sandbox", "using": using},
        )
        assert error["extensions"]["code"] == "BAD_USER_INPUT"


async def test_a_provider_that_is_down_cannot_be_connected(alice: Client) -> None:
    payload = await connect_scenario(alice, "down")

    error = only_error(payload)
    assert (error["__typename"], error["code"]) == ("ProviderUnavailable", "PROVIDER_UNAVAILABLE")
    assert error["provider"] == {"slug": "sandbox"}
    assert payload["link"] is None
    assert (await alice.ask("{ links { id } }")) == {"links": []}


async def test_a_login_whose_tokens_die_at_once_needs_new_consent(alice: Client) -> None:
    link = (await connect_scenario(alice, "expired"))["link"]

    await sync(alice, linkId=link["id"])  # waits for the run of connecting, or comes after its end
    run = (await alice.ask(RUN, id=link["lastRun"]["id"]))["syncRun"]

    assert run["status"] == "FAILED"
    assert run["error"]["__typename"] == "CredentialsRejected"
    assert run["link"]["status"] == "NEEDS_REAUTHORIZATION"
    error = only_error(await sync(alice, linkId=link["id"]))
    assert (error["__typename"], error["code"]) == ("Conflict", "LINK_NOT_ACTIVE")
    assert (await sync(alice)) == {"runs": [], "errors": []}


async def test_what_a_hostile_provider_sends_is_kept_in_quarantine(alice: Client) -> None:
    await connect_scenario(alice, "hostile")

    [run] = (await sync(alice))["runs"]

    assert run["status"] in ("SUCCEEDED", "PARTIAL")
    found = await alice.ask(
        "query($id: ID!) { syncRun(id: $id) { transactions { quarantined } "
        "quarantine(first: 500) { id kind reason raw } } }",
        id=run["id"],
    )
    rows = found["syncRun"]["quarantine"]
    assert rows
    assert all(row["reason"] and row["raw"] for row in rows)
    counted = sum(run[kind]["quarantined"] for kind in ("accounts", "holdings", "transactions"))
    assert counted == len(rows)
    replayed = await alice.do(
        "mutation($id: ID!) { replayQuarantine(runId: $id) { run { id quarantine { id } } errors { code } } }",
        id=run["id"],
    )
    assert replayed["errors"] == []


async def test_a_second_sync_at_once_is_too_soon_unless_it_is_forced(alice: Client) -> None:
    link_id = await linked(alice)
    first = await sync(alice, linkId=link_id)  # a CONNECT run does not count
    assert first["errors"] == []
    [run] = first["runs"]
    assert run["trigger"] == "USER"
    assert run["transactions"]["created"] == 0

    for input in ({"linkId": link_id}, {}):
        error = only_error(await sync(alice, **input))
        assert (error["__typename"], error["code"]) == ("RateLimited", "SYNC_TOO_SOON")
        assert 0 < error["retryAfterSeconds"] <= 300

    [forced] = (await sync(alice, linkId=link_id, force=True))["runs"]
    assert forced["status"] == "SUCCEEDED"
    for kind in ("accounts", "holdings", "transactions"):
        assert forced[kind]["created"] == forced[kind]["updated"] == 0
        assert forced[kind]["unchanged"] > 0


@pytest.mark.parametrize(
    ("input", "field"),
    [
        ({"linkId": ABSENT, "accountId": ABSENT}, ["input", "accountId"]),
        ({"scopes": []}, ["input", "scopes"]),
        ({"from": "2026-02-01", "to": "2026-01-01"}, ["input", "from"]),
        ({"waitSeconds": 26}, ["input", "waitSeconds"]),
        ({"waitSeconds": -1}, ["input", "waitSeconds"]),
    ],
)
async def test_a_sync_that_makes_no_sense_is_refused(
    household: tuple[Client, str], input: dict[str, Any], field: list[str]
) -> None:
    error = only_error(await sync(household[0], **input))

    assert (error["__typename"], error["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert error["field"] == field


async def test_what_is_anothers_is_not_found(household: tuple[Client, str], bob: Client) -> None:
    owner, link_id = household
    account = (await owner.ask("{ accounts { id } }"))["accounts"][0]["id"]
    run = (await owner.ask("{ syncRuns(first: 1) { nodes { id } } }"))["syncRuns"]["nodes"][0]["id"]
    attempts = [
        (SYNC, {"input": {"linkId": link_id}}),
        (SYNC, {"input": {"accountId": account}}),
        (
            "mutation($i: ID!) { cancelSync(runId: $i) { run { id } errors { __typename code field } } }",
            {"i": run},
        ),
        (
            "mutation($i: ID!) { undoImport(runId: $i) { run { id } errors { __typename code field } } }",
            {"i": run},
        ),
        (
            "mutation($i: ID!) { replayQuarantine(runId: $i) { run { id } errors { __typename code field } } }",
            {"i": run},
        ),
        (
            "mutation($i: ID!) { disconnect(linkId: $i, deleteData: true) { link { id } errors { __typename code field } } }",
            {"i": link_id},
        ),
        (
            "mutation($i: ID!) { updateLink(input: {linkId: $i, alias: null}) { link { id } errors { __typename code field } } }",
            {"i": link_id},
        ),
    ]
    for mutation, variables in attempts:
        error = (await bob.do(mutation, **variables))["errors"][0]
        assert (error["__typename"], error["code"]) == ("NotFound", "NOT_FOUND"), mutation
        assert error["field"], mutation
    for query, id in (("link", link_id), ("account", account), ("syncRun", run), ("node", run)):
        assert await bob.ask(f"query($i: ID!) {{ {query}(id: $i) {{ id }} }}", i=id) == {
            query: None
        }
    assert (await owner.ask(LINK, id=link_id))["link"]["status"] == "ACTIVE"


async def test_a_links_alias_and_interval_are_changed_cleared_or_left_alone(
    household: tuple[Client, str],
) -> None:
    client, link_id = household
    update = """mutation($input: UpdateLinkInput!) { updateLink(input: $input) {
      link { alias syncEverySeconds } errors { code field } } }"""

    both = await client.do(
        update, input={"linkId": link_id, "alias": "Ours", "syncEverySeconds": 7200}
    )
    kept = await client.do(update, input={"linkId": link_id})
    cleared = await client.do(
        update, input={"linkId": link_id, "alias": None, "syncEverySeconds": None}
    )
    refused = await client.do(update, input={"linkId": link_id, "syncEverySeconds": 5})

    assert both == kept == {"link": {"alias": "Ours", "syncEverySeconds": 7200}, "errors": []}
    assert cleared["link"] == {"alias": None, "syncEverySeconds": None}
    assert only_error_of(refused) == ("INVALID_INPUT", ["input", "syncEverySeconds"])


def only_error_of(payload: dict[str, Any]) -> tuple[str, list[str]]:
    [error] = payload["errors"]
    return error["code"], error["field"]


async def test_a_run_is_cancelled_and_an_ended_one_is_given_back(alice: Client) -> None:
    cancel = """mutation($id: ID!) { cancelSync(runId: $id) {
      run { id status } errors { code } } }"""
    connected = await connect_scenario(alice, "large")
    run_id = connected["link"]["lastRun"]["id"]

    asked = await alice.do(cancel, id=run_id)
    [ended] = (await sync(alice, linkId=connected["link"]["id"]))["runs"]
    again = await alice.do(cancel, id=run_id)

    assert asked["errors"] == []
    assert asked["run"]["status"] in ("RUNNING", "CANCELLED")
    assert again["run"] == {"id": run_id, "status": "CANCELLED"}
    assert ended["status"] in ("CANCELLED", "SUCCEEDED")  # joined it, or was queued after it


async def test_a_disconnected_link_keeps_its_accounts_until_their_data_is_deleted(
    alice: Client,
) -> None:
    link_id = await linked(alice)
    disconnect = """mutation($id: ID!, $delete: Boolean!) {
      disconnect(linkId: $id, deleteData: $delete) { link { id status } errors { code } } }"""
    worth = "{ netWorth { total { amount } } accounts { name } links { id } }"
    before = await alice.ask(worth)

    ended = await alice.do(disconnect, id=link_id, delete=False)
    after = await alice.ask(worth)
    error = only_error(await sync(alice, linkId=link_id))
    deleted = await alice.do(disconnect, id=link_id, delete=True)
    gone = await alice.ask(worth)

    assert ended == {"link": {"id": link_id, "status": "DISCONNECTED"}, "errors": []}
    assert after == {**before, "links": []}
    assert (error["__typename"], error["code"]) == ("Conflict", "LINK_NOT_ACTIVE")
    assert deleted["link"]["status"] == "DISCONNECTED"
    assert gone == {"netWorth": {"total": {"amount": "0.00"}}, "accounts": [], "links": []}
    named = await alice.ask("{ links(status: [DISCONNECTED]) { id nextSyncAt } }")
    assert named == {"links": [{"id": link_id, "nextSyncAt": None}]}


async def test_a_files_link_cannot_be_synced(alice: Client) -> None:
    await import_file(alice, a_statement("-1.00"))
    [link] = (await alice.ask("{ links { id provider { slug } nextSyncAt } }"))["links"]
    assert (link["provider"]["slug"], link["nextSyncAt"]) == ("file", None)

    error = only_error(await sync(alice, linkId=link["id"]))

    assert (error["__typename"], error["code"]) == ("Conflict", "LINK_NOT_ACTIVE")
    assert await sync(alice) == {"runs": [], "errors": []}


async def test_whoever_may_only_read_changes_nothing(stack: Stack) -> None:
    from domain.identity import Role

    async with stack.somebody(Role.READONLY) as reader:
        error = only_error(await connect(reader))
        imported = await import_file(reader, a_statement("-1.00"))

        assert (error["__typename"], error["code"]) == ("NotPermitted", "NOT_PERMITTED")
        assert only_error(imported)["code"] == "NOT_PERMITTED"
        assert await reader.ask("{ links { id } accounts { id } }") == {"links": [], "accounts": []}
        assert await reader.do("mutation { signOut { signedOut } }") == {"signedOut": True}
