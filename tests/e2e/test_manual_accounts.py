"""Manual accounts and owners' words, over HTTP: whatever is sent, and whoever sends it."""

import asyncio
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from domain.identity import Role
from tests.e2e.linking import checking, import_file, linked, sync
from tests.e2e.stack import Client, Stack

ERRORS = "errors { __typename code message field ... on Conflict { existingId } }"
ACCOUNT = "account { id name nickname institution type group mask isActive asOf includedInNetWorth balance { amount currency } availableBalance { amount } link { id } provider { slug enabled } reconciliation { balanced checkedAt } latestBalance { source balance { amount } } }"
CREATE = f"mutation Create($input: CreateManualAccountInput!) {{ createManualAccount(input: $input) {{ {ACCOUNT} {ERRORS} }} }}"
RECORD = f"mutation Record($input: RecordBalanceInput!) {{ recordBalance(input: $input) {{ {ACCOUNT} {ERRORS} }} }}"
DELETE = (
    f"mutation Delete($id: ID!) {{ deleteManualAccount(accountId: $id) {{ deletedId {ERRORS} }} }}"
)
UPDATE = f"mutation Update($input: UpdateAccountInput!) {{ updateAccount(input: $input) {{ {ACCOUNT} {ERRORS} }} }}"
SAY = f"mutation Say($input: UpdateTransactionInput!) {{ updateTransaction(input: $input) {{ transaction {{ id category notes description }} {ERRORS} }} }}"
WORTH = "{ netWorth { total { amount } liabilities { amount } byProvider { provider { slug } total { amount } accountCount } } }"
LISTED = "query($f: TransactionFilter, $o: TransactionOrder! = DATE_DESC, $n: Int! = 50, $a: String) { transactions(filter: $f, orderBy: $o, first: $n, after: $a) { totalCount nodes { id category date amount { amount } } pageInfo { hasNextPage endCursor } } }"


async def made(client: Client, **said: Any) -> dict[str, Any]:
    input = {"name": "House", "type": "OTHER", "currency": "USD", "balance": "250000.00", **said}
    return await client.do(CREATE, input=input)


async def a_house(client: Client, **said: Any) -> str:
    payload = await made(client, **said)
    assert payload["errors"] == []
    id: str = payload["account"]["id"]
    return id


def refusal(payload: dict[str, Any]) -> dict[str, Any]:
    [error] = payload["errors"]
    assert [value for name, value in payload.items() if name != "errors"] == [None]
    found: dict[str, Any] = error
    return found


# ── net worth and history ───────────────────────────────────────────────────


async def test_a_manual_account_counts_and_has_a_history(alice: Client) -> None:
    house = await a_house(alice)
    debt = await a_house(alice, name="Loan", type="LOAN", balance="-100000.00")
    worth = (await alice.ask(WORTH))["netWorth"]
    assert worth["total"]["amount"] == "150000.00"
    assert worth["liabilities"]["amount"] == "-100000.00"
    assert worth["byProvider"] == [
        {"provider": {"slug": "manual"}, "total": {"amount": "150000.00"}, "accountCount": 2}
    ]

    today = datetime.now(UTC)
    for days, balance in ((60, "240000.00"), (30, "245000.00")):
        at = (today - timedelta(days=days)).isoformat()
        await alice.do(RECORD, input={"accountId": house, "balance": balance, "at": at})
    now = await alice.do(RECORD, input={"accountId": house, "balance": "260000.00"})
    assert now["account"]["balance"]["amount"] == "260000.00"
    assert now["account"]["latestBalance"] == {
        "source": "MANUAL",
        "balance": {"amount": "260000.00"},
    }
    assert now["account"]["reconciliation"] == {"balanced": True, "checkedAt": None}

    since = (today - timedelta(days=61)).date().isoformat()
    said = await alice.ask(
        "query($a: ID!, $f: Date) { account(id: $a) { balanceHistory(from: $f) { balance { amount } } }"
        " netWorthHistory(from: $f) { total { amount } } netWorth { total { amount } } }",
        a=house,
        f=since,
    )
    points = [p["balance"]["amount"] for p in said["account"]["balanceHistory"]]
    assert (points[0], points[31], points[-1]) == ("240000.00", "245000.00", "260000.00")
    totals = [Decimal(p["total"]["amount"]) for p in said["netWorthHistory"]]
    assert totals[-1] == Decimal(said["netWorth"]["total"]["amount"]) == 160_000
    assert totals[-2] == 245_000  # the loan is known since today

    left_out = await alice.do(UPDATE, input={"accountId": debt, "includedInNetWorth": False})
    assert left_out["account"]["includedInNetWorth"] is False
    assert (await alice.ask(WORTH))["netWorth"]["total"]["amount"] == "260000.00"
    assert (await alice.do(DELETE, id=house)) == {"deletedId": house, "errors": []}
    assert refusal(await alice.do(DELETE, id=house))["code"] == "NOT_FOUND"
    left = await alice.ask("query($i: ID!) { account(id: $i) { id } node(id: $i) { id } }", i=house)
    assert left == {"account": None, "node": None}
    assert Decimal((await alice.ask(WORTH))["netWorth"]["total"]["amount"]) == 0


async def test_the_provider_of_manual_accounts_is_listed_and_links_nothing(alice: Client) -> None:
    offered = (await alice.ask("{ providers { slug authMethods capabilities enabled } }"))[
        "providers"
    ]
    assert {
        "slug": "manual",
        "authMethods": ["NONE"],
        "capabilities": [],
        "enabled": True,
    } in offered
    connect = 'mutation { connectProvider(input: {provider: "manual", using: {nothing: true}}) { link { id } errors { code field } } }'
    payload = await alice.do(connect)
    assert payload["link"] is None
    assert payload["errors"] == [{"code": "INVALID_INPUT", "field": ["input", "provider"]}]


# ── whatever is sent ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"name": ""}, "name"),
        ({"name": " \t\u2003\n "}, "name"),
        ({"name": "x" * 201}, "name"),
        ({"balance": "0.001"}, "balance"),
        ({"balance": "9" * 28}, "balance"),
        ({"balance": "-" + "9" * 16}, "balance"),
        ({"balance": "0." + "0" * 27 + "1", "currency": "BTC"}, "balance"),
        ({"balance": "1.5", "currency": "JPY"}, "balance"),
    ],
)
async def test_what_breaks_a_rule_is_refused_by_its_name(
    alice: Client, said: dict[str, str], field: str
) -> None:
    error = refusal(await made(alice, **said))

    assert (error["__typename"], error["code"]) == ("InvalidInput", "INVALID_INPUT")
    assert error["field"] == ["input", field]
    assert (await alice.ask("{ accounts { id } }"))["accounts"] == []


@pytest.mark.parametrize(
    "said",
    [
        {"type": "YACHT"},
        {"currency": "usd"},
        {"currency": "MILES"},
        {"balance": 1.5},
        {"balance": "1e5"},
        {"balance": "NaN"},
        {"balance": None},
        {"name": None},
        {"name": 7},
        {"name": "a\x00b"},
        {"balance": "1\x00"},
        {"colour": "red"},
    ],
)
async def test_what_is_no_value_at_all_is_an_error_of_the_request(
    alice: Client, said: dict[str, Any]
) -> None:
    input = {"name": "House", "type": "OTHER", "currency": "USD", "balance": "1.00", **said}
    answer = await alice.post(CREATE, {"input": input})

    assert answer.status_code in (200, 400)
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "BAD_USER_INPUT"


@pytest.mark.parametrize("name", ["\\ud800", "a\\u0000b", "\\udfff\\ud800"])
async def test_half_a_character_is_no_text(alice: Client, name: str) -> None:
    body = (
        '{"query": "mutation { createManualAccount(input: {name: \\"NAME\\", type: OTHER, '
        'currency: \\"USD\\", balance: \\"1\\"}) { errors { code } } }"}'
    ).replace("NAME", name.replace("\\", "\\\\"))
    headers = {"authorization": f"Bearer {alice.token}", "content-type": "application/json"}
    answer = await alice.http.post("/graphql", content=body, headers=headers)

    assert answer.status_code == 400, answer.text
    assert answer.json()["errors"][0]["extensions"]["code"] in (
        "BAD_USER_INPUT",
        "GRAPHQL_PARSE_FAILED",
    )


async def test_any_other_text_is_kept_as_it_was_written(alice: Client) -> None:
    name = "'; DROP TABLE accounts; -- \u202e\U0001f3e0 <b>%s</b> \\"

    payload = await made(alice, name=name)
    id = payload["account"]["id"]
    named = await alice.do(UPDATE, input={"accountId": id, "nickname": "\u00e9\U0001f3e0" * 100})

    assert payload["account"]["name"] == name
    assert named["account"]["nickname"] == "\u00e9\U0001f3e0" * 100


async def test_two_accounts_may_be_called_alike(alice: Client) -> None:
    both = await asyncio.gather(*(a_house(alice) for _ in range(5)))

    assert len(set(both)) == 5


@pytest.mark.parametrize(
    ("said", "field"),
    [
        ({"at": "2999-01-01T00:00:00Z"}, "at"),
        ({"at": "1899-12-31T23:59:59Z"}, "at"),
        ({"at": "0001-01-01T00:00:00Z"}, "at"),
        ({"balance": "0.001"}, "balance"),
        ({"balance": "-" + "9" * 16}, "balance"),
    ],
)
async def test_a_balance_that_breaks_a_rule_changes_nothing(
    alice: Client, said: dict[str, str], field: str
) -> None:
    id = await a_house(alice)
    error = refusal(await alice.do(RECORD, input={"accountId": id, "balance": "1.00", **said}))

    assert (error["__typename"], error["field"]) == ("InvalidInput", ["input", field])
    balance = "query($i: ID!) { account(id: $i) { balance { amount } } }"
    assert (await alice.ask(balance, i=id))["account"]["balance"]["amount"] == "250000.00"


# ── whose ───────────────────────────────────────────────────────────────────


async def test_somebody_elses_and_what_was_never_there_are_refused_with_the_same_bytes(
    stack: Stack, alice: Client
) -> None:
    hers = await a_house(alice)
    await import_file(alice, checking("-1.00"))
    [told] = (await alice.ask(LISTED))["transactions"]["nodes"]
    async with stack.somebody() as bob:
        gone = await a_house(bob)
        await bob.do(DELETE, id=gone)
        for document, given in (
            (RECORD, {"balance": "1"}),
            (DELETE, {}),
            (UPDATE, {"nickname": "mine"}),
            (SAY, {"notes": "mine"}),
        ):
            found = set()
            for id in (hers, told["id"], gone, "nonsense", ""):
                named = {"transactionId" if document == SAY else "accountId": id}
                answer = await bob.post(document, {"input": named | given, "id": id})
                found.add(answer.content)
                assert refusal(*answer.json()["data"].values())["code"] == "NOT_FOUND"
            assert len(found) == 1
    assert (await alice.ask("query($i: ID!) { account(id: $i) { nickname } }", i=hers)) == {
        "account": {"nickname": None}
    }


async def test_who_only_reads_and_who_is_nobody_changes_nothing(
    stack: Stack, nobody: Client
) -> None:
    id = "QWNjb3VudDox"
    attempts = (
        (CREATE, {"input": {"name": "x", "type": "OTHER", "currency": "USD", "balance": "1"}}),
        (RECORD, {"input": {"accountId": id, "balance": "1"}}),
        (DELETE, {"id": id}),
        (UPDATE, {"input": {"accountId": id, "nickname": "x"}}),
        (SAY, {"input": {"transactionId": id, "notes": "x"}}),
    )
    async with stack.somebody(Role.READONLY) as reader:
        for document, given in attempts:
            error = refusal(await reader.do(document, **given))
            assert (error["__typename"], error["code"]) == ("NotPermitted", "NOT_PERMITTED")
            [refused] = await nobody.errors(document, **given)
            assert refused["extensions"]["code"] == "UNAUTHENTICATED"


async def test_an_account_of_a_provider_is_in_conflict_with_its_link(alice: Client) -> None:
    await import_file(alice, checking("-1.00"))
    [fed] = (await alice.ask("{ accounts { id link { id } } }"))["accounts"]

    error = refusal(await alice.do(DELETE, id=fed["id"]))
    other = refusal(await alice.do(RECORD, input={"accountId": fed["id"], "balance": "1"}))

    for refused in (error, other):
        assert (refused["__typename"], refused["code"]) == ("Conflict", "CONFLICT")
        assert refused["existingId"] == fed["link"]["id"]
    assert (error["field"], other["field"]) == (["accountId"], ["input", "accountId"])


# ── at once ─────────────────────────────────────────────────────────────────


async def test_recording_and_deleting_at_once_ends_in_one_state(alice: Client) -> None:
    id = await a_house(alice)
    said = await asyncio.gather(
        *(alice.do(RECORD, input={"accountId": id, "balance": f"{n}.00"}) for n in range(6)),
        alice.do(DELETE, id=id),
        *(alice.do(RECORD, input={"accountId": id, "balance": f"{n}.00"}) for n in range(6)),
    )

    codes = {e["code"] for payload in said for e in payload["errors"]}
    assert codes <= {"NOT_FOUND"}
    assert (await alice.ask("{ accounts(filter: {includeInactive: true}) { id } }"))[
        "accounts"
    ] == []


async def test_two_balances_at_once_leave_one_of_them_and_both_in_the_history(
    alice: Client,
) -> None:
    id = await a_house(alice)
    await asyncio.gather(
        *(alice.do(RECORD, input={"accountId": id, "balance": f"{n}.00"}) for n in (1, 2))
    )
    said = await alice.ask(
        "query($i: ID!) { account(id: $i) { asOf balance { amount }"
        " balanceHistory(interval: RAW) { at balance { amount } } } }",
        i=id,
    )
    points = said["account"]["balanceHistory"]
    assert len(points) == 3
    assert points[-1]["balance"] == said["account"]["balance"]
    assert points[-1]["at"] == said["account"]["asOf"]


# ── what owners say of transactions ─────────────────────────────────────────


async def test_what_is_listed_counted_and_paged_is_what_is_shown(alice: Client) -> None:
    await linked(alice)
    every = (await alice.ask(LISTED, n=500))["transactions"]["nodes"]
    shown = [t for t in every if t["category"] is not None][:12]
    for number, one in enumerate(shown):
        said = await alice.do(SAY, input={"transactionId": one["id"], "category": "Own"})
        assert said["transaction"]["category"] == "Own", number
    ids = {t["id"] for t in shown}

    for order in ("DATE_DESC", "DATE_ASC", "AMOUNT_DESC", "AMOUNT_ASC"):
        found: list[dict[str, Any]] = []
        after = None
        while after is not None or not found:
            page = (await alice.ask(LISTED, f={"categories": ["Own"]}, o=order, n=5, a=after))[
                "transactions"
            ]
            assert page["totalCount"] == 12
            found += page["nodes"]
            after = page["pageInfo"]["endCursor"] if page["pageInfo"]["hasNextPage"] else None
        assert {t["id"] for t in found} == ids
        assert len(found) == 12
        keys = [Decimal(t["amount"]["amount"]) if "AMOUNT" in order else t["date"] for t in found]
        assert keys == sorted(keys, reverse=order.endswith("DESC"))

    of_provider = {"categories": [shown[0]["category"]]}
    rest = (await alice.ask(LISTED, f=of_provider, n=500))["transactions"]["nodes"]
    assert not ids & {t["id"] for t in rest}
    await alice.do(SAY, input={"transactionId": shown[0]["id"], "category": None})
    again = (await alice.ask(LISTED, f=of_provider, n=500))["transactions"]["nodes"]
    assert shown[0]["id"] in {t["id"] for t in again}
    await sync(alice, force=True)
    kept = (await alice.ask(LISTED, f={"categories": ["Own"]}))["transactions"]
    assert kept["totalCount"] == 11


@pytest.mark.parametrize(
    ("said", "field"), [({"category": "x" * 101}, "category"), ({"notes": "x" * 2_001}, "notes")]
)
async def test_what_is_said_of_a_transaction_has_an_end(
    alice: Client, said: dict[str, str], field: str
) -> None:
    await import_file(alice, checking("-1.00"))
    [told] = (await alice.ask(LISTED))["transactions"]["nodes"]

    error = refusal(await alice.do(SAY, input={"transactionId": told["id"], **said}))

    assert (error["__typename"], error["field"]) == ("InvalidInput", ["input", field])
