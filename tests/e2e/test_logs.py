"""What a whole session leaves in the logs: enough to find a fault, nothing to steal."""

import asyncio
import re
from pathlib import Path
from typing import Any

import asyncpg
import httpx2

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


async def test_the_request_id_of_the_answer_is_the_one_in_the_log(
    postgres: Postgres, tmp_path: Path
) -> None:
    async with postgres.fresh_database() as database:
        environ = environment(database, tmp_path, a_free_port())
        async with running("serve", environ, tmp_path) as gateway:
            await until_ready(gateway)
            async with httpx2.AsyncClient(base_url=gateway.url) as http:
                said = "{ viewer { email } }"
                answers = [
                    await http.post("/graphql", json={"query": said}, headers={"traceparent": t})
                    for t in (TRACEPARENT, "00-" + "0" * 32 + "-" + "1" * 16 + "-01", "nonsense")
                ]
                ids = [answer.headers["x-request-id"] for answer in answers]
                traces = [a.json()["errors"][0]["extensions"]["traceId"] for a in answers]
                assert len(set(ids)) == 3
                assert traces[0] == TRACE
                assert len(set(traces)) == 3
                async with asyncio.timeout(5):  # a line is written once its answer has gone
                    while len(answered(gateway)) < 3:  # noqa: ASYNC110 - a file
                        await asyncio.sleep(0.01)
                logged = [(line["request_id"], line["trace_id"]) for line in answered(gateway)]
                assert [*zip(ids, traces, strict=True)] == logged
