"""That all three servers answer the same, and what one answer takes: bytes and statements."""

import http.client
import json
import re
from collections.abc import Sequence
from contextlib import closing
from dataclasses import dataclass
from typing import Any

import asyncpg

from gateway.bench.database import BenchError
from gateway.bench.servers import Running
from gateway.bench.workloads import OURS, Workload
from gateway.processes.tree import HOST

SAMPLE = 12  # people whose answers are compared
COUNTED = 5  # requests whose statements are counted
ANSWER_S_MAX = 60
UTC_OFFSET = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(?:\.\d+)?)\+00:00")


@dataclass(frozen=True, slots=True, kw_only=True)
class Answer:
    """`length` is of the body, the same for all people. `statements` leave out BEGIN, `enter` and
    ROLLBACK; the session that a token names is found in one more, at most every five seconds.
    """

    length: int
    statements: float


def compared(servers: dict[str, Running], workload: Workload) -> dict[str, int]:
    """The length of each server's answer.

    Raises:
        BenchError: two of them answer differently (the message names the path), or one answers
            some people with more bytes than others.
    """
    people = len(servers[OURS].headers)
    sample = sorted({at * (people - 1) // max(SAMPLE - 1, 1) for at in range(SAMPLE)})
    found = {name: _asked(server, workload, sample) for name, server in servers.items()}
    ours = [json.loads(body) for body in found[OURS]]
    for name, bodies in found.items():
        for mine, body in zip(ours, bodies, strict=True):
            where = difference(_normal(mine), _normal(json.loads(body)))
            if where is not None:
                raise BenchError(f"{workload.name}: {name} does not answer as ours: {where}")
        if len({len(body) for body in bodies}) > 1:
            raise BenchError(f"{workload.name}: the answers of {name} differ in length")
    return {name: len(bodies[0]) for name, bodies in found.items()}


async def counted(server: Running, workload: Workload, superuser_url: str) -> float | None:
    """Statements a request; None where PostgreSQL cannot count them."""
    _asked(server, workload, [0])  # so that its session is known
    db = await asyncpg.connect(superuser_url)
    try:
        await db.execute("SELECT bench.pg_stat_statements_reset()")
        _asked(server, workload, [0] * COUNTED)
        calls = await db.fetchval(CALLS)
    finally:
        await db.close()
    return int(calls) / COUNTED


CALLS = """
SELECT coalesce(sum(calls), 0) FROM bench.pg_stat_statements
WHERE query NOT LIKE 'SELECT enter%' AND query NOT LIKE '%FROM session_by_id(%'
    AND query <> 'SELECT $1' -- by which the gateway's listener sees that it still hears
    AND query NOT LIKE '%casbin_rules%' AND query NOT LIKE '%audit_state%' -- looks of its own
    AND userid <> (SELECT oid FROM pg_roles WHERE rolname = current_user)
"""


def _asked(server: Running, workload: Workload, people: Sequence[int]) -> list[bytes]:
    found = []
    with closing(http.client.HTTPConnection(HOST, server.port, timeout=ANSWER_S_MAX)) as asking:
        for person in people:
            name, value = server.headers[person]
            headers = {
                "Content-Type": "application/json",
                "Accept": "application/json",
                name: value,
            }
            asking.request("POST", "/graphql", workload.body(), headers)
            answer = asking.getresponse()
            body = answer.read()
            if answer.status != http.client.OK or b'"errors"' in body:
                said = body[:300].decode(errors="replace")
                raise BenchError(f"{workload.name}: {server.name} said {answer.status}: {said}")
            found.append(body)
    return found


def _normal(value: Any) -> Any:
    """Instants as we write them: stock says +00:00."""
    if isinstance(value, dict):
        return {name: _normal(of) for name, of in value.items()}
    if isinstance(value, list):
        return [_normal(of) for of in value]
    return UTC_OFFSET.sub(r"\1Z", value) if isinstance(value, str) else value


def difference(ours: Any, theirs: Any, path: str = "") -> str | None:
    """The first path at which two answers differ, with both values; the order of keys is free."""
    if isinstance(ours, dict) and isinstance(theirs, dict):
        if ours.keys() != theirs.keys():
            return f"{path or '.'} has other fields: {sorted(ours.keys() ^ theirs.keys())}"
        steps = ((f"{path}.{name}", ours[name], theirs[name]) for name in ours)
    elif isinstance(ours, list) and isinstance(theirs, list):
        if len(ours) != len(theirs):
            return f"{path} has {len(ours)} and {len(theirs)} items"
        pairs = enumerate(zip(ours, theirs, strict=True))
        steps = ((f"{path}[{at}]", mine, other) for at, (mine, other) in pairs)
    else:
        same = type(ours) is type(theirs) and ours == theirs
        return None if same else f"{path} is {ours!r} and {theirs!r}"
    return next((found for step in steps if (found := difference(step[1], step[2], step[0]))), None)
