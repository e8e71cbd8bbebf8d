"""What a whole session leaves in the logs: enough to find a fault, nothing to steal."""

import asyncio
import re
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import asyncpg
import httpx2
import pytest

from tests.e2e.linking import CONNECT, checking, import_file, linked
from tests.e2e.stack import (
    PASSWORD,
    SIGN_IN,
    Program,
    a_free_port,
    a_stack,
    environment,
    running,
    until_ready,
)
from tests.servers import Postgres

TRACE = "0af7651916cd43dd8448eb211c80319c"
TRACEPARENT = f"00-{TRACE}-b7ad6b7169203331-01"
PLANTED = "planted7f3a"


async def test_logs_are_json_that_names_the_trace_and_holds_no_secret(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with (
        postgres.fresh_database() as database,
        a_stack(database, tmp_path, DASHTAM_LOG_LEVEL="debug") as stack,
    ):
        secrets = [PASSWORD, PLANTED, database.app_url.split(":")[2].partition("@")[0]]
        async with stack.somebody() as client:
            await linked(client)
            await import_file(client, checking("-1.00"), alias=PLANTED)
            await client.do(SIGN_IN, input={"email": client.email, "password": f"{PLANTED}-wrong"})
            await client.ask(
                "query($q: String) { transactions(filter: {search: $q}) { totalCount } }", q=PLANTED
            )
            await client.do(
                CONNECT,
                input={
                    "provider": "sandbox",
                    "using": {"credentials": [{"name": "seed", "value": PLANTED}]},
                },
            )
            await client.post(f'{{ account(id: "{PLANTED}") {{ {PLANTED} }} }}')
            await client.post("{ viewer { email } }", authorization=f"Bearer {PLANTED}")
            await client.http.get(f"/graphql?query={{{PLANTED}}}&{PLANTED}=1")
            secrets += [client.token or "", client.refresh_token or ""]
            async with stack.nobody() as browser:
                await browser.sign_in(client.email, delivery="COOKIE")
                secrets.append(browser.http.cookies["dashtam"])
                await browser.do("mutation { signOut { signedOut } }")

            connection = await asyncpg.connect(database.superuser_url)
            try:  # a bug of ours, with a value in the words of the exception
                await connection.execute(
                    f"ALTER TABLE accounts RENAME COLUMN nickname TO {PLANTED}"
                )
                [broken] = (
                    await client.post("{ accounts { name } }", traceparent=TRACEPARENT)
                ).json()["errors"]
            finally:
                await connection.close()
        logs = [stack.gateway, stack.worker]

    error = broken["extensions"]
    assert broken["message"] == "internal error"
    assert (error["code"], error["traceId"]) == ("INTERNAL", TRACE)
    text = "".join(program.log.read_text() for program in logs)
    assert [secret for secret in secrets if secret in text] == []
    lines = stack.gateway.lines()
    [bug] = [line for line in lines if line.get("incident") == error["incident"]]
    assert (bug["event"], bug["trace_id"], bug["level"]) == ("graphql.bug", TRACE, "error")
    assert re.fullmatch(r"[0-9a-f]{32}", bug["request_id"])
    assert "UndefinedColumnError" in bug["exception"]
    answered = [line for line in lines if line["event"] == "http.answered"]
    assert len(answered) > 10
    assert {line["status"] for line in answered} >= {200, 401}
    for line in answered:
        assert re.fullmatch(r"[0-9a-f]{32}", line["trace_id"])
        assert re.fullmatch(r"[0-9a-f]{32}", line["request_id"])
        assert line["ms"] >= 0
    assert sum(line["trace_id"] == TRACE for line in answered) == 1
    for program in logs:
        for line in program.lines():
            assert line["timestamp"]
            assert line["level"] in ("debug", "info", "warning", "error", "critical")
            assert "withheld" not in line, line


def answered(gateway: Program) -> list[dict[str, Any]]:
    return [line for line in gateway.lines() if line["event"] == "http.answered"]


@pytest.fixture(scope="module")
async def gateway(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Program]:
    folder = tmp_path_factory.mktemp("gateway")
    async with postgres.fresh_database() as database:
        environ = environment(database, folder, a_free_port())
        async with running("serve", environ, folder) as program:
            await until_ready(program)
            yield program


async def after(gateway: Program, before: int, count: int) -> list[dict[str, Any]]:
    """The lines of so many answers, each of which is written once its answer has gone."""
    async with asyncio.timeout(5):
        while len(answered(gateway)) < before + count:  # noqa: ASYNC110 - a file
            await asyncio.sleep(0.01)
    return answered(gateway)[before:]


async def test_the_request_id_of_the_answer_is_the_one_in_the_log(gateway: Program) -> None:
    before = len(answered(gateway))
    async with httpx2.AsyncClient(base_url=gateway.url) as http:
        answers = [
            await http.post(
                "/graphql", json={"query": "{ viewer { email } }"}, headers={"traceparent": said}
            )
            for said in (TRACEPARENT, "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "nonsense")
        ]
    ids = [answer.headers["x-request-id"] for answer in answers]
    traces = [answer.json()["errors"][0]["extensions"]["traceId"] for answer in answers]
    lines = await after(gateway, before, 3)

    assert len(set(ids)) == 3
    assert traces[0] == TRACE
    assert len(set(traces)) == 3
    logged = [(line["request_id"], line["trace_id"]) for line in lines]
    assert [*zip(ids, traces, strict=True)] == logged


async def test_a_line_names_the_route_and_the_operation_and_no_value(gateway: Program) -> None:
    before, plain = len(answered(gateway)), "query Who { viewer { email } }"
    async with httpx2.AsyncClient(base_url=gateway.url) as http:
        await http.post("/graphql", json={"query": plain})
        await http.post("/graphql", json={"query": f'{{ link(id: "{PLANTED}") {{ id }} }}'})
        await http.post("/graphql", json={"query": f"{{ {PLANTED} }}"})
        for path in ("graphql/", "verify-email?token=", ""):
            await http.get(f"/{path}{PLANTED}?token={PLANTED}")
    lines = await after(gateway, before, 6)

    about = ("route", "kind", "operation", "document")
    assert [{name: line[name] for name in about if name in line} for line in lines] == [
        {
            "route": "/graphql",
            "kind": "query",
            "operation": "Who",
            "document": f"sha256:{sha256(plain.encode()).hexdigest()}",
        },
        {"route": "/graphql", "kind": "query"},
        {"route": "/graphql"},
        {"route": "/graphql/{named:path}"},
        {"route": "/verify-email"},
        {"route": None},
    ]
    assert PLANTED not in gateway.log.read_text()
