from datetime import date, timedelta
from decimal import Decimal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.accounts import Account, AccountId, AccountType
from domain.holdings import Holding
from domain.identity import new_id
from domain.links import LinkId
from domain.merging import (
    Merge,
    StoredTransactions,
    TransactionMerge,
    merge_account,
    merge_holdings,
    merge_securities,
    merge_transactions,
    remove_transactions,
)
from domain.money import MixedCurrencies, Money
from domain.securities import AssetType, OptionSide, OptionTerms, Security
from domain.sync import ReceivedHolding, ReceivedTransaction
from domain.transactions import Transaction, TransactionStatus
from tests.builders import (
    NOW,
    USD,
    an_account,
    money,
    received_account,
    received_holding,
    received_transaction,
    terms,
)

ACCOUNT = AccountId(new_id())
LINK = LinkId(new_id())
LATER = NOW + timedelta(days=1)


def merged(
    stored: Account | None, *, may_set_balance: bool = True, **said: object
) -> tuple[Merge[Account], Account]:
    merge: Merge[Account] = Merge()
    account = merge_account(
        merge,
        stored,
        received_account(**said),
        link_id=LINK,
        provider_slug="sandbox",
        may_set_balance=may_set_balance,
    )
    return merge, account


# ── accounts ────────────────────────────────────────────────────────────────


def test_the_same_account_again_changes_nothing() -> None:
    _, first = merged(None)
    merge, again = merged(first, as_of=LATER)
    assert again == first
    assert (merge.unchanged, merge.written) == (1, [])


def test_a_new_balance_moves_its_time_and_leaves_the_owners_word() -> None:
    _, first = merged(None)
    mine = an_account(
        **{n: getattr(first, n) for n in Account.__dataclass_fields__}
        | {"nickname": "Everyday", "included_in_net_worth": False}
    )
    merge, now = merged(mine, balance=money("90.00"), as_of=LATER)
    assert (now.balance, now.as_of) == (money("90.00"), LATER)
    assert (now.nickname, now.included_in_net_worth, now.id) == ("Everyday", False, first.id)
    assert merge.before == [mine]


def test_an_older_balance_never_replaces_a_newer_one() -> None:
    _, first = merged(None, as_of=LATER)
    _, now = merged(first, balance=money("1.00"), as_of=NOW)
    assert now.balance == first.balance


def test_a_file_does_not_overrule_the_live_link_that_feeds_the_account() -> None:
    live = an_account()
    _, now = merged(live, may_set_balance=False, balance=money("1.00"), as_of=LATER)
    assert (now.balance, now.link_id) == (live.balance, live.link_id)
    assert LINK in now.link_ids


def test_a_missing_balance_leaves_the_stored_one_and_a_new_account_at_nothing() -> None:
    _, first = merged(None)
    merge, now = merged(first, balance=None, as_of=LATER)
    assert (now, merge.unchanged) == (first, 1)
    _, new = merged(None, balance=None, currency="EUR")
    assert (new.balance, new.as_of) == (money("0", "EUR"), NOW)


def test_a_balance_is_in_the_currency_of_its_account() -> None:
    with pytest.raises(MixedCurrencies):
        received_account(currency="EUR")


def test_only_the_end_of_an_account_number_is_kept_in_clear() -> None:
    _, account = merged(None, number="0001-2345-6789")
    assert account.mask == "6789"
    assert "12345" not in repr(account)


# ── securities ──────────────────────────────────────────────────────────────


def test_a_security_is_recognised_by_any_identifier_and_learns_the_others() -> None:
    merge, found = merge_securities([], [terms("AAPL", isin="US0378331005")])
    [apple] = merge.created
    again, found = merge_securities([apple], [terms("AAPL", cusip="037833100")])
    assert [s.id for s in found.values()] == [apple.id]
    assert again.updated[0].cusip == "037833100"
    assert again.updated[0].isin == "US0378331005"


def test_identifiers_that_contradict_one_another_are_two_securities() -> None:
    merge, _ = merge_securities([], [terms("ABC", isin="US0378331005")])
    other, found = merge_securities(merge.created, [terms("ABC", isin="US5949181045")])
    assert len(other.created) == 1
    assert len({s.id for s in (*merge.created, *found.values())}) == 2


def test_a_coin_is_not_taken_for_a_share_of_the_same_symbol() -> None:
    coin = terms("SOL", asset_type=AssetType.CRYPTOCURRENCY)
    _, found = merge_securities([], [terms("SOL"), coin])
    assert len({s.id for s in found.values()}) == 2


def test_option_series_differ_by_their_terms() -> None:
    def option(strike: str) -> OptionTerms:
        return OptionTerms(
            underlying="META",
            side=OptionSide.PUT,
            strike=money(strike),
            expires_on=date(2027, 1, 15),
        )

    many = [
        terms("META", asset_type=AssetType.OPTION, option=option("510")),
        terms("META P510", asset_type=AssetType.OPTION, option=option("510.00")),
        terms("META", asset_type=AssetType.OPTION, option=option("520")),
    ]
    _, found = merge_securities([], many)
    assert len({s.id for s in found.values()}) == 2


# ── holdings ────────────────────────────────────────────────────────────────


def holdings_of(
    stored: list[Holding], received: list[ReceivedHolding], *, complete: bool = True
) -> Merge[Holding]:
    described = [r.security for r in received]
    known = {h.security.id: h.security for h in stored}
    _, securities = merge_securities(known.values(), described)
    return merge_holdings(
        stored,
        received,
        account_id=ACCOUNT,
        securities=securities,
        complete=complete,
    )


def test_positions_again_change_nothing_and_lost_ones_become_inactive() -> None:
    first = holdings_of([], [received_holding(), received_holding(security=terms("MSFT"))])
    assert len(first.created) == 2
    again = holdings_of(first.created, [received_holding(as_of=LATER)])
    assert again.unchanged == 1
    assert [(h.security.symbol, h.is_active) for h in again.removed] == [("MSFT", False)]


def test_a_partial_answer_closes_nothing() -> None:
    first = holdings_of([], [received_holding()])
    assert holdings_of(first.created, [], complete=False).written == []


def test_lots_of_one_position_are_added_up_and_all_are_counted() -> None:
    lots = [
        received_holding(quantity=Decimal(3), market_value=money("30"), cost_basis=money("20")),
        received_holding(quantity=Decimal(2), market_value=money("20"), cost_basis=money("15")),
    ]
    merge = holdings_of([], lots)
    [held] = merge.created
    assert held.quantity == Decimal(5)
    assert (held.market_value, held.cost_basis) == (money("50"), money("35"))
    assert merge.counts.received == 2


@pytest.mark.parametrize(("second", "of_all"), [("10.00", "10.00"), ("10.05", None)])
def test_lots_have_one_price_only_where_it_is_the_same(second: str, of_all: str | None) -> None:
    lots = [received_holding(market_price=money(price)) for price in ("10.00", second)]

    [held] = holdings_of([], lots).created

    assert held.market_price == (None if of_all is None else money(of_all))


def test_a_lot_in_another_currency_than_its_security_is_odd() -> None:
    lots = [
        received_holding(market_value=money("9", "EUR")),
        received_holding(market_value=money("30"), quantity=Decimal(3)),
    ]
    merge = merge_holdings(
        [],
        lots,
        account_id=ACCOUNT,
        securities=merge_securities([], [lots[0].security])[1],
        complete=True,
    )
    assert [h.market_value for h in merge.created] == [money("30")]
    assert merge.odd == lots[:1]
    assert merge.counts.received == 1


def test_lots_of_very_many_digits_are_added_up_exactly() -> None:
    much, little = Decimal("9" * 28), Decimal(1).scaleb(-28)
    lots = [received_holding(quantity=n, market_value=Money(n, USD)) for n in (much, little)]
    [held] = holdings_of([], lots).created
    assert held.quantity == held.market_value.amount == Decimal("9" * 28 + "." + "0" * 27 + "1")


def test_long_and_short_of_one_security_are_two_positions() -> None:
    both = [
        received_holding(),
        received_holding(quantity=Decimal(-4), market_value=money("-600")),
    ]
    assert len(holdings_of([], both).created) == 2


def test_a_short_position_gains_when_it_is_worth_less_to_buy_back() -> None:
    short = received_holding(
        quantity=Decimal(-10), market_value=money("-900"), cost_basis=money("-1000")
    )
    [held] = holdings_of([], [short]).created
    assert held.unrealized_gain == money("100")
    assert held.unrealized_gain_percent == Decimal("10.00")


@pytest.mark.parametrize(
    ("kind", "multiplier", "price", "quantity", "value"),
    [
        (AssetType.EQUITY, 1, "12.5", "10", "125.0"),
        (AssetType.OPTION, 100, "1.25", "-2", "-250.00"),
        (AssetType.FIXED_INCOME, 1, "98.5", "10000", "9850.000"),
        (AssetType.FUTURE, 50, "10", "1", "500"),
        (AssetType.CRYPTOCURRENCY, 1, "60000", "0.00000001", "0.00060000"),
    ],
)
def test_value_follows_from_quantity_price_and_contract(
    kind: AssetType, multiplier: int, price: str, quantity: str, value: str
) -> None:
    what = terms("X", asset_type=kind, multiplier=Decimal(multiplier))
    assert what.value(Decimal(quantity), money(price)) == money(value)


# ── transactions ────────────────────────────────────────────────────────────


def taken(
    received: list[ReceivedTransaction],
    by_key: dict[tuple[AccountId, str], Transaction] | None = None,
    others: list[Transaction] | None = None,
) -> TransactionMerge:
    described = [r.security for r in received if r.security]
    _, securities = merge_securities([], described)
    return merge_transactions(
        StoredTransactions(by_key=by_key or {}, others=others or []),
        [(ACCOUNT, r) for r in received],
        securities=securities,
        at=LATER,
    )


def known(merge: TransactionMerge) -> dict[tuple[AccountId, str], Transaction]:
    by_id = {t.id: t for t in merge.written}
    return {key: by_id[id] for key, id in merge.named.items()}


rows = st.lists(
    st.builds(
        lambda key, cents, day: received_transaction(
            key=key, amount=money(str(Decimal(cents) / 100)), date=date(2026, 1, 1) + timedelta(day)
        ),
        st.text("abc123", min_size=1, max_size=3),
        st.integers(-500, 500),
        st.integers(0, 5),
    ),
    max_size=20,
)


@given(rows)
def test_a_pull_twice_writes_nothing_the_second_time(received: list[ReceivedTransaction]) -> None:
    first = taken(received)
    again = taken(received, by_key=known(first))
    assert (again.written, again.named) == ([], {})
    assert first.counts.received == again.counts.received == len(received)


@given(rows)
def test_another_source_with_the_same_content_adds_nothing(
    received: list[ReceivedTransaction],
) -> None:
    first = taken(received)
    other = [received_transaction(key=f"x{i}", amount=t.amount, date=t.date)
             for i, t in enumerate(first.created)]  # fmt: skip
    second = taken(other, others=first.created)
    assert second.created == []
    assert len(second.named) == len(first.created)


def test_a_pending_row_that_settles_keeps_our_id_and_the_owners_notes() -> None:
    pending = received_transaction(key="p1", status=TransactionStatus.PENDING)
    first = taken([pending])
    settled = received_transaction(key="s1", replaces="p1", amount=money("-5.40"))
    merge = taken([settled], by_key=known(first))
    [now] = merge.updated
    assert now.id == first.created[0].id
    assert (now.status, now.amount) == (TransactionStatus.SETTLED, money("-5.40"))
    assert merge.named == {(ACCOUNT, "s1"): now.id, (ACCOUNT, "p1"): now.id}
    assert merge.replaced == {(ACCOUNT, "p1")}
    assert merge.created == []


def test_two_equal_coffees_stay_two_over_sources() -> None:
    two = [received_transaction(key="1"), received_transaction(key="2")]
    first = taken(two)
    assert len(first.created) == 2
    three = [received_transaction(key=k) for k in ("a", "b", "c")]
    assert len(taken(three, others=first.created).created) == 1


def test_equal_figures_in_two_currencies_are_two_transactions() -> None:
    dollars = taken([received_transaction(key="1", amount=money("-5"))])
    euros = received_transaction(key="a", amount=money("-5", "EUR"))
    assert len(taken([euros], others=dollars.created).created) == 1


def test_a_links_own_row_under_another_id_is_known_by_content_and_text() -> None:
    first = taken([received_transaction(key="1"), received_transaction(key="2", description="TEA")])
    own = [received_transaction(key="b", description=" tea "), received_transaction(key="c")]
    _, securities = merge_securities([], [])
    merge = merge_transactions(
        StoredTransactions(by_key={}, unnamed=first.created),
        [(ACCOUNT, r) for r in (*own, received_transaction(key="d", description="PARKING"))],
        securities=securities,
        at=LATER,
    )
    assert [t.description for t in merge.created] == ["PARKING"]
    coffee, tea = first.created
    assert (merge.named[ACCOUNT, "b"], merge.named[ACCOUNT, "c"]) == (tea.id, coffee.id)


def test_what_vanished_is_marked_once_and_comes_back_when_named_again() -> None:
    first = taken([received_transaction()])
    lost = remove_transactions(first.created, LATER)
    assert lost.removed[0].removed_at == LATER
    assert remove_transactions(lost.removed, LATER).written == []
    back = taken([received_transaction()], by_key={(ACCOUNT, "t1"): lost.removed[0]})
    assert back.updated[0].removed_at is None


def test_the_same_key_twice_in_a_page_means_the_later_one() -> None:
    merge = taken([received_transaction(), received_transaction(amount=money("-9"))])
    assert [t.amount for t in merge.created] == [money("-9")]
    assert merge.counts.received == 2


def test_a_security_named_in_a_trade_is_kept_with_it() -> None:
    trade = received_transaction(security=terms(), quantity=Decimal(-3))
    [made] = taken([trade]).created
    assert isinstance(made.security, Security)
    assert made.quantity == -3


def test_account_types_have_a_group_each() -> None:
    assert {kind.group.name for kind in AccountType} == {
        "INVESTMENT", "DEPOSIT", "CREDIT", "LOAN", "OTHER"
    }  # fmt: skip
