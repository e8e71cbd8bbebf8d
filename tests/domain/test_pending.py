"""What was pending and settles under another id, at a provider that does not say so."""

from collections import Counter
from dataclasses import replace
from datetime import timedelta
from random import Random

from hypothesis import given, settings
from hypothesis import strategies as st

from domain.accounts import AccountId
from domain.identity import new_id
from domain.merging import (
    StoredTransactions,
    TransactionMerge,
    given_up,
    lapsed,
    merge_transactions,
    remove_transactions,
)
from domain.sync import ReceivedTransaction
from domain.transactions import Transaction, TransactionId, TransactionStatus
from tests.builders import money, received_transaction
from tests.domain.test_merging import ACCOUNT, LATER, taken

DAY = received_transaction().date
PENDING = TransactionStatus.PENDING


def held(key: str = "p1", amount: str = "-4.50", **said: object) -> ReceivedTransaction:
    return received_transaction(key=key, amount=money(amount), status=PENDING, **said)


def stored(*rows: ReceivedTransaction) -> list[Transaction]:
    return taken(list(rows)).created


def settled(gone: list[Transaction], *rows: ReceivedTransaction) -> TransactionMerge:
    of = [(ACCOUNT, row) for row in rows]
    return merge_transactions(
        StoredTransactions(by_key={}, lapsed=gone), of, securities={}, at=LATER
    )


def test_the_same_amount_within_days_is_the_same_transaction_with_its_own_id_and_text() -> None:
    [before] = stored(held())
    before = replace(before, notes="mine")
    now = received_transaction(key="s1", amount=money("-4.50"), date=DAY + timedelta(days=3))

    merge = settled([before], now)

    [after] = merge.updated
    assert (after.id, after.notes, after.status) == (
        before.id, "mine", TransactionStatus.SETTLED,
    )  # fmt: skip
    assert after.date == now.date
    assert merge.named == {(ACCOUNT, "s1"): before.id}
    assert not given_up([before], merge)


def test_it_is_not_settled_before_it_was_pending_nor_weeks_after_nor_at_another_amount() -> None:
    gone = stored(held())
    for said in (
        {"date": DAY - timedelta(days=1)},
        {"date": DAY + timedelta(days=15)},
        {"amount": money("-5.40")},
        {"amount": money("4.50")},
        {"amount": money("-4.50", "EUR")},
        {"status": PENDING},
    ):
        row = received_transaction(**{"key": "s1", "amount": money("-4.50"), "date": DAY, **said})
        merge = settled(gone, row)
        assert len(merge.created) == 1
        assert given_up(gone, merge) == gone


def test_of_two_alike_the_same_text_goes_first_and_none_is_taken_twice() -> None:
    tea, bun = stored(held("p1", description="TEA"), held("p2", description="BUN"))
    row = received_transaction(key="s1", amount=money("-4.50"), description="bun")

    assert [t.id for t in settled([tea, bun], row).updated] == [bun.id]
    both = settled([tea, bun], row, replace(row, key="s2"), replace(row, key="s3"))
    assert {t.id for t in both.updated} == {tea.id, bun.id}
    assert len(both.created) == 1


def test_what_was_removed_while_it_was_nowhere_comes_back_as_what_it_settled_as() -> None:
    [removed] = remove_transactions(stored(held()), LATER).removed
    [back] = settled([removed], received_transaction(key="s1", amount=money("-4.50"))).updated
    assert (back.id, back.removed_at) == (removed.id, None)


def test_only_what_no_key_names_among_all_that_is_pending_has_lapsed() -> None:
    one, two = stored(held("p1"), held("p2"))
    named = [(one, "p1"), (one, "old"), (two, "p2")]
    assert lapsed(named, {ACCOUNT: ["p1", "new"]}) == [two]
    assert lapsed(named, {ACCOUNT: []}) == [one, two]
    assert lapsed(named, {}) == []


@given(st.lists(st.tuples(st.integers(1, 3), st.integers(0, 4), st.integers(0, 4)), max_size=12))
def test_nothing_is_ever_doubled_or_lost(purchases: list[tuple[int, int, int]]) -> None:
    """Each is pending first, then settles under another id some days later, for one of three
    amounts: afterwards there is one row for each, settled."""
    pending = [
        held(f"p{n}", f"-{amount}.00", date=DAY + timedelta(days=begins))
        for n, (amount, begins, _) in enumerate(purchases)
    ]
    rows = [
        received_transaction(
            key=f"s{n}",
            amount=money(f"-{amount}.00"),
            date=DAY + timedelta(days=begins + later),
        )
        for n, (amount, begins, later) in enumerate(purchases)
    ]
    before = stored(*pending)
    merge = settled(before, *rows)
    standing = [*merge.created, *merge.updated]
    gone = given_up(before, merge)

    assert sorted(t.amount.amount for t in standing) == sorted(r.amount.amount for r in rows)
    assert len({t.id for t in standing}) == len(standing)
    assert not {t.id for t in gone} & {t.id for t in standing}
    assert len(gone) == len(merge.created)


def test_what_settles_under_its_own_id_is_not_taken_for_another_of_that_amount() -> None:
    one, two = stored(held("p1"), held("p2"))
    rows = [received_transaction(key=key, amount=money("-4.50"), date=DAY) for key in ("s1", "p1")]
    known = StoredTransactions(by_key={(ACCOUNT, "p1"): one}, lapsed=[one, two])
    merge = merge_transactions(known, [(ACCOUNT, row) for row in rows], securities={}, at=LATER)
    assert merge.named == {(ACCOUNT, "s1"): two.id}
    assert {t.id for t in merge.updated} == {one.id, two.id}


OTHER = AccountId(new_id())
# Of each: account, amount, first poll, polls until it settles, whether under its own id, and from
# which poll on nobody tells it until then.
lives = st.tuples(
    st.sampled_from([ACCOUNT, OTHER]),
    st.integers(1, 2),
    st.integers(0, 3),
    st.integers(0, 4),
    st.booleans(),
    st.integers(0, 6),
)


@settings(max_examples=100, deadline=None)
@given(st.lists(lives, max_size=6), st.sampled_from(["one page", "a file", "pages"]), st.randoms())
def test_after_every_pull_there_is_what_the_provider_says_and_nothing_else(
    purchases: list[tuple[AccountId, int, int, int, bool, int]], kind: str, chance: Random
) -> None:
    """Whatever settles, vanishes, keeps its id or not; in one page, or in one a row, in whatever
    order. (Of a file, whose keys are no ids, what vanishes and comes back by its own key is told
    from another that took its place within a page only.)"""
    stored: dict[TransactionId, Transaction] = {}
    names: dict[tuple[AccountId, str], TransactionId] = {}
    replaced: set[tuple[AccountId, str]] = set()
    is_file, in_pages = kind == "a file", kind != "one page"
    for poll in range(7):
        told: list[tuple[AccountId, ReceivedTransaction]] = []
        for n, (account, amount, first, lasts, is_stable, gone) in enumerate(purchases):
            has_settled = poll >= first + lasts
            is_away = poll >= gone and not has_settled and not (is_stable and is_file)
            if poll < first or is_away:
                continue
            row = received_transaction(
                key=f"s{n}" if has_settled and not is_stable else f"p{n}",
                status=TransactionStatus.SETTLED if has_settled else PENDING,
                amount=money(f"-{amount}.00"),
                date=DAY + timedelta(days=first + lasts * has_settled),
            )
            told.append((account, row))
        chance.shuffle(told)
        pages = [[one] for one in told] or [[]] if in_pages else [told]
        still = {
            account: [r.key for a, r in told if a == account and (is_file or r.status is PENDING)]
            for account in (ACCOUNT, OTHER)
        }
        for page in pages:
            pending = [(stored[id], key) for (_, key), id in names.items()]
            pending = [p for p in pending if p[0].status is PENDING]
            left = lapsed(pending, still)
            before = StoredTransactions(
                by_key={k: stored[id] for k, id in names.items()},
                replaced=replaced,
                lapsed=left,
                names={t.id: [k for each, k in pending if each.id == t.id] for t in left},
                are_ids=not is_file,
            )
            merge = merge_transactions(before, page, securities={}, at=LATER)
            lost = remove_transactions(given_up(left, merge), LATER)
            stored |= {t.id: t for t in (*merge.written, *lost.removed)}
            names |= merge.named
            replaced = {*replaced} - merge.named.keys() | merge.replaced
        standing = [t for t in stored.values() if t.removed_at is None]
        assert Counter((t.account_id, t.amount, t.status) for t in standing) == Counter(
            (account, row.amount, row.status) for account, row in told
        )


def test_two_that_were_taken_for_one_are_told_apart_once_both_are_told() -> None:
    """The first was nowhere while the other settled, and it was taken for that."""
    [one] = settled(
        stored(held("p1")), received_transaction(key="s2", amount=money("-4.50"))
    ).updated
    known = {(ACCOUNT, key): one for key in ("p1", "s2")}
    rows = [received_transaction(key=key, amount=money("-4.50")) for key in ("s2", "p1")]
    both = merge_transactions(
        StoredTransactions(by_key=known),
        [(ACCOUNT, row) for row in rows],
        securities={},
        at=LATER,
    )
    [other] = both.created
    assert both.named == {(ACCOUNT, "p1"): other.id}
    again = merge_transactions(
        StoredTransactions(by_key=known | {(ACCOUNT, "p1"): other}),
        [(ACCOUNT, row) for row in rows],
        securities={},
        at=LATER,
    )
    assert (again.written, again.named) == ([], {})
