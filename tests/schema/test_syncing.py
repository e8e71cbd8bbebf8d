"""Asking for syncs, waiting for them, importing files."""

import asyncio
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import pytest

from domain.imports import Statement
from domain.sync import SyncScope, SyncStatus, Unreadable
from tests.schema.builders import NOW, a_link, a_run
from tests.schema.world import Told, World, gid

SYNC = """mutation ($input: SyncInput!) { sync(input: $input) {
  runs { id status trigger link { id } } errors { __typename code field } } }"""


async def test_a_sync_without_waiting_comes_back_queued(world: World) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)

    payload = (await world.get(SYNC, {"input": {}}))["sync"]

    [run] = payload["runs"]
    assert (run["status"], run["trigger"]) == ("QUEUED", "USER")
    assert run["link"]["id"] == gid("Link", link.id)
    assert len(world.opened) == 1


async def test_a_sync_waits_for_its_runs_and_holds_no_snapshot_meanwhile(world: World) -> None:
    told = Told()
    world.app = replace(world.app, movements=told)
    world.hers.links.extend([a_link(world.ann), a_link(world.ann, institution="Another")])
    asked = asyncio.ensure_future(world.get(SYNC, {"input": {"waitSeconds": 20}}))
    await asyncio.sleep(0.5)
    looked = len(world.opened)
    assert looked <= 2  # nobody said that anything moved
    assert world.left_open == 0
    assert told.watching == [run.id for run in world.hers.runs]
    for run in [*world.hers.runs]:
        world.hers.put("runs", replace(run, status=SyncStatus.SUCCEEDED, finished_at=NOW))
        told.moved.set()
        await asyncio.sleep(0.15)
    payload = (await asyncio.wait_for(asked, 1))["sync"]

    assert [r["status"] for r in payload["runs"]] == ["SUCCEEDED", "SUCCEEDED"]
    assert len(world.opened) <= looked + 2
    assert told.watching == []


async def test_a_run_of_which_nobody_tells_is_looked_at_all_the_same(world: World) -> None:
    world.hers.links.append(a_link(world.ann))
    asked = asyncio.ensure_future(world.get(SYNC, {"input": {"waitSeconds": 20}}))
    await asyncio.sleep(0.2)
    [run] = world.hers.runs
    world.hers.put("runs", replace(run, status=SyncStatus.SUCCEEDED, finished_at=NOW))
    payload = (await asyncio.wait_for(asked, 3))["sync"]

    assert [r["status"] for r in payload["runs"]] == ["SUCCEEDED"]


@pytest.mark.parametrize(
    ("provider", "code"), [("withdrawn", "PROVIDER_DISABLED"), ("file", "LINK_NOT_ACTIVE")]
)
async def test_a_link_that_cannot_be_pulled_says_whether_files_feed_it_or_nobody_does(
    world: World, provider: str, code: str
) -> None:
    link = a_link(world.ann, provider_slug=provider)
    world.hers.links.append(link)

    named = (await world.get(SYNC, {"input": {"linkId": gid("Link", link.id)}}))["sync"]
    every = (await world.get(SYNC, {"input": {}}))["sync"]

    assert [(e["__typename"], e["code"]) for e in named["errors"]] == [("Conflict", code)]
    assert named["runs"] == every["runs"] == every["errors"] == []


async def test_after_waiting_a_run_comes_back_as_it_is(world: World) -> None:
    world.hers.links.append(a_link(world.ann))
    loop = asyncio.get_running_loop()
    began = loop.time()

    payload = (await world.get(SYNC, {"input": {"waitSeconds": 1}}))["sync"]

    assert 0.9 < loop.time() - began < 3
    assert [r["status"] for r in payload["runs"]] == ["QUEUED"]


@pytest.mark.parametrize(
    ("input", "code", "field"),
    [
        ({"waitSeconds": 26}, "INVALID_INPUT", ["input", "waitSeconds"]),
        ({"waitSeconds": -1}, "INVALID_INPUT", ["input", "waitSeconds"]),
        ({"linkId": "x", "accountId": "y"}, "INVALID_INPUT", ["input", "accountId"]),
        ({"scopes": []}, "INVALID_INPUT", ["input", "scopes"]),
        ({"from": "2026-11-02", "to": "2026-11-01"}, "INVALID_INPUT", ["input", "from"]),
    ],
    ids=["long", "negative", "both", "nothing", "reversed"],
)
async def test_a_sync_that_makes_no_sense_is_refused(
    world: World, input: dict[str, Any], code: str, field: list[str]
) -> None:
    payload = (await world.get(SYNC, {"input": input}))["sync"]

    assert payload["runs"] == []
    assert (payload["errors"][0]["code"], payload["errors"][0]["field"]) == (code, field)


async def test_a_sync_too_soon_is_rate_limited_unless_forced(world: World) -> None:
    link = a_link(world.ann)
    world.hers.links.append(link)
    world.hers.runs.append(a_run(link, finished_at=NOW - timedelta(minutes=1)))
    named = {"linkId": gid("Link", link.id)}

    soon = (await world.get(SYNC, {"input": named}))["sync"]
    forced = (await world.get(SYNC, {"input": named | {"force": True}}))["sync"]

    assert soon["errors"][0]["code"] == "SYNC_TOO_SOON"
    assert soon["errors"][0]["__typename"] == "RateLimited"
    assert len(forced["runs"]) == 1


async def test_a_queued_run_is_cancelled_at_once(world: World) -> None:
    link = a_link(world.ann)
    run = a_run(link, status=SyncStatus.QUEUED)
    world.hers.links.append(link)
    world.hers.runs.append(run)
    data = await world.get(
        "mutation ($id: ID!) { cancelSync(runId: $id) { run { status finishedAt } errors { code } } }",
        {"id": gid("SyncRun", run.id)},
    )

    assert data["cancelSync"] == {
        "run": {"status": "CANCELLED", "finishedAt": "2026-11-21T20:59:00Z"},
        "errors": [],
    }


IMPORT = """mutation ($input: ImportStatementInput!) { importStatement(input: $input) {
  run { id } accounts { id } preview { institution }
  errors { __typename code field ... on UnreadableFile { line } } } }"""


@dataclass(frozen=True)
class File:
    content: bytes
    filename: str = "statement.qfx"
    content_type: str = "application/octet-stream"


async def test_a_file_that_cannot_be_read_says_where(world: World) -> None:
    input = {"provider": "file", "file": File(b"nonsense")}
    payload = (await world.get(IMPORT, {"input": input}))["importStatement"]

    assert (payload["run"], payload["accounts"], payload["preview"]) == (None, [], None)
    assert payload["errors"] == [
        {
            "__typename": "UnreadableFile",
            "code": "FILE_UNREADABLE",
            "field": ["input", "file"],
            "line": 1,
        }
    ]


async def test_a_file_over_10_mb_is_too_large(world: World) -> None:
    input = {"provider": "file", "file": File(b"x" * (10 * 2**20 + 1))}
    payload = (await world.get(IMPORT, {"input": input}))["importStatement"]

    assert payload["errors"][0]["code"] == "FILE_TOO_LARGE"


async def test_text_in_the_place_of_a_file_is_refused(world: World) -> None:
    answer = await world.ask(IMPORT, {"input": {"provider": "file", "file": "text"}})

    assert answer.data is None
    assert "multipart" in answer.errors[0]["message"]


async def test_signed_out_a_file_is_refused_before_it_is_looked_at(world: World) -> None:
    input = {"provider": "file", "file": File(b"nonsense")}
    answer = await world.ask(IMPORT, {"input": input}, viewer=None)

    assert answer.codes == ["UNAUTHENTICATED"]


async def test_a_dry_run_shows_what_could_not_be_read_and_keeps_nothing(world: World) -> None:
    odd = [
        Unreadable(scope=SyncScope.TRANSACTIONS, reason="NaN", raw="<A>", line=n) for n in (3, 4)
    ]
    statement = Statement(institution="Some Bank", accounts=(), unreadable=odd)
    world.app = replace(world.app, read_statement=lambda *_: statement)
    input = {"provider": "file", "file": File(b"anything"), "dryRun": True}
    rows = "preview { institution accounts { name } unreadable { id kind reason line raw } }"
    document = IMPORT.replace("preview { institution }", rows)

    payload = (await world.get(document, {"input": input}))["importStatement"]

    assert (payload["run"], payload["accounts"], payload["errors"]) == (None, [], [])
    assert (payload["preview"]["institution"], payload["preview"]["accounts"]) == ("Some Bank", [])
    shown = payload["preview"]["unreadable"]
    assert len({row.pop("id") for row in shown}) == 2
    assert shown == [
        {"kind": "TRANSACTIONS", "reason": "NaN", "line": n, "raw": "<A>"} for n in (3, 4)
    ]
    assert (world.hers.links, world.hers.runs, world.hers.quarantine) == ([], [], [])


async def test_a_preview_shows_a_bounded_part_of_what_could_not_be_read(world: World) -> None:
    odd = [
        Unreadable(scope=SyncScope.TRANSACTIONS, reason="NaN", raw="x" * 50_000, line=n)
        for n in range(1, 5_000)
    ]
    statement = Statement(institution=None, accounts=(), unreadable=odd)
    world.app = replace(world.app, read_statement=lambda *_: statement)
    input = {"provider": "file", "file": File(b"anything"), "dryRun": True}
    document = IMPORT.replace("preview { institution }", "preview { unreadable { line raw } }")

    payload = (await world.get(document, {"input": input}))["importStatement"]

    shown = payload["preview"]["unreadable"]
    assert shown == [{"line": n, "raw": "x" * 2_000} for n in range(1, 101)]
