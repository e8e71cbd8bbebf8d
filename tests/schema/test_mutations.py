"""Mutations: refusals are data, and what is left out stays."""

from dataclasses import replace
from typing import Any

import pytest

from domain.identity import Actor, Role
from tests.roles.asking import Asked, every
from tests.schema.builders import a_link, a_run, a_transaction, an_account
from tests.schema.world import World, gid

ERRORS = "errors { __typename code message field }"
SETTINGS = """mutation ($input: UpdateSettingsInput!) { updateSettings(input: $input) {
  viewer { baseCurrency timeZone sessionLimit } %s } }""".replace("%s", ERRORS)


async def settings(world: World, **input: Any) -> Any:
    return (await world.get(SETTINGS, {"input": input}))["updateSettings"]


async def test_what_is_left_out_stays_and_null_clears(world: World) -> None:
    world.hers.user = replace(world.ann, session_limit=5, time_zone="Europe/Berlin")

    untouched = await settings(world, baseCurrency="EUR")
    cleared = await settings(world, sessionLimit=None)

    assert untouched["viewer"] == {
        "baseCurrency": "EUR",
        "timeZone": "Europe/Berlin",
        "sessionLimit": 5,
    }
    assert cleared["viewer"]["sessionLimit"] is None
    assert cleared["viewer"]["baseCurrency"] == "EUR"
    assert cleared["errors"] == []


async def test_a_refusal_is_data_with_the_path_of_the_value(world: World) -> None:
    refused = await settings(world, timeZone="Mars/Olympus", baseCurrency="EUR")

    [error] = refused["errors"]
    assert refused["viewer"] is None
    assert error["__typename"] == "InvalidInput"
    assert (error["code"], error["field"]) == ("INVALID_INPUT", ["input", "timeZone"])
    assert world.hers.user.base_currency == "USD"
    assert world.store.audited[-2:] == [
        ("settings.update", "ATTEMPTED"),
        ("settings.update", "FAILED"),
    ]


async def test_what_a_role_may_not_do_is_refused_as_data(world: World) -> None:
    reader = Actor(user_id=world.ann.id, role=Role.READONLY)
    answer = await world.ask(SETTINGS, {"input": {}}, viewer=reader)

    assert answer.errors == []
    assert answer.data["updateSettings"]["errors"][0]["__typename"] == "NotPermitted"


async def test_a_bug_is_no_data(world: World) -> None:
    world.store.ledgers.pop(world.ann.id)
    answer = await world.ask(SETTINGS, {"input": {}}, viewer=world.ann)

    assert answer.codes == ["INTERNAL"]
    assert answer.data is None


async def test_a_scalar_that_does_not_coerce_is_an_error_of_the_request(world: World) -> None:
    answer = await world.ask(SETTINGS, {"input": {"baseCurrency": "usd"}})

    assert answer.data is None
    assert answer.codes == ["BAD_USER_INPUT"]
    assert world.store.audited == []


SIGNED_OUT = {"register", "verifyEmail", "signIn", "refreshSession"}
SIGNED_OUT |= {"requestPasswordReset", "resetPassword"}
MUTATIONS = [
    asked
    for asked in every(operations=("mutation",))
    if asked.name not in SIGNED_OUT and not asked.has_file
]


@pytest.mark.parametrize("asked", MUTATIONS, ids=lambda asked: asked.name)
async def test_signed_out_a_mutation_is_an_error_of_the_field(world: World, asked: Asked) -> None:
    answer = await world.ask(asked.document, viewer=None)

    assert answer.codes == ["UNAUTHENTICATED"]
    assert answer.data is None
    assert world.store.audited == []


@pytest.mark.parametrize(
    ("name", "argument", "kind", "path"),
    [
        ("updateLink", "input: {linkId: $id}", "Link", ["input", "linkId"]),
        ("disconnect", "linkId: $id", "Link", ["linkId"]),
        ("cancelSync", "runId: $id", "SyncRun", ["runId"]),
        ("undoImport", "runId: $id", "SyncRun", ["runId"]),
        ("replayQuarantine", "runId: $id", "SyncRun", ["runId"]),
        ("sync", "input: {linkId: $id}", "Link", ["input", "linkId"]),
        ("sync", "input: {accountId: $id}", "Account", ["input", "accountId"]),
        (
            "recordBalance",
            'input: {accountId: $id, balance: "1"}',
            "Account",
            ["input", "accountId"],
        ),
        ("deleteManualAccount", "accountId: $id", "Account", ["accountId"]),
        ("updateAccount", "input: {accountId: $id}", "Account", ["input", "accountId"]),
        (
            "updateTransaction",
            "input: {transactionId: $id}",
            "Transaction",
            ["input", "transactionId"],
        ),
    ],
    ids=lambda value: value if isinstance(value, str) else "",
)
async def test_malformed_foreign_and_absent_ids_are_not_found_alike(
    world: World, name: str, argument: str, kind: str, path: list[str]
) -> None:
    link = a_link(world.bob)
    account, run = an_account(link), a_run(link)
    world.his.links.append(link)
    world.his.accounts.append(account)
    world.his.runs.append(run)
    transaction = a_transaction(account)
    world.his.transactions.append(transaction)
    foreign = {
        "Link": link.id,
        "Account": account.id,
        "SyncRun": run.id,
        "Transaction": transaction.id,
    }[kind]
    found = []
    for id in ("nonsense", gid(kind, world.bob.id), gid(kind, foreign), gid("Viewer", foreign)):
        document = f"mutation ($id: ID!) {{ {name}({argument}) {{ {ERRORS} }} }}"
        [error] = (await world.get(document, {"id": id}))[name]["errors"]
        found.append(error)

    assert found[0]["__typename"] == "NotFound"
    assert (found[0]["code"], found[0]["field"]) == ("NOT_FOUND", path)
    assert all(error == found[0] for error in found)
