"""What one operation may be given, and that nobody else waits for who asks for much."""

import asyncio
import time

import pytest

from tests.e2e.linking import import_file
from tests.e2e.stack import Client
from tests.ofx.samples import many

PAGES_IN_PAGES = (
    "{ transactions(first: 300) { nodes { account { "
    "transactions(first: 500) { nodes { id } } } } } }"
)
HISTORIES = """query($first: Int!) { transactions(first: $first) { nodes { account {
  a: balanceHistory { at balance { amount currency } } %s } } } }"""


@pytest.fixture
async def owner(alice: Client) -> Client:
    """With three hundred transactions of one account."""
    assert (await import_file(alice, many(300)))["errors"] == []
    return alice


async def test_pages_in_pages_are_too_complex(owner: Client) -> None:
    answer = await owner.http.post(
        "/graphql",
        json={"query": PAGES_IN_PAGES},
        headers={
            "authorization": f"Bearer {owner.token}",
            "accept": "application/graphql-response+json",
        },
    )

    assert answer.status_code == 400  # nothing of it ran
    [error] = answer.json()["errors"]
    assert error["extensions"]["code"] == "TOO_COMPLEX"
    assert error["message"] == (
        "The operation's cost of 150,600 exceeds 50,000. The dearest is "
        "transactions.nodes.account.transactions.nodes: ask transactions for a smaller `first`, "
        "which is 500 now, or for less of each."
    )


async def test_histories_of_over_100000_points_are_too_complex(owner: Client) -> None:
    document = HISTORIES % "b: balanceHistory { at }"

    [error] = await owner.errors(document, first=300)

    assert error["extensions"]["code"] == "TOO_COMPLEX"
    assert "points" in error["message"]


async def test_long_histories_keep_nobody_waiting(owner: Client) -> None:
    a_year = len((await owner.ask("{ balanceHistory { at } }"))["balanceHistory"])
    assert a_year > 200

    asking = asyncio.create_task(owner.ask(HISTORIES % "", first=150))
    waits: list[float] = []
    while not asking.done():
        began = time.monotonic()
        assert (await owner.http.get("/healthz")).status_code == 200
        waits.append(time.monotonic() - began)
    nodes = (await asking)["transactions"]["nodes"]

    assert sum(len(n["account"]["a"]) for n in nodes) == 150 * a_year
    assert max(waits) < 1
    assert len(waits) > 3
