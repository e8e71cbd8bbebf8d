"""The audits of graphql-http, the reference suite of GraphQL over HTTP, by its own code."""

import json
from collections import Counter

from tests.conformance.node import Node


async def test_every_audit_of_graphql_http_is_passed(node: Node, graphql_url: str) -> None:
    audits = json.loads(await node.run("graphql_http_audits.mjs", graphql_url))

    failed = [
        f"{a['id']} {a['name']}: {a['status']}, {a['reason']}"
        for a in audits
        if a["status"] != "ok"
    ]
    assert failed == []
    levels = Counter(audit["name"].split()[0] for audit in audits)
    assert levels == {"MUST": 13, "SHOULD": 23, "MAY": 25}
