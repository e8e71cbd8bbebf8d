"""The audits of graphql-http, the reference suite of GraphQL over HTTP, by its own code."""

import json
from collections import Counter
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from gateway.asgi import create_app
from gateway.settings import Settings
from tests.conformance.node import Node
from tests.e2e.stack import environment, served_here
from tests.servers import Postgres

# What the newer draft wants otherwise: statuses of requests that are not well-formed, of documents
# and of variables. The audits are of the draft before.
OF_THE_NEWER_DRAFT = {
    *("86EE", "572B", "FDE2", "7B9B"),  # SHOULD
    *("423L", "3E3A"),  # MAY, as those below
    *(f"{of}{n}" for of in ("LKJ", "6C0", "476", "58B") for n in range(4)),
}


@dataclass(frozen=True, slots=True)
class Audited:
    """What came of each audit, by profile."""

    default: list[dict[str, Any]]
    newer: list[dict[str, Any]]


@pytest.fixture(scope="module")
async def audited(
    postgres: Postgres, node: Node, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Audited]:
    folder: Path = tmp_path_factory.mktemp("audits")
    async with postgres.fresh_database() as database:
        ours = environment(database, folder, 8_000)
        newer = ours | {"DASHTAM_HTTP_PROFILE": "2026-08"}
        async with (
            served_here(create_app(Settings.read(ours))) as first,
            served_here(create_app(Settings.read(newer))) as second,
        ):
            urls = f"{first}/graphql", f"{second}/graphql"
            yield Audited(*json.loads(await node.run("graphql_http_audits.mjs", *urls)))


def test_every_audit_of_graphql_http_is_passed(audited: Audited) -> None:
    failed = [
        f"{a['id']} {a['name']}: {a['status']}, {a['reason']}"
        for a in audited.default
        if a["status"] != "ok"
    ]
    assert failed == []
    levels = Counter(audit["name"].split()[0] for audit in audited.default)
    assert levels == {"MUST": 13, "SHOULD": 23, "MAY": 25}


def test_the_newer_draft_is_answered_as_it_says_and_in_nothing_else(audited: Audited) -> None:
    otherwise = {a["id"]: a["status"] for a in audited.newer if a["status"] != "ok"}

    assert otherwise.keys() == OF_THE_NEWER_DRAFT
    assert len(otherwise) == 22
    assert Counter(otherwise.values()) == {"warn": 4, "notice": 18}  # and no MUST
