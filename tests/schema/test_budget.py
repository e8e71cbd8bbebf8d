"""What one operation may be given: objects, over all of its lists."""

import pytest

from domain.accounts import Account
from domain.queries.budget import Budget
from tests.schema.builders import a_holding, a_link, a_transaction, an_account
from tests.schema.world import World

NESTED = (
    "{ transactions(first: 500) { nodes { account { transactions(first: 500) { nodes { id } } } } "
    "} }"
)


@pytest.fixture
def account(world: World) -> Account:
    account = an_account()
    world.hers.accounts.append(account)
    world.hers.transactions += [a_transaction(account) for _ in range(120)]
    return account


async def test_pages_in_pages_are_refused_before_they_are_read(
    world: World, account: Account
) -> None:
    answer = await world.ask(NESTED)

    assert answer.data is None
    assert answer.codes == ["TOO_COMPLEX"]
    assert "objects" in answer.errors[0]["message"]
    assert world.sent == ["transactions", "accounts"]


async def test_what_fits_is_answered_and_paid_for_by_what_came(
    world: World, account: Account
) -> None:
    answer = await world.ask(NESTED.replace("500", "100"))

    assert answer.errors == []
    assert answer.context.budget.objects == 50_000 - 100 - 100 - 100 * 100


async def test_siblings_do_not_each_count_on_what_is_left(world: World, account: Account) -> None:
    """Four fields of 20,000 are asked for at once, of which two fit."""
    fields = " ".join(f"t{n}: transactions(first: 500) {{ nodes {{ id }} }}" for n in range(4))
    world.hers.accounts += [an_account(name=f"a{n}") for n in range(39)]

    answer = await world.ask(f"{{ accounts {{ {fields} }} }}")

    assert answer.codes == ["TOO_COMPLEX"]
    assert world.sent.count("transactions_of") <= 2


async def test_a_page_out_of_bounds_is_told_so_first(world: World, account: Account) -> None:
    answer = await world.ask("{ accounts { transactions(first: 2000000000) { totalCount } } }")

    assert answer.codes == ["BAD_USER_INPUT"]


@pytest.mark.parametrize(
    ("field", "paid"),
    [
        ("accounts { id }", 2),
        ("links { id accounts { id } lastRun { id } }", 2),
        ("transactions(first: 3) { nodes { id } }", 3),
        ("holdings { nodes { id account { id } } totalCount }", 2),
        ("accounts { holdings { nodes { id } totalCount } latestBalance { at } }", 3),
        ("syncRuns { nodes { id } }", 0),
        ("balanceHistory { at } netWorth { asOf }", 0),
    ],
)
async def test_each_object_with_an_id_counts_once(
    world: World, account: Account, field: str, paid: int
) -> None:
    link = a_link(world.ann)
    fed = an_account(link, name="fed")
    world.hers.links.append(link)
    world.hers.accounts.append(fed)
    world.hers.holdings.append(a_holding(fed))

    answer = await world.ask(f"{{ {field} }}")

    assert answer.errors == []
    assert Budget().objects - answer.context.budget.objects == paid
