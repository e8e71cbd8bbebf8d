"""Findings and quarantine as a client sees them."""

from typing import Any

import asyncpg
import httpx2

from tests.e2e.linking import brokerages, checking, connect_scenario, import_file, linked, sync
from tests.e2e.stack import Client, Stack
from tests.e2e.test_dashboard import counted
from tests.ofx.samples import bank, transaction

CHECK = "{ accounts { id name type reconciliation { balanced checkedAt findings { code message expected { amount currency } actual { amount currency } difference { amount currency } } } } }"
FEW = "{ accounts { reconciliation { balanced } } }"
RUN = "query($id: ID!, $n: Int! = 100) { syncRun(id: $id) { id accounts { quarantined } holdings { quarantined } transactions { quarantined } quarantine(first: $n) { id kind reason line raw } } }"


async def checked(client: Client) -> dict[str, dict[str, Any]]:
    return {a["name"]: a["reconciliation"] for a in (await client.ask(CHECK))["accounts"]}


async def test_the_sandbox_is_balanced_until_somebody_changes_a_figure(
    stack: Stack, alice: Client
) -> None:
    await linked(alice)
    await sync(alice, force=True)
    found = await checked(alice)
    assert len(found) == 6
    assert all(
        one["balanced"] and one["checkedAt"] and not one["findings"] for one in found.values()
    )

    mine = "(SELECT user_id FROM users WHERE email = $1)"
    spy = await asyncpg.connect(stack.database.superuser_url)
    try:
        await spy.execute(
            f"UPDATE accounts SET balance = balance + 0.01 WHERE user_id = {mine} AND type IN"
            " ('BROKERAGE', 'SAVINGS')",
            alice.email,
        )
    finally:
        await spy.close()
    found = await checked(alice)
    wrong = {name: one for name, one in found.items() if not one["balanced"]}
    assert wrong.keys() == {"Individual Brokerage", "High-Yield Savings"}
    codes = {name: [f["code"] for f in one["findings"]] for name, one in wrong.items()}
    assert codes == {
        "Individual Brokerage": ["POSITIONS_AND_CASH"],
        "High-Yield Savings": ["TRANSACTIONS_AND_BALANCE"],
    }
    for one in wrong.values():
        [finding] = one["findings"]
        assert finding["difference"] == {"amount": "0.01", "currency": "USD"}
        assert finding["message"]


async def test_the_statements_of_reconciling_do_not_depend_on_how_much_there_is(
    stack: Stack,
) -> None:
    counts = []
    sent: list[str] = []
    async with counted(stack, sent) as url:
        for accounts in (1, 10, 100):
            async with stack.somebody() as client:
                await import_file(client, brokerages(accounts))
                await import_file(client, checking("-1.00"))
                headers = {"authorization": f"Bearer {client.token}"}
                async with httpx2.AsyncClient(base_url=url, headers=headers) as http:
                    # By which the gateway learns how many accounts there are, until they change.
                    await http.post("/graphql", json={"query": "{ accounts { id } }"})
                    sent.clear()
                    answer = (await http.post("/graphql", json={"query": FEW})).json()
                    counts.append(sorted(s for s in sent if s != "ROLLBACK" and "BEGIN" not in s))
            assert len(answer["data"]["accounts"]) == accounts + 1, answer
            assert all(a["reconciliation"]["balanced"] for a in answer["data"]["accounts"])
    assert counts[0] == counts[1] == counts[2]
    assert len(counts[0]) == 3


# ── quarantine ──────────────────────────────────────────────────────────────


async def test_what_a_hostile_feed_sent_is_shown_in_its_order_and_by_the_piece(
    alice: Client,
) -> None:
    await connect_scenario(alice, "hostile")
    [run] = (await sync(alice))["runs"]
    whole = (await alice.ask(RUN, id=run["id"]))["syncRun"]
    rows = whole["quarantine"]
    parts = ("accounts", "holdings", "transactions")
    assert len(rows) == sum(whole[part]["quarantined"] for part in parts) == 26
    assert all(row["reason"] and len(row["raw"]) <= 8_192 for row in rows)
    assert len({row["id"] for row in rows}) == 26
    assert [row["kind"] for row in rows] == sorted(row["kind"] for row in rows)  # A, H, T
    bad = [row["raw"].split('"bad-')[1] for row in rows if '"bad-' in row["raw"]]
    assert [int("".join(c for c in one[:2] if c.isdigit())) for one in bad[:14]] == [*range(1, 15)]

    few = (await alice.ask(RUN, id=run["id"], n=3))["syncRun"]["quarantine"]
    assert few == rows[:3]
    for number in (0, -1, 501):
        [error] = await alice.errors(RUN, id=run["id"], n=number)
        assert error["extensions"]["code"] == "BAD_USER_INPUT"
    again = await alice.ask(
        "{ links { lastRun { id quarantine { id } } } syncRuns { nodes { id quarantine(first: 2) { id } } } }"
    )
    assert again["links"][0]["lastRun"]["quarantine"] == [{"id": row["id"]} for row in rows]
    assert again["syncRuns"]["nodes"][0]["quarantine"] == [{"id": row["id"]} for row in rows[:2]]


async def test_what_a_bad_file_holds_is_shown_by_its_lines(stack: Stack, alice: Client) -> None:
    file = bank(
        "".join(transaction(TRNAMT="-1.00" if n % 3 else "a lot", FITID=f"f{n}") for n in range(30))
    )
    run = (await import_file(alice, file))["run"]
    found = (await alice.ask(RUN, id=run["id"]))["syncRun"]

    lines = [row["line"] for row in found["quarantine"]]
    assert len(lines) == found["transactions"]["quarantined"] == 10
    assert lines == sorted(lines)
    assert all("a lot" in row["raw"] for row in found["quarantine"])
    async with stack.somebody() as bob:
        assert (await bob.ask(RUN, id=run["id"])) == {"syncRun": None}


async def test_quarantine_of_many_runs_at_once_has_an_end(alice: Client) -> None:
    """A row may be as large as ten other objects, and is counted so."""
    await import_file(alice, bank(transaction(TRNAMT="a lot")))
    for n in range(10):
        await import_file(alice, bank(transaction(TRNAMT="a lot", FITID=f"g{n}")))
    document = "query($n: Int!) { syncRuns(first: 20) { nodes { quarantine(first: $n) { id } } } }"

    assert len((await alice.ask(document, n=100))["syncRuns"]["nodes"]) == 11
    [error] = await alice.errors(document, n=500)
    assert error["extensions"]["code"] == "TOO_COMPLEX"
