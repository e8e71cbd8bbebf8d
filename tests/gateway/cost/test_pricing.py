"""From the price to its refusal; and whose counts it is by."""

import pytest
from graphql import OperationType

from domain.errors import Unauthenticated
from gateway.cost.pricing import NOBODY, ROOM, OwnCounts, Pricing
from gateway.documents.reading import Document
from gateway.operations.guard import Refused
from gateway.operations.parameters import Parameters
from schema.context import Context
from tests.gateway.cost.world import FullWorld
from tests.schema.builders import an_account
from tests.schema.ledger import LedgerReads

ACCOUNTS = "{ accounts { id } }"
MANUAL = 'mutation { createManualAccount(input: {name: "Safe", type: OTHER, currency: "USD", balance: "1"}) { account { id link { accounts { id } } } } }'
QUERY, MUTATION, SUBSCRIPTION = (
    OperationType.QUERY,
    OperationType.MUTATION,
    OperationType.SUBSCRIPTION,
)


@pytest.fixture
def world() -> FullWorld:
    return FullWorld()


def sent(world: FullWorld) -> list[str]:
    return [statement for reads in world.opened for statement in reads.sent]


async def test_the_viewers_own_counts_are_asked_once_a_data_version(world: FullWorld) -> None:
    assert await world.price(ACCOUNTS) == 7
    assert sent(world) == ["counts"]
    world.opened.clear()
    assert await world.price(ACCOUNTS) == await world.price("{ links { id } }") + 3 == 7
    assert sent(world) == []  # the version was known as the snapshots were opened

    world.hers.accounts.append(an_account(name="a new one"))
    world.hers.version += 1
    assert await world.price(ACCOUNTS) == 8
    assert sent(world) == ["counts"]
    assert world.left_open == 0


async def test_documents_without_whole_lists_open_nothing(world: FullWorld) -> None:
    assert await world.price("{ transactions { nodes { id } } viewer { sessions { id } } }") == 151
    assert world.opened == []


async def test_whoever_is_signed_out_or_was_deleted_has_nothing(world: FullWorld) -> None:
    assert await OwnCounts()(world.context(None), QUERY) == NOBODY

    class Gone(LedgerReads):
        async def data_version(self) -> int:
            raise Unauthenticated("there is no such user any more")

    context = world.context(world.ann)
    context.snapshot = lambda _: Gone(world.hers)  # type: ignore[assignment,return-value]
    assert await OwnCounts()(context, QUERY) == NOBODY
    await context.close()


@pytest.mark.parametrize("kind", [MUTATION, SUBSCRIPTION])
async def test_what_is_read_later_is_read_in_snapshots_of_its_own(
    world: FullWorld, kind: OperationType
) -> None:
    context = world.context(world.ann)
    await OwnCounts()(context, kind)
    assert world.left_open == 0


async def test_a_mutation_has_room_for_what_it_makes(world: FullWorld) -> None:
    fed = await world.price("{ links { accounts { id } } }") // 4 - 1

    assert await world.price(MANUAL) == 2 + fed + ROOM


async def test_beyond_the_limit_it_is_refused_and_a_document_may_have_its_own(
    world: FullWorld,
) -> None:
    text = "{ transactions(first: 101) { nodes { id } } }"
    pricing: Pricing[Context] = Pricing(most=100)
    context, document = world.context(world.ann), await world.documents.load(text)

    with pytest.raises(Refused) as refused:
        await pricing.price(document, Parameters(query=text), QUERY, context)

    assert refused.value.code == "TOO_COMPLEX"
    [error] = refused.value.errors
    assert error.message.startswith("The operation's cost of 101 exceeds 100. The dearest is")
    for most, is_refused in ((100, True), (101, False), (None, True)):
        own = Document(document.node, document.measured, document.cost, cost_max=most)
        if is_refused:
            with pytest.raises(Refused):
                await pricing.price(own, Parameters(query=text), QUERY, context)
        else:
            assert await pricing.price(own, Parameters(query=text), QUERY, context) == 101


async def test_however_dear_it_is_the_message_is_short(world: FullWorld) -> None:
    deep = "{ accounts { id } }"
    for _ in range(4):
        deep = f"{{ transactions(first: 500) {{ nodes {{ account {deep} }} }} }}"
    world.pricing = Pricing(most=50_000)

    with pytest.raises(Refused) as refused:
        await world.price(deep.replace("account { accounts { id } }", "id"))

    assert len(refused.value.errors[0].message) < 300
