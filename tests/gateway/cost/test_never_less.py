"""Whatever is asked, and whatever is there: no answer has more objects than its price."""

import asyncio
import gc
import os
from collections.abc import Iterator, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from hypothesis_graphql import nodes, queries

from gateway.operations.guard import Refused
from schema.schema import schema
from tests.gateway.cost.documents import Writer, known_ids
from tests.gateway.cost.world import FullWorld, Ran

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
OWN, THEIRS = (10_000, 1_000) if LONG else (150, 8)
TEXTS = {
    "Currency": st.sampled_from(["USD", "EUR"]),
    "Date": st.dates(date(2000, 1, 1)).map(str),
    "DateTime": st.just("2026-11-21T20:59:00Z"),
    "Decimal": st.decimals(-9, 9, places=2).map(lambda d: format(Decimal(d), "f")),
    "Upload": st.just("file"),
}


# graphql-core itself now and then leaves a coroutine that nobody awaits beside a field that fails.
pytestmark = [
    pytest.mark.filterwarnings("ignore:coroutine .* was never awaited:RuntimeWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]
REFUSALS = ("TOO_COMPLEX", "BAD_USER_INPUT")


@pytest.fixture(autouse=True, scope="module")
def what_it_leaves() -> Iterator[None]:
    """Found here, and not in the middle of another test."""
    yield
    gc.collect()


async def ran(
    world: FullWorld, text: str, variables: dict[str, Any], codes: Sequence[str] = REFUSALS
) -> Ran | None:
    """None where it is refused with one of these codes."""
    try:
        found = await world.priced_and_run(text, variables)
    except Refused as refused:
        if refused.code not in codes:
            raise
        return None
    assert found.objects <= found.price, (found, text, variables)
    return found


async def test_no_answer_to_documents_of_any_shape_has_more_objects_than_its_price() -> None:
    world, found = FullWorld(), []
    known = known_ids(world.hers)
    for seed in range(OWN):
        text, variables = Writer(seed, known).document()
        if (one := await ran(world, text, variables)) is not None and one.ran:
            found.append(one)
        world.opened.clear()

    assert len(found) > OWN / 2
    assert sum(one.objects for one in found) > 5 * OWN  # it is of something
    assert sum(one.objects == one.price for one in found) > OWN / 50  # and it is no loose bound


@settings(
    max_examples=THEIRS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    database=None,
)
@given(
    text=queries(
        schema, custom_scalars={name: texts.map(nodes.String) for name, texts in TEXTS.items()}
    )
)
def test_nor_does_one_to_documents_of_hypothesis(text: str) -> None:
    with asyncio.Runner() as runner:
        # Now and then it asks for two fields under one name.
        codes = (*REFUSALS, "GRAPHQL_VALIDATION_FAILED")
        runner.run(ran(FullWorld(), text, {}, codes))
