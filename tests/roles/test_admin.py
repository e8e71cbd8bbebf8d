"""What an administrator looks at: people, by little; the queue; and nothing that is anybody's."""

import base64
import re
from collections.abc import AsyncIterator, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.identity import Actor, Role, new_id
from domain.jobs import JobsStatus
from schema.ids import global_id
from tests.e2e.linking import connect, import_file
from tests.e2e.stack import Client, make_user
from tests.ofx.samples import CHASE_CARD
from tests.postgres.writes.world import connected
from tests.roles.asking import every
from tests.roles.conftest import Home, at_home
from tests.servers import Database

USERS = """query($search: String, $first: Int! = 50, $after: String) {
  admin { users(search: $search, first: $first, after: $after) {
    nodes { id email emailVerified role createdAt lastSignInAt }
    edges { cursor node { email } }
    pageInfo { hasNextPage hasPreviousPage startCursor endCursor } } } }"""
NODE = "query($id: ID!) { node(id: $id) { __typename id ... on User { email role } } }"
JOBS = "{ admin { jobs { healthy queued running failedLastDay oldestQueuedSeconds } } }"


async def users(client: Client, **said: Any) -> dict[str, Any]:
    found: dict[str, Any] = (await client.ask(USERS, **said))["admin"]["users"]
    return found


async def addresses(client: Client, **said: Any) -> list[str]:
    return [node["email"] for node in (await users(client, **said))["nodes"]]


# ── people ──────────────────────────────────────────────────────────────────


async def test_a_person_is_shown_by_what_an_administrator_may_see(home: Home) -> None:
    before = datetime.now(UTC) - timedelta(seconds=1)
    async with home.somebody(Role.ADMIN) as admin, home.somebody(Role.USER) as person:
        new, _ = await home.person(Role.READONLY)

        [seen] = (await users(admin, search=person.email))["nodes"]
        [never] = (await users(admin, search=new))["nodes"]

    assert (seen["email"], seen["role"], seen["emailVerified"]) == (person.email, "USER", True)
    assert datetime.fromisoformat(seen["lastSignInAt"]) >= before
    assert datetime.fromisoformat(seen["createdAt"]) >= before
    assert (never["role"], never["lastSignInAt"]) == ("READONLY", None)


async def test_people_come_in_pages_by_address_each_once(home: Home) -> None:
    names = [f"page-{n}@pages.example" for n in (3, 1, 4, 0, 2)]
    for name in names:
        await make_user(home.wired, name)
    async with home.somebody(Role.ADMIN) as admin:
        found: list[str] = []
        after = None
        for expected in (2, 2, 1):
            page = await users(admin, search="@pages.example", first=2, after=after)
            assert len(page["nodes"]) == expected
            assert page["pageInfo"]["hasPreviousPage"] == (after is not None)
            assert [e["node"]["email"] for e in page["edges"]] == [
                n["email"] for n in page["nodes"]
            ]
            found += [node["email"] for node in page["nodes"]]
            after = page["pageInfo"]["endCursor"]
            assert page["pageInfo"]["hasNextPage"] == (len(found) < len(names))
        assert found == sorted(names)
        assert await addresses(admin, search="@pages.example", after=after) == []


async def test_a_search_is_a_part_of_the_address_taken_as_it_stands(home: Home) -> None:
    for name in ("a_b%c@literal.example", "axbyc@literal.example", "ü@literal.example"):
        await make_user(home.wired, name)
    async with home.somebody(Role.ADMIN) as admin:
        for search, found in (
            ("LITERAL.example", ["a_b%c@", "axbyc@", "ü@"]),
            ("_b%", ["a_b%c@"]),
            ("a_b", ["a_b%c@"]),
            ("a%c", []),
            ("Ü@Literal", ["ü@"]),
            ("' OR true --", []),
            ("\\", []),
            ("x" * 300_000, []),
        ):
            emails = await addresses(admin, search=search)
            local = [e for e in emails if e.endswith("@literal.example")]
            assert local == [f"{part}literal.example" for part in found], search[:20]
        everyone = await addresses(admin, first=500)
        assert await addresses(admin, search="", first=500) == everyone
        assert len(everyone) > 3


@pytest.mark.parametrize("said", [{"first": 0}, {"first": 501}, {"after": "x"}, {"after": ""}])
async def test_a_page_that_makes_no_sense_is_bad_input(home: Home, said: dict[str, Any]) -> None:
    async with home.somebody(Role.ADMIN) as admin:
        errors = await admin.errors(USERS, **said)

    assert [error["extensions"]["code"] for error in errors] == ["BAD_USER_INPUT"]


async def test_a_user_is_a_node_for_administrators_alone(home: Home) -> None:
    email, whom = await home.person(Role.USER)
    id = global_id("User", whom.user_id)
    shown = {"__typename": "User", "id": id, "email": email, "role": "USER"}
    async with home.somebody(Role.ADMIN) as admin, home.somebody(Role.USER) as user:
        me = await home.wired.app.doors.user_by_email(user.email)
        assert me is not None
        both = "query($ids: [ID!]!) { nodes(ids: $ids) { __typename id } }"
        absent = global_id("User", new_id())

        assert await admin.ask(NODE, id=id) == {"node": shown}
        assert await admin.ask(NODE, id=absent) == {"node": None}
        found = await admin.ask(both, ids=[id, absent, id])
        assert found == {"nodes": [{"__typename": "User", "id": id}, None] * 1 + found["nodes"][2:]}
        assert found["nodes"][2] == found["nodes"][0]
        for foreign in (id, absent, global_id("User", me.user.id), "VXNlcg=="):
            assert (await user.post(NODE, {"id": foreign})).json() == {"data": {"node": None}}
        mine = await user.ask("{ viewer { id } }")
        assert mine["viewer"]["id"] == global_id("Viewer", me.user.id)


# ── the queue ───────────────────────────────────────────────────────────────


@pytest.fixture
async def own(database: Database, tmp_path: Path) -> AsyncIterator[Home]:
    async with at_home(database, tmp_path) as opened:
        yield opened


async def test_the_queue_is_counted(own: Home) -> None:
    async with own.somebody(Role.ADMIN) as admin:

        async def jobs() -> dict[str, Any]:
            found: dict[str, Any] = (await admin.ask(JOBS))["admin"]["jobs"]
            return found

        await own.spy.execute("DELETE FROM jobs.pgqueuer")
        nothing = {"queued": 0, "running": 0, "failedLastDay": 0, "oldestQueuedSeconds": None}
        assert await jobs() == {"healthy": True, **nothing}

        await own.spy.execute(
            "INSERT INTO jobs.pgqueuer (priority, status, entrypoint, execute_after, heartbeat)"
            " VALUES (0, 'queued', 'a', now() - interval '30 s', now()),"
            " (0, 'queued', 'a', now() + interval '1 h', now()),"
            " (0, 'picked', 'a', now() - interval '1 day', now() - interval '5 min')"
        )
        await own.spy.execute(
            "INSERT INTO jobs.pgqueuer_log (job_id, status, priority, entrypoint, created) VALUES"
            " (1, 'exception', 0, 'a', now()), (2, 'exception', 0, 'a', now() - interval '25 h'),"
            " (3, 'successful', 0, 'a', now()), (4, 'queued', 0, 'a', now())"
        )
        found = await jobs()
        assert 30 <= found.pop("oldestQueuedSeconds") < 60
        assert found == {"healthy": True, "queued": 2, "running": 1, "failedLastDay": 1}

        await own.spy.execute("UPDATE jobs.pgqueuer SET execute_after = now() - interval '2 min'")
        assert (await jobs())["healthy"] is False  # and whoever ran the third is gone
        await own.spy.execute("UPDATE jobs.pgqueuer SET heartbeat = now()")
        assert (await jobs())["healthy"] is True


def test_what_is_healthy() -> None:
    def status(waited: timedelta | None, *, has_worker: bool) -> JobsStatus:
        return JobsStatus(
            queued=1, running=0, failed_last_day=0, oldest_queued=waited, has_worker=has_worker
        )

    assert status(None, has_worker=False).healthy
    assert status(timedelta(seconds=59), has_worker=False).healthy
    assert not status(timedelta(seconds=60), has_worker=False).healthy
    assert status(timedelta(hours=5), has_worker=True).healthy


# ── and nothing that is anybody's ───────────────────────────────────────────

CANARY = "CANARY-3f9a"
KINDS = {
    "Link": "links",
    "Account": "accounts",
    "Security": "securities",
    "Holding": "holdings",
    "Transaction": "transactions",
    "SyncRun": "sync_runs",
    "Session": "sessions",
    "AuditEntry": "audit_log",
}


@pytest.fixture
async def victim(own: Home) -> tuple[str, Actor, list[str]]:
    """Somebody's address, with one of everything, and the global ids of all of it."""
    async with own.somebody(Role.USER) as client:
        await connect(client, alias=CANARY)
        await import_file(client, CHASE_CARD.replace("CAFE", CANARY).encode("cp1252"))
        known = await own.wired.app.doors.user_by_email(client.email)
        assert known is not None
    actor = Actor(user_id=known.user.id, role=Role.USER)
    found: list[str] = [global_id("Viewer", actor.user_id)]
    for kind, table in KINDS.items():
        rows = await own.spy.fetch(
            f"SELECT id FROM {table} WHERE user_id = $1 ORDER BY id LIMIT 1", actor.user_id
        )
        found += [global_id(kind, row["id"]) for row in rows]
    return known.user.email, actor, found


async def test_an_administrator_reaches_nothing_of_another_by_any_field(
    own: Home, victim: tuple[str, Actor, list[str]]
) -> None:
    """Every root field with every id of theirs, selecting all there is below it."""
    email, whose, ids = victim
    assert {"Link", "Account", "Transaction", "SyncRun", "Session"} <= {kind(id) for id in ids}
    before = await rows_of(own, whose)
    async with own.somebody(Role.ADMIN) as admin:
        asked = [one for one in every(deep=3, operations=("query",)) if not one.takes_id]
        asked += [one for id in ids for one in every(id=id, deep=3) if one.takes_id]
        for one in asked:
            if one.operation == "subscription":
                continue
            text = (await admin.post(one.document)).text
            assert "GRAPHQL_VALIDATION_FAILED" not in text, (one.document, text)
            assert CANARY not in text, one.document
            if one.name != "admin":  # which names people, and in the audit log what they did
                assert not mentioned(text) & {*map(key, ids), whose.user_id}, one.document
    assert await rows_of(own, whose) == before

    async with own.somebody(None) as owner:  # for whom the same fields find it
        await owner.sign_in(email)
        found = "".join(
            [(await owner.post(one.document)).text for one in asked if one.operation == "query"]
        )
        assert CANARY in found
        assert mentioned(found) >= {*map(key, ids)}


async def test_what_an_administrator_sees_of_people_has_no_more_columns(own: Home) -> None:
    async with connected(own.database.app_url) as app:
        for door in ("people(NULL, NULL, 1)", "people_by_id('{}')"):
            statement = await app.prepare(f"SELECT * FROM {door}")
            assert [column.name for column in statement.get_attributes()] == [
                *("user_id", "email", "email_verified", "role", "created_at", "last_sign_in_at")
            ]


async def rows_of(home: Home, whose: Actor) -> dict[str, Sequence[str]]:
    """All that is theirs, but for what is about the session that they asked by."""
    return {
        table: [
            row["said"]
            for row in await home.spy.fetch(
                f"SELECT t::text AS said FROM {table} t WHERE user_id = $1 ORDER BY 1",
                whose.user_id,
            )
        ]
        for table in ("users", *KINDS.values(), "credentials", "refresh_tokens")
    }


def kind(id: str) -> str:
    return base64.b64decode(id).decode().partition(":")[0]


def key(id: str) -> UUID:
    return UUID(base64.b64decode(id).decode().partition(":")[2])


def mentioned(text: str) -> set[UUID]:
    """Every id that an answer has in it, ours or as it is stored."""
    found = {
        UUID(plain) for plain in re.findall(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", text)
    }
    for word in re.findall(r'"([A-Za-z0-9+/]{40,}={0,2})"', text):
        try:
            found.add(key(word))
        except ValueError:  # no id
            continue
    return found
