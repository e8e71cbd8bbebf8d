"""Global ids: found, or null and no more said."""

import base64
from uuid import uuid4

import pytest

from domain.identity import new_id
from schema.schema import schema
from tests.schema.builders import a_holding, a_link, a_run, a_transaction, an_account
from tests.schema.world import World, gid


async def test_every_node_is_found_again_by_its_id(world: World) -> None:
    link, account = a_link(world.ann), an_account()
    holding = a_holding(account)
    world.hers.links.append(link)
    world.hers.accounts.append(account)
    world.hers.holdings.append(holding)
    world.hers.transactions.append(transaction := a_transaction(account))
    world.hers.runs.append(run := a_run(link))
    ids = {
        "Viewer": world.ann.id,
        "Link": link.id,
        "Account": account.id,
        "Security": holding.security.id,
        "Holding": holding.id,
        "Transaction": transaction.id,
        "SyncRun": run.id,
    }
    node_types = {t.name for t in schema.get_possible_types(schema.type_map["Node"])}  # type: ignore[arg-type]
    # The others are no part of a ledger: tests/roles/test_admin.py finds them.
    assert node_types - ids.keys() == {"User", "Session", "AuditEntry"}

    for kind, id in ids.items():
        data = await world.get(
            "query ($id: ID!) { node(id: $id) { __typename id } }", {"id": gid(kind, id)}
        )
        assert data["node"] == {"__typename": kind, "id": gid(kind, id)}

    many = await world.get(
        "query ($ids: [ID!]!) { nodes(ids: $ids) { id } }",
        {"ids": [*(gid(k, i) for k, i in ids.items()), "nonsense", gid("Link", account.id)]},
    )
    assert [n and n["id"] for n in many["nodes"]] == [
        *(gid(k, i) for k, i in ids.items()),
        None,
        None,
    ]
    assert len(world.sent) == len(ids)


def strange_ids(world: World) -> list[str]:
    account, his = an_account(), an_account()
    world.hers.accounts.append(account)
    world.his.accounts.append(his)
    right = gid("Account", account.id)
    return [
        "",
        "nonsense",
        "é",
        "====",
        str(account.id),
        right.rstrip("=") + "\n",
        f" {right}",
        base64.b64encode(f"Account:{str(account.id).upper()}".encode()).decode(),
        base64.b64encode(f"Account:{account.id.hex}".encode()).decode(),
        base64.b64encode(f"account:{account.id}".encode()).decode(),
        base64.b64encode(b"Account:\xff").decode(),
        gid("Holding", account.id),
        gid("Nothing", account.id),
        gid("Account", uuid4()),
        gid("Account", his.id),
    ]


async def test_malformed_foreign_and_absent_ids_are_null_alike(world: World) -> None:
    strange = strange_ids(world)
    for id in strange:
        data = await world.get(
            "query ($id: ID!) { account(id: $id) { id } link(id: $id) { id } syncRun(id: $id) { id } }",
            {"id": id},
        )
        assert data == {"account": None, "link": None, "syncRun": None}, id
        if not id.startswith("QWNjb3VudDo"):
            assert (await world.get("query ($id: ID!) { node(id: $id) { id } }", {"id": id})) == {
                "node": None
            }
    data = await world.get(
        "query ($ids: [ID!]) { accounts(filter: {ids: $ids}) { id } balanceHistory(accountIds: $ids) { at } "
        "holdings(filter: {accountIds: $ids}) { totalCount } "
        "transactions(filter: {accountIds: $ids}) { totalCount } }",
        {"ids": strange},
    )
    assert data == {
        "accounts": [],
        "balanceHistory": [],
        "holdings": {"totalCount": 0},
        "transactions": {"totalCount": 0},
    }


async def test_an_id_may_be_a_number_that_is_nobodys(world: World) -> None:
    assert await world.get("{ account(id: 12) { id } }") == {"account": None}


@pytest.mark.parametrize(
    "field",
    [
        "nodes(ids: $ids) { id }",
        "accounts(filter: {ids: $ids}) { id }",
        "holdings(filter: {accountIds: $ids}) { totalCount }",
        "transactions(filter: {accountIds: $ids}) { totalCount }",
        "transactions(filter: {linkIds: $ids}) { totalCount }",
        "balanceHistory(accountIds: $ids) { at }",
    ],
)
async def test_500_ids_are_taken_and_501_refused(world: World, field: str) -> None:
    ids = [gid("Account", new_id()) for _ in range(501)]
    document = f"query ($ids: [ID!]!) {{ {field} }}"

    taken = await world.ask(document, {"ids": ids[:500]})
    refused = await world.ask(document, {"ids": ids})

    assert taken.errors == []
    assert [e["message"] for e in refused.errors] == ["at most 500 ids at a time"]
    assert refused.codes == ["BAD_USER_INPUT"]
