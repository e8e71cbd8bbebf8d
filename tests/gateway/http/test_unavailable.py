"""Something that is needed goes away in mid-request: 503 and when to come back, never half of it."""

import httpx2
import pytest

from tests.gateway.http.served import SECRET, Journal, a_view, served
from tests.gateway.http.test_requests import NEW, OLD, refused


@pytest.mark.parametrize(
    "query",
    [
        "{away}",
        "{hello away node(id:1){id}}",
        "{broken away}",
        "{brokenByWhatIsAway}",
        "mutation{lose}",
        'mutation{write(what:"a") lose}',
    ],
)
@pytest.mark.parametrize("accept", [NEW, OLD])
async def test_an_operation_that_needs_what_is_away_fails_as_a_whole(
    http: httpx2.AsyncClient, query: str, accept: str
) -> None:
    response = await http.post("/graphql", json={"query": query}, headers={"accept": accept})

    error = refused(response, 503, "UNAVAILABLE")
    assert error["message"] == "the database is away"
    assert len(response.json()["errors"]) == 1
    assert response.headers["retry-after"] == "7"
    assert response.headers["cache-control"] == "no-store"
    assert SECRET not in response.text


async def test_a_get_is_told_the_same(http: httpx2.AsyncClient) -> None:
    refused(await http.get("/graphql", params={"query": "{away}"}), 503, "UNAVAILABLE")


async def test_nobody_who_can_say_who_asks_is_503_too(http: httpx2.AsyncClient) -> None:
    headers = {"authorization": "Bearer nobody can look"}
    response = await http.post("/graphql", json={"query": "{hello}"}, headers=headers)
    refused(response, 503, "UNAVAILABLE")
    assert response.headers["retry-after"] == "7"


async def test_other_failures_stay_errors_of_their_fields(http: httpx2.AsyncClient) -> None:
    response = await http.post("/graphql", json={"query": "{hello broken}"})
    assert response.status_code == 200
    assert response.json()["data"] == {"hello": "hello world", "broken": None}


async def test_the_context_is_given_back_and_the_next_request_is_answered(
    journal: Journal,
) -> None:
    async with (
        served(a_view(journal)) as address,
        httpx2.AsyncClient(base_url=address) as client,
    ):
        refused(await client.post("/graphql", json={"query": "{away}"}), 503, "UNAVAILABLE")
        assert (journal.entries, journal.open_contexts) == (["closed"], 0)
        assert (await client.post("/graphql", json={"query": "{hello}"})).status_code == 200
