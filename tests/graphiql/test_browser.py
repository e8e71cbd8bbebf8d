"""Both pages in real Chromium: they do their work, and nothing leaves their origin."""

from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from gateway import demo as person
from gateway.asgi import create_app
from gateway.graphiql import BUILT, GraphiQL
from tests.e2e.stack import Stack, served_here
from tests.graphiql.conftest import Browse


def nothing_went_wrong(found: dict[str, Any], url: str) -> None:
    asked = [*found["requests"], *found["sockets"], *found["workers"]]
    assert {urlsplit(address).netloc for address in asked} == {urlsplit(url).netloc}
    assert found["violations"] == []
    assert found["errors"] == []


async def test_graphiql_signs_in_asks_explains_remembers_and_subscribes(
    demo: Stack, browse: Browse
) -> None:
    assert (BUILT / "index.html").exists(), "`./dashtam test` builds GraphiQL: run it once"

    url = demo.gateway.url
    found = await browse("graphiql.mjs", f"{url}/graphiql", person.EMAIL, person.PASSWORD)

    nothing_went_wrong(found, url)
    assert found["title"] == "GraphiQL · Dashtam"
    assert "password" in found["refusal"]
    assert found["dashboard"]["data"]["viewer"]["email"] == person.EMAIL
    assert len(found["dashboard"]["data"]["accounts"]) >= 6
    assert found["documented"] == "netWorth"
    assert [entry.strip() for entry in found["history"]] == ["Dashboard"]
    kinds = [frame["type"] for frame in found["frames"]]
    assert kinds[:3] == ["connection_init", "connection_ack", "subscribe"]
    states = [f["payload"]["data"]["syncProgress"] for f in found["frames"] if f["type"] == "next"]
    assert {state["id"] for state in states} == {found["runId"]}
    assert states[-1]["status"] == "SUCCEEDED"
    assert kinds[-1] == "complete"
    assert found["left"] == 0
    assert found["nobody"]["errors"][0]["extensions"]["code"] == "UNAUTHENTICATED"
    assert len(found["workers"]) >= 3  # Monaco's, GraphQL's and JSON's


async def test_the_plain_page_signs_in_and_asks(
    demo: Stack, browse: Browse, tmp_path: Path
) -> None:
    app = create_app(demo.settings)
    # Before the application's own: the page of a gateway for which nothing was built.
    app.router.routes[:0] = GraphiQL(person.EMAIL, built=tmp_path).routes()
    async with served_here(app) as url:
        found = await browse("plain.mjs", f"{url}/graphiql", person.EMAIL, person.PASSWORD)

    nothing_went_wrong(found, url)
    assert found["title"] == "Queries · Dashtam"
    assert "GraphiQL was not built" in found["note"]
    assert "password" in found["refusal"]
    assert len(found["dashboard"]["data"]["accounts"]) >= 6
    assert len(found["some"]["data"]["transactions"]["nodes"]) == 3
    assert "JSON" in found["badVariables"]
    assert found["left"] == "Nothing was asked yet."
    assert found["refusedAtLast"] == ""
