from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import Account, AccountId, AccountType
from domain.money import Money, total
from domain.portfolio import net_worth, net_worth_points
from tests.builders import EUR, NOW, USD, an_account, money

accounts = st.lists(
    st.builds(
        lambda cents, kind, of, active, included: an_account(
            balance=money(str(Decimal(cents) / 1000), of),
            type=kind,
            is_active=active,
            included_in_net_worth=included,
        ),
        st.integers(-(10**9), 10**9),
        st.sampled_from(AccountType),
        st.sampled_from(["USD", "EUR"]),
        st.booleans(),
        st.booleans(),
    ),
    max_size=12,
)


@given(accounts)
def test_every_figure_agrees_with_the_others(of: list[Account]) -> None:
    worth = net_worth(of, into=USD, at=NOW)
    assert worth.total == worth.assets + worth.liabilities
    assert worth.assets.amount >= 0 >= worth.liabilities.amount
    assert [m for m in worth.by_currency if m.currency != USD] == list(worth.unconverted)
    counting = [a for a in of if a.is_active and a.included_in_net_worth and a.currency == USD]
    assert sum(g.account_count for g in worth.by_group) == len(counting)
    assert sum(p.account_count for p in worth.by_provider) == len(counting)
    exact = total((a.balance for a in counting), USD)
    assert abs((exact - worth.total).amount) <= Decimal("0.01")


def test_a_card_paid_too_much_is_an_asset() -> None:
    card = an_account(type=AccountType.CREDIT_CARD, balance=money("12.34"))
    assert net_worth([card], into=USD, at=NOW).assets == money("12.34")


def test_other_currencies_stand_apart() -> None:
    both = [an_account(), an_account(balance=money("-7", "EUR"))]
    worth = net_worth(both, into=USD, at=NOW)
    assert worth.total == money("100.00")
    assert list(worth.unconverted) == [money("-7.00", "EUR")]
    assert net_worth(both, into=EUR, at=NOW).total == money("-7.00", "EUR")


def test_what_an_account_was_worth_in_another_currency_is_unknown() -> None:
    a, b = an_account(balance=money("5")), an_account(balance=money("2"))
    days = [date(2026, 11, d) for d in (19, 20, 21)]
    of_a = [money("7", "EUR"), money("7", "EUR"), money("5")]
    of_b = [None, money("2"), money("2")]
    values: dict[AccountId, list[Money | None]] = {a.id: [*of_a], b.id: [*of_b]}
    points = net_worth_points([a, b], days, values, into=USD)
    assert [(p.at.day, p.total) for p in points] == [(20, money("2.00")), (21, money("7.00"))]


def test_a_history_begins_when_something_is_known_and_ends_in_todays_worth() -> None:
    a, b = an_account(balance=money("5")), an_account(balance=money("-2"))
    days = [date(2026, 11, d) for d in (19, 20, 21)]
    values = {a.id: [None, money("4"), money("5")], b.id: [None, None, money("-2")]}
    points = net_worth_points([a, b], days, values, into=USD)
    assert [(p.at.day, p.total) for p in points] == [(20, money("4.00")), (21, money("3.00"))]
    assert points[-1].total == net_worth([a, b], into=USD, at=NOW).total
