"""The clients that people use, by their own code: what they were told, and what they sent."""

import asyncio
import json
from collections.abc import AsyncIterator
from hashlib import sha256
from pathlib import Path
from typing import Any

import httpx2
import pytest

from tests.conformance.judged import MANIFESTS, VERSION, Judged, documents_of, judged_here
from tests.conformance.node import Node
from tests.servers import Postgres

RESPONSE = "application/graphql-response+json"
OPEN = ("apollo.mjs", "urql.mjs")
TRUSTED = ("apollo_trusted.mjs", "urql_trusted.mjs", "relay.mjs", "codegen.mjs")


@pytest.fixture(scope="module")
async def judged(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Judged]:
    folder: Path = tmp_path_factory.mktemp("clients")
    async with postgres.fresh_database() as database, judged_here(database, folder) as judged:
        yield judged


@pytest.fixture(scope="module")
async def heard(judged: Judged, node: Node) -> dict[str, Any]:
    """What each script found out; those that change the same account one after another."""
    opened = asyncio.gather(*(judged.heard(node, s, judged.stack.gateway) for s in OPEN))
    trusted = [await judged.heard(node, script, judged.trusted) for script in TRUSTED]
    return dict(zip((*TRUSTED, *OPEN), (*trusted, *await opened), strict=True))


def persisted(sent: dict[str, Any]) -> str:
    """The hash that was sent by Apollo's way."""
    extensions = (sent.get("query") or sent["body"])["extensions"]
    assert extensions["persistedQuery"]["version"] == 1
    found: str = extensions["persistedQuery"]["sha256Hash"]
    return found


def text_of(sent: dict[str, Any]) -> str | None:
    """The text that was sent, by whichever way."""
    said: dict[str, Any] = sent.get("query") or sent["body"]
    return said.get("query")


def ways(found: dict[str, Any]) -> list[tuple[str, bool, int]]:
    return [(s["method"], text_of(s) is not None, s["status"]) for s in found["sent"]]


# ── automatic persisted queries ─────────────────────────────────────────────


async def test_apollo_registers_a_query_once_and_then_sends_its_hash(
    heard: dict[str, Any], judged: Judged
) -> None:
    found = heard["apollo.mjs"]

    for way, method in (("post", "POST"), ("get", "GET")):
        unknown, known = found[way]["unknown"], found[way]["known"]
        for each in (unknown, known):
            assert each["data"] == {"viewer": {"__typename": "Viewer", "email": judged.owner.email}}
        missed, registered = unknown["sent"]
        text = text_of(registered)
        assert text is not None
        assert persisted(missed) == persisted(registered) == sha256(text.encode()).hexdigest()
        assert [m for m, *_ in ways(unknown)] == [method, "POST"]
        assert ways(known) == [(method, False, 200)]
        assert "no-store" in missed["answer"]["cache-control"]


async def test_urql_registers_a_query_once_and_then_sends_its_hash(
    heard: dict[str, Any], judged: Judged
) -> None:
    found = heard["urql.mjs"]

    for way, method in (("post", "POST"), ("get", "GET")):
        unknown, known = found[way]["unknown"], found[way]["known"]
        for each in (unknown, known):
            assert each["data"] == {"viewer": {"email": judged.owner.email}}
        missed, registered = unknown["sent"]
        assert persisted(missed) == persisted(registered) == persisted(known["sent"][0])
        assert [(m, text) for m, text, _ in ways(unknown)] == [(method, False), (method, True)]
        assert ways(known) == [(method, False, 200)]
    assert ways(found["plain"]) == [("GET", True, 200)]


# ── errors, and what was given up ───────────────────────────────────────────


async def test_apollo_has_the_code_of_each_error(heard: dict[str, Any]) -> None:
    found = heard["apollo.mjs"]
    codes = {
        "invalid": ("GRAPHQL_VALIDATION_FAILED", 400),
        "refused": ("BAD_USER_INPUT", 200),
        "variables": ("BAD_USER_INPUT", 400),
        "signedOut": ("UNAUTHENTICATED", 200),
        "badToken": ("UNAUTHENTICATED", 401),
    }

    for case, (code, status) in codes.items():
        error, [sent] = found[case]["error"], found[case]["sent"]
        assert (error["name"], error["codes"]) == ("CombinedGraphQLErrors", [code]), case
        assert sent["status"] == status
        assert sent["answer"]["content-type"].startswith(RESPONSE)


async def test_urql_has_the_code_of_each_error(heard: dict[str, Any]) -> None:
    found = heard["urql.mjs"]

    assert found["invalid"]["error"]["codes"] == ["GRAPHQL_VALIDATION_FAILED"]
    assert found["refused"]["error"]["codes"] == ["BAD_USER_INPUT"]


async def test_what_a_client_gives_up_is_given_up_on_the_wire_and_the_next_is_answered(
    heard: dict[str, Any], judged: Judged
) -> None:
    [sent] = heard["apollo.mjs"]["abandoned"]["sent"]

    assert sent["aborted"]
    assert "status" not in sent
    assert heard["apollo.mjs"]["afterwards"]["data"]["viewer"]["email"] == judged.owner.email


async def test_clients_say_their_name_and_version(heard: dict[str, Any]) -> None:
    apollo = heard["apollo.mjs"]["post"]["known"]["sent"][0]["headers"]
    urql = heard["urql.mjs"]["plain"]["sent"][0]["headers"]

    assert apollo["apollographql-client-name"] == "apollo-conformance"
    assert apollo["apollographql-client-version"] == "4.3.8"
    assert urql["graphql-client-name"] == "urql-conformance"


async def test_apollo_urql_and_relay_follow_a_run_over_a_socket(heard: dict[str, Any]) -> None:
    scripts = ("apollo.mjs", "urql.mjs", "relay.mjs")
    assert [heard[script]["progress"] for script in scripts] == [["SUCCEEDED"]] * 3


# ── published documents, in production ──────────────────────────────────────


@pytest.mark.parametrize("manifest", MANIFESTS)
async def test_what_a_tool_made_is_published_whole(judged: Judged, manifest: str) -> None:
    count = len([*documents_of(manifest if manifest != "folder" else "apollo")])

    assert judged.published[manifest] == f"{manifest} {VERSION}: {count} published"


@pytest.mark.parametrize("manifest", [name for name in MANIFESTS if name != "folder"])
async def test_every_document_that_a_tool_made_is_answered_by_its_id_and_not_by_its_text(
    judged: Judged, manifest: str
) -> None:
    variables = {"id": judged.account, "first": 5, "runId": judged.run, "token": "x", "input": {}}
    headers = {"authorization": f"Bearer {judged.owner.token}", "accept": RESPONSE}

    async with httpx2.AsyncClient(base_url=judged.trusted.url, headers=headers) as http:
        for id, text in documents_of(manifest):
            wanted = {name: value for name, value in variables.items() if f"${name}" in text}
            for asked in ({"documentId": id}, {"doc_id": id}, {"query": text}):
                reply = (await http.post("/graphql", json=asked | {"variables": wanted})).json()
                codes = {e["extensions"]["code"] for e in reply.get("errors", [])}
                if "query" in asked:
                    assert codes == {"DOCUMENT_REQUIRED"}
                elif "subscription " in text:
                    assert codes == {"BAD_REQUEST"}  # by a socket, or as an event stream
                else:
                    assert codes <= {"BAD_USER_INPUT"}, reply  # an empty `input`
                    assert codes or reply["data"]


async def test_apollo_sends_the_ids_of_its_manifest(heard: dict[str, Any], judged: Judged) -> None:
    found = heard["apollo_trusted.mjs"]
    ids = {name for name, _ in documents_of("apollo")}

    assert found["post"]["data"]["viewer"]["email"] == judged.owner.email
    assert ways(found["post"]) == [("POST", False, 200)]
    assert len(found["get"]["data"]["transactions"]["nodes"]) == 3
    assert ways(found["get"]) == [("GET", False, 200)]
    assert found["mutation"]["data"]["updateAccount"]["errors"] == []
    assert ways(found["mutation"]) == [("POST", False, 200)]
    sent = [s for case in ("post", "get", "mutation") for s in found[case]["sent"]]
    assert {persisted(s) for s in sent} <= ids
    assert {s["headers"]["apollographql-client-version"] for s in sent} == {VERSION}


async def test_apollo_gets_nowhere_with_a_text_in_production(heard: dict[str, Any]) -> None:
    found = heard["apollo_trusted.mjs"]

    assert found["text"]["error"]["codes"] == ["DOCUMENT_REQUIRED"]
    missed, text = found["unknown"]["sent"]
    assert text_of(missed) is None
    assert "no-store" in missed["answer"]["cache-control"]
    assert text_of(text) is not None
    assert found["unknown"]["error"]["codes"] == ["PERSISTED_QUERY_NOT_SUPPORTED"]


async def test_urql_sends_document_ids_by_get_and_post(heard: dict[str, Any]) -> None:
    found = heard["urql_trusted.mjs"]
    ids = {name for name, _ in documents_of("codegen")}

    for way, method in (("post", "POST"), ("get", "GET")):
        assert len(found[way]["data"]["transactions"]["nodes"]) == 3
        [sent] = found[way]["sent"]
        assert (sent["method"], sent["status"]) == (method, 200)
        assert (sent.get("query") or sent["body"])["documentId"] in ids
        assert text_of(sent) is None
    assert found["mutation"]["data"]["updateAccount"]["account"]["nickname"] == "urql"
    assert found["unknown"]["error"]["codes"] == ["PERSISTED_QUERY_NOT_FOUND"]


async def test_relay_pages_a_connection_from_where_it_was(
    heard: dict[str, Any], judged: Judged
) -> None:
    found = heard["relay.mjs"]["pages"]
    latest = await judged.owner.ask("{ transactions(first: 26) { nodes { id } } }")

    *_, shown = found["data"]
    assert [len(page) for page in found["data"]] == [5, 12, 19, 26]
    assert shown == [node["id"] for node in latest["transactions"]["nodes"]]
    ids = {name for name, _ in documents_of("relay")}
    assert {s["body"]["doc_id"] for s in found["sent"]} <= ids
    assert all(text_of(s) is None and s["status"] == 200 for s in found["sent"])


async def test_relay_reads_an_object_again_by_its_global_id_and_keeps_what_a_mutation_says(
    heard: dict[str, Any],
) -> None:
    found = heard["relay.mjs"]

    listed, again = found["again"]["data"]
    assert listed == again
    assert listed["balance"]["currency"] == "USD"
    assert found["mutation"]["data"] == {"errors": [], "nickname": "relay"}
    assert found["absent"]["data"] == {"node": None}


# ── a mobile app, by the documents that its build made ──────────────────────


async def test_an_app_signs_in_and_asks_by_nothing_but_ids(
    heard: dict[str, Any], judged: Judged
) -> None:
    found = heard["codegen.mjs"]

    assert found["signIn"]["data"]["data"]["signIn"]["errors"] == []
    assert found["home"]["data"]["data"]["viewer"]["email"] == judged.owner.email
    assert found["homeByUrl"]["data"]["json"] == found["home"]["data"]
    [sent] = found["homeByUrl"]["sent"]
    assert sent["path"].endswith("/Home")
    assert "query" not in sent
    assert "private" in sent["answer"]["cache-control"]
    assert sent["answer"]["content-encoding"] == "gzip"


async def test_what_has_not_changed_is_not_sent_again(heard: dict[str, Any]) -> None:
    found = heard["codegen.mjs"]
    [first], [again], [changed] = (
        found[case]["sent"] for case in ("list", "listAgain", "listChanged")
    )

    assert found["list"]["data"]["tag"] == first["answer"]["etag"]
    assert (again["status"], found["listAgain"]["data"]["text"]) == (304, "")
    assert again["answer"]["etag"] == first["answer"]["etag"]
    assert changed["status"] == 200
    assert changed["answer"]["etag"] != first["answer"]["etag"]
    names = [a["nickname"] for a in found["listChanged"]["data"]["json"]["data"]["accounts"]]
    assert "codegen" in names


async def test_a_tag_is_of_one_document_and_its_variables(heard: dict[str, Any]) -> None:
    found = heard["codegen.mjs"]

    assert len(found["activity"]["data"]["json"]["data"]["transactions"]["nodes"]) == 2
    [other] = found["otherPage"]["sent"]
    assert other["status"] == 200
    assert len(found["otherPage"]["data"]["json"]["data"]["transactions"]["nodes"]) == 3


async def test_a_copy_is_kept_by_what_has_changed(heard: dict[str, Any], judged: Judged) -> None:
    found = heard["codegen.mjs"]
    whole = await judged.owner.ask(
        "{ accounts { id nickname balance { amount currency } } transactions { totalCount } }"
    )

    assert found["firstCopy"]["data"]["pages"] > 1
    assert found["nothingNew"]["data"] == {"pages": 1, "last": []}
    assert found["oneChange"]["data"] == {"pages": 1, "last": [judged.account]}
    kept = found["copy"]["accounts"]
    assert sorted(kept, key=lambda a: a["id"]) == sorted(whole["accounts"], key=lambda a: a["id"])
    assert found["copy"]["transactions"] == whole["transactions"]["totalCount"]


async def test_an_app_follows_a_run_by_an_id_over_an_event_stream(heard: dict[str, Any]) -> None:
    [state] = heard["codegen.mjs"]["progress"]

    assert (state["status"], state["progress"]) == ("SUCCEEDED", 1)


async def test_no_mutation_comes_by_a_url(heard: dict[str, Any]) -> None:
    [sent] = heard["codegen.mjs"]["mutationByUrl"]["sent"]

    assert sent["status"] == 405
    assert sent["answer"]["allow"] == "POST"
    assert json.loads(heard["codegen.mjs"]["mutationByUrl"]["data"]["text"])["errors"]
