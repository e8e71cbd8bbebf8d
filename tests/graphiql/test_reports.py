"""What GraphiQL's panes ask the gateway for, and who gets it: what is published, and the SQL."""

import asyncio
import json
from collections.abc import AsyncIterator
from typing import Any

import httpx2
import pytest

from domain.identity import Role
from gateway.documents import builtin
from gateway.operations.sql_report import CHARACTERS_MAX, STATEMENTS_MAX, SqlReport
from gateway.processes import demo as person
from tests.e2e.stack import Client, Stack
from tests.graphiql.conftest import email_of, in_production
from tests.servers import Postgres

REPORTS = {"Dashtam-Cost": "report", "Dashtam-SQL": "report"}
LIST = "/graphiql/documents.json"
VIEWER = next(each for each in builtin.manifest() if each.name == "Viewer")
MINE = (
    "query($search: String) { transactions(first: 3, filter: {search: $search}) { nodes { id } } }"
)
MAKE = """mutation($name: String!) { createManualAccount(input: {
  name: $name, type: CHECKING, currency: "USD", balance: "12345.67"
}) { account { name } errors { message } } }"""


@pytest.fixture(scope="module")
async def production(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[dict[Role | None, Client]]:
    """A gateway of production that shows GraphiQL: an administrator, a user and nobody."""
    folder = tmp_path_factory.mktemp("production")
    async with in_production(postgres, folder, "log") as url:
        people = {}
        for role in (Role.ADMIN, Role.USER, None):
            people[role] = client = Client(httpx2.AsyncClient(base_url=url))
            if role is not None:
                await client.sign_in(email_of(role), delivery="COOKIE")
        yield people
        for client in people.values():
            await client.http.aclose()


async def test_in_production_administrators_alone_see_what_is_published(
    production: dict[Role | None, Client],
) -> None:
    for path in (LIST, f"/graphiql/documents/{VIEWER.sha256}.json"):
        answers = [await production[role].http.get(path) for role in (Role.ADMIN, Role.USER, None)]
        assert [answer.status_code for answer in answers] == [200, 403, 401]
        assert {answer.headers["cache-control"] for answer in answers} == {"no-store"}
        codes = [answer.json()["errors"][0]["extensions"]["code"] for answer in answers[1:]]
        assert codes == ["NOT_PERMITTED", "UNAUTHENTICATED"]
        assert VIEWER.sha256 not in answers[1].text + answers[2].text
        forged = {"authorization": "Bearer nothing"}
        assert (await production[None].http.get(path, headers=forged)).status_code == 401


async def test_a_document_is_listed_by_client_version_and_name_and_told_by_its_hash(
    demo: Stack,
) -> None:
    async with demo.nobody() as nobody:
        listed = (await nobody.http.get(LIST)).json()
        text = (await nobody.http.get(f"/graphiql/documents/{VIEWER.sha256}.json")).json()
        others = [
            (await nobody.http.get(f"/graphiql/documents/{name}.json")).status_code
            for name in ("0" * 64, "x", "%00", "..%2fsecret", "a" * 5_000, VIEWER.sha256.upper())
        ]
        posted = await nobody.http.post(LIST)

    assert {
        "client": "dashtam",
        "version": builtin.client().version,
        "id": VIEWER.id,
        "sha256": VIEWER.sha256,
        "name": "Viewer",
        "runs": True,
    } in listed["documents"]
    assert len(listed["documents"]) == len(builtin.manifest())
    assert listed["leftOut"] == 0
    assert text == {"text": VIEWER.text}
    assert others == [404] * 6
    assert posted.status_code == 405


async def test_in_production_no_sql_is_told_whoever_asks_and_however(
    production: dict[Role | None, Client],
) -> None:
    for role in (Role.ADMIN, Role.USER):
        for said in ("report", "Report", "true", "report, report"):
            headers = {"Dashtam-Cost": "report", "Dashtam-SQL": said}
            answer = await production[role].post("{ accounts { id } }", None, **headers)
            extensions = answer.json()["extensions"]
            assert [*extensions] == ["cost"]
            assert [*extensions["cost"]] == ["requested", "limit", "remaining", "resetAt"]


async def asked(client: Client, query: str, **variables: Any) -> dict[str, Any]:
    answer = (await client.post(query, variables, **REPORTS)).json()
    assert "errors" not in answer, answer
    found: dict[str, Any] = answer["extensions"]
    return found


async def test_in_development_each_statement_is_told_without_a_value(demo: Stack) -> None:
    async with demo.nobody() as client:
        await client.sign_in(person.EMAIL, person.PASSWORD)
        read = await asked(client, MINE, search="zanzibar")
        whose = (await client.ask("{ viewer { id } }"))["viewer"]["id"]
    async with demo.somebody() as client:
        wrote = await asked(client, MAKE, name="zanzibar")

    statements = [one["statement"] for one in read["sql"]]
    assert any(text.startswith("BEGIN ISOLATION LEVEL REPEATABLE READ") for text in statements)
    assert any("FROM transactions" in text for text in statements)
    assert any("INSERT INTO accounts" in one["statement"] for one in wrote["sql"])
    assert all({*one} == {"statement", "durationMs", "rows"} for one in read["sql"] + wrote["sql"])
    assert all(one["durationMs"] > 0 for one in read["sql"] + wrote["sql"])
    told = json.dumps([read["sql"], wrote["sql"]])
    assert not {value for value in ("zanzibar", "12345", whose, client.email) if value in told}
    assert read["cost"]["actual"] == 1
    assert read["cost"]["requested"] >= 3


async def test_an_operation_is_told_its_own_statements_and_only_where_it_asked(
    demo: Stack,
) -> None:
    async with demo.nobody() as client:
        await client.sign_in(person.EMAIL, person.PASSWORD)
        await client.ask("{ accounts { name } }")  # who it is, and has, is remembered
        alone = len((await asked(client, "{ accounts { name } }"))["sql"])
        asking = [asked(client, "{ accounts { name } }") for _ in range(4)]
        silent = [client.post("{ accounts { name } }") for _ in range(4)]
        together, others = await asyncio.gather(asyncio.gather(*asking), asyncio.gather(*silent))
        versioned = {"query": "{ accounts { name } }"}
        answers = [
            await client.http.get(
                "/graphql",
                params=versioned,
                headers={"authorization": f"Bearer {client.token}", **more},
            )
            for more in ({}, {"Dashtam-SQL": "report"})
        ]

    assert {len(each["sql"]) for each in together} == {alone}
    assert ["extensions" in answer.json() for answer in others] == [False] * 4
    assert ["etag" in answer.headers for answer in answers] == [True, False]


def test_of_many_statements_or_long_ones_the_first_are_told() -> None:
    report = SqlReport()
    for _ in range(STATEMENTS_MAX + 7):
        report.tell("SELECT " + "x" * 10_000, -1, 0.0015)

    assert (len(report.statements), report.left_out) == (STATEMENTS_MAX, 7)
    assert len(report.statements[0]["statement"]) <= CHARACTERS_MAX + 2
    assert report.statements[0]["durationMs"] == 1.5
    assert report.statements[0]["rows"] == 0
