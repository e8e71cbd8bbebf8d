from datetime import date
from decimal import Decimal

from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import Account, AccountId, AccountType
from domain.money import EXACT, Money, exact_sum, total
from domain.portfolio import net_worth, net_worth_points
from domain.rates import Publication
from tests.builders import EUR, NOW, USD, an_account, money
from tests.rates.publications import rates_of

FRIDAY = date(2026, 10, 30)
RATES = rates_of([Publication(FRIDAY, {USD: Decimal("1.1172")})], "ECB")

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


@given(accounts)
def test_what_can_be_converted_is_in_every_figure_and_nothing_is_rounded_twice(
    of: list[Account],
) -> None:
    rate = RATES.rate(EUR, USD, FRIDAY)
    assert rate is not None
    worth = net_worth(of, into=USD, at=NOW, rates=RATES, day=FRIDAY)
    counting = [a for a in of if a.is_active and a.included_in_net_worth]
    factors = {USD: Decimal(1), EUR: rate.rate}
    exact = exact_sum(EXACT.multiply(a.balance.amount, factors[a.currency]) for a in counting)
    assert worth.total == Money(exact, USD).rounded()
    assert worth.total == worth.assets + worth.liabilities
    assert worth.assets.amount >= 0 >= worth.liabilities.amount
    assert worth.unconverted == []
    assert list(worth.rates) == [rate] * any(a.currency == EUR for a in counting)
    assert sum(g.account_count for g in worth.by_group) == len(counting)
    assert sum(p.account_count for p in worth.by_provider) == len(counting)


def test_each_is_converted_and_the_sum_is_rounded() -> None:
    three = [an_account(balance=money("0.004", "EUR")) for _ in range(3)]
    worth = net_worth(three, into=USD, at=NOW, rates=RATES, day=FRIDAY)
    assert worth.total == money("0.01")  # 0.0134064, of which each part would be 0.00
    assert [g.total for g in worth.by_group] == [p.total for p in worth.by_provider]
    assert [g.total for g in worth.by_group] == [worth.total]
    assert list(worth.by_currency) == [money("0.01", "EUR")]


def test_what_has_no_rate_is_unconverted_while_the_rest_is_converted() -> None:
    coins = an_account(balance=money("2", "BTC"))
    of = [an_account(balance=money("100", "EUR")), coins, an_account(balance=money("-50"))]
    worth = net_worth(of, into=USD, at=NOW, rates=RATES, day=FRIDAY)
    assert (worth.assets, worth.liabilities) == (money("111.72"), money("-50.00"))
    assert list(worth.unconverted) == [money("2.00000000", "BTC")]
    assert [r.source_currency for r in worth.rates] == [EUR]
    assert list(worth.by_currency) == [
        money("2.00000000", "BTC"),
        money("100.00", "EUR"),
        money("-50.00"),
    ]


def test_each_day_has_its_own_rate_and_one_without_says_so() -> None:
    account = an_account(balance=money("100", "EUR"))
    card = an_account(balance=money("-1"))
    days = [date(2026, 10, d) for d in (28, 29, 30)]
    hundred = money("100", "EUR")
    points = net_worth_points(
        [account, card],
        days,
        {account.id: [hundred] * 3, card.id: [money("-1")] * 3},
        into=USD,
        factors={EUR: [Decimal("1.1"), None, Decimal("1.1172")]},
    )
    assert [p.total.amount for p in points] == [Decimal(109), Decimal(-1), Decimal("110.72")]
    assert [list(p.unconverted) for p in points] == [[], [money("100.00", "EUR")], []]


def test_what_an_account_was_worth_in_another_currency_is_unknown() -> None:
    a, b = an_account(balance=money("5")), an_account(balance=money("2"))
    days = [date(2026, 11, d) for d in (19, 20, 21)]
    of_a = [money("7", "EUR"), money("7", "EUR"), money("5")]
    of_b = [None, money("2"), money("2")]
    values: dict[AccountId, list[Money | None]] = {a.id: [*of_a], b.id: [*of_b]}
    points = net_worth_points([a, b], days, values, into=USD)
    assert [(p.at.day, p.total) for p in points] == [(20, money("2.00")), (21, money("7.00"))]
    assert [list(p.unconverted) for p in points] == [[money("7.00", "EUR")], []]


def test_a_history_begins_when_something_is_known_and_ends_in_todays_worth() -> None:
    a, b = an_account(balance=money("5")), an_account(balance=money("-2"))
    days = [date(2026, 11, d) for d in (19, 20, 21)]
    values = {a.id: [None, money("4"), money("5")], b.id: [None, None, money("-2")]}
    points = net_worth_points([a, b], days, values, into=USD)
    assert [(p.at.day, p.total) for p in points] == [(20, money("4.00")), (21, money("3.00"))]
    assert points[-1].total == net_worth([a, b], into=USD, at=NOW).total
