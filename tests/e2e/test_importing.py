"""Statement files, uploaded as a browser does it."""

import asyncio
from typing import Any

import pytest

from tests.e2e.linking import checking, import_file, upload
from tests.e2e.stack import Client, Stack
from tests.ofx.samples import CHASE_CARD, bank, many, transaction

UNDO = "mutation($id: ID!) { undoImport(runId: $id) { run { id status } errors { code field } } }"


def counts(created: int, unchanged: int = 0) -> dict[str, int]:
    return {"created": created, "updated": 0, "unchanged": unchanged, "quarantined": 0}


def refusal(payload: dict[str, Any]) -> dict[str, Any]:
    assert payload["run"] is payload["preview"] is None
    assert payload["accounts"] == []
    [error] = payload["errors"]
    found: dict[str, Any] = error
    return found


async def test_a_card_statement_becomes_an_account_and_its_transactions(alice: Client) -> None:
    payload = await import_file(alice, CHASE_CARD.encode("cp1252"), provider="chase")

    run = payload["run"]
    assert payload["errors"] == []
    assert (run["status"], run["trigger"], run["progress"]) == ("SUCCEEDED", "IMPORT", 1.0)
    assert (run["accounts"], run["transactions"]) == (counts(1), counts(3))
    [account] = payload["accounts"]
    assert (account["mask"], account["type"]) == ("4242", "CREDIT_CARD")
    assert account["balance"] == {"amount": "-1234.56", "currency": "USD"}
    seen = await alice.ask(
        "{ accounts { institution transactions { nodes { date description amount { amount } } } } }"
    )
    [card] = seen["accounts"]
    assert card["institution"] == "Chase"
    rows = [(t["date"], t["amount"]["amount"]) for t in card["transactions"]["nodes"]]
    assert sorted(rows) == [
        ("2026-01-05", "-2.94"),
        ("2026-01-05", "-98.03"),
        ("2026-01-07", "500.00"),
    ]
    assert any("CAFÉ DE LA GARE" in t["description"] for t in card["transactions"]["nodes"])


async def test_a_dry_run_says_what_would_be_done_and_does_nothing(alice: Client) -> None:
    payload = await import_file(alice, checking("-1.00", "-2.50"), dryRun=True)

    assert payload["errors"] == []
    assert payload["run"] is None
    assert payload["accounts"] == []
    [account] = payload["preview"]["accounts"]
    assert (account["mask"], account["type"], account["isNew"]) == ("1001", "CHECKING", True)
    assert account["transactions"] == {"created": 2, "unchanged": 0}
    assert account["balance"] == {"amount": "10.00"}
    assert await alice.ask("{ accounts { id } links { id } syncRuns { nodes { id } } }") == {
        "accounts": [],
        "links": [],
        "syncRuns": {"nodes": []},
    }


async def test_the_same_file_again_changes_nothing(alice: Client) -> None:
    file = checking("-1.00", "-2.50")
    first = await import_file(alice, file)

    again = await import_file(alice, file)
    preview = (await import_file(alice, file, dryRun=True))["preview"]

    assert again["errors"] == []
    assert again["accounts"] == first["accounts"]
    assert again["run"]["id"] != first["run"]["id"]
    assert (again["run"]["accounts"], again["run"]["transactions"]) == (counts(0, 1), counts(0, 2))
    [account] = preview["accounts"]
    assert (account["isNew"], account["transactions"]) == (False, {"created": 0, "unchanged": 2})


async def test_the_next_statement_adds_only_what_is_new(alice: Client) -> None:
    await import_file(alice, checking("-1.00", "-2.50"))

    payload = await import_file(alice, checking("-1.00", "-2.50", "-7.00"))

    assert payload["run"]["transactions"] == counts(1, 2)


async def test_an_import_is_taken_back_once(alice: Client) -> None:
    payload = await import_file(alice, checking("-1.00", "-2.50"))

    undone = await alice.do(UNDO, id=payload["run"]["id"])
    again = await alice.do(UNDO, id=payload["run"]["id"])

    assert undone["errors"] == []
    assert undone["run"] == {"id": payload["run"]["id"], "status": "CANCELLED"}
    assert (await alice.ask("{ accounts { id } transactions { totalCount } }")) == {
        "accounts": [],
        "transactions": {"totalCount": 0},
    }
    assert again["errors"] == [{"code": "CONFLICT", "field": ["runId"]}]
    redone = await import_file(alice, checking("-1.00", "-2.50"))
    assert redone["run"]["transactions"] == counts(2)


async def test_what_cannot_be_read_is_kept_and_shown(alice: Client) -> None:
    bad = transaction(TRNAMT="ten dollars", FITID="bad") + transaction(FITID="good")

    payload = await import_file(alice, bank(bad))

    run = payload["run"]
    assert run["transactions"]["created"] == 1
    assert run["transactions"]["quarantined"] == 1
    [row] = run["quarantine"]
    assert row["kind"] == "TRANSACTIONS"
    assert "ten dollars" in row["raw"]
    assert row["line"] > 1
    assert row["reason"]


@pytest.mark.parametrize(
    ("content", "has_line"),
    [
        (b"", False),
        (b" \n\t", False),
        (b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n1 0 obj", True),
        (b"date,amount\n2026-01-01,5", True),
        (checking("-1.00")[:-40], True),
        (b"\x00" * 1000, True),
    ],
    ids=["empty", "blank", "PDF", "CSV", "truncated", "zeros"],
)
async def test_what_is_no_statement_is_refused_with_the_line_where_there_is_one(
    alice: Client, content: bytes, has_line: bool
) -> None:
    for dry_run in (True, False):
        error = refusal(await import_file(alice, content, dryRun=dry_run))

        assert (error["__typename"], error["code"]) == ("UnreadableFile", "FILE_UNREADABLE")
        assert error["field"] == ["input", "file"]
        assert error["message"]
        assert (error["line"] is not None) is has_line, error
    assert await alice.ask("{ links { id } syncRuns { nodes { id } } }") == {
        "links": [],
        "syncRuns": {"nodes": []},
    }


async def test_a_file_over_ten_mebibytes_is_refused_as_data_and_far_more_at_the_edge(
    alice: Client,
) -> None:
    over = checking("-1.00").ljust(10 * 2**20 + 1)

    error = refusal(await import_file(alice, over))
    edge = await upload(alice, over.ljust((10 << 20) + (70 << 10)))

    assert (error["__typename"], error["code"]) == ("UnreadableFile", "FILE_TOO_LARGE")
    assert error["field"] == ["input", "file"]
    assert edge.status_code == 413
    assert edge.json()["errors"][0]["extensions"]["code"] == "BAD_REQUEST"


async def test_a_provider_that_takes_no_files_is_refused(alice: Client) -> None:
    for provider, code in (("sandbox", "INVALID_INPUT"), ("nobody", "PROVIDER_UNKNOWN")):
        error = refusal(await import_file(alice, checking("-1.00"), provider=provider))
        assert (error["code"], error["field"]) == (code, ["input", "provider"])


async def test_a_large_file_is_read_by_the_worker(stack: Stack, alice: Client) -> None:
    file = many(3_000).ljust(2 * 2**20 + 1)

    payload = await import_file(alice, file)

    run = payload["run"]
    assert payload["errors"] == []
    assert (run["status"], payload["accounts"]) == ("QUEUED", [])
    progress = [0.0]
    async with asyncio.timeout(60):
        while run["status"] in ("QUEUED", "RUNNING"):
            await asyncio.sleep(0.1)
            found = await alice.ask(
                "query($id: ID!) { syncRun(id: $id) { status progress transactions { created } } }",
                id=payload["run"]["id"],
            )
            run = found["syncRun"]
            progress.append(run["progress"])
    assert run["status"] == "SUCCEEDED"
    assert run["transactions"] == {"created": 3_000}
    assert progress == sorted(progress)
    counted = await alice.ask("{ transactions { totalCount } }")
    assert counted == {"transactions": {"totalCount": 3_000}}


async def test_two_files_at_once_do_not_mix(alice: Client) -> None:
    one, other = await asyncio.gather(
        import_file(alice, checking("-1.00")), import_file(alice, checking("-1.00", "-2.00"))
    )

    codes = [e["code"] for payload in (one, other) for e in payload["errors"]]
    assert codes in ([], ["CONFLICT"])  # another file of this institution is being imported
    after = await import_file(alice, checking("-1.00", "-2.00"))
    assert after["errors"] == []
    assert (await alice.ask("{ transactions { totalCount } }"))["transactions"]["totalCount"] == 2


async def test_a_file_by_json_is_no_upload(alice: Client) -> None:
    [error] = await alice.errors(
        'mutation($f: Upload!) { importStatement(input: {provider: "file", file: $f}) { errors { code } } }',
        f="text",
    )

    assert error["extensions"]["code"] == "BAD_USER_INPUT"
