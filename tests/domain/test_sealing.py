"""What a value is bound to is another thing for every user, row, column and version."""

from itertools import product
from uuid import UUID, uuid4

from hypothesis import given
from hypothesis import strategies as st

from domain.sealing import Place, bound_to

USER = UUID(int=1)
ROW = UUID(int=2)
SOMEBODY = st.tuples(
    st.sampled_from(Place),
    st.uuids(),
    st.none() | st.uuids(),
    st.integers(0, 2**63 - 1),
)


@given(SOMEBODY, SOMEBODY)
def test_two_places_have_two_bindings(
    one: tuple[Place, UUID, UUID | None, int], other: tuple[Place, UUID, UUID | None, int]
) -> None:
    bindings = [bound_to(*said[:3], version=said[3]) for said in (one, other)]
    assert (one == other) == (bindings[0] == bindings[1])


def test_parts_do_not_run_into_each_other() -> None:
    ids = [UUID(int=n) for n in (0, 1, 2**64, 2**127)]
    said = list(product(Place, ids, [None, *ids], (0, 1, 2**63 - 1)))
    assert len({bound_to(*one[:3], version=one[3]) for one in said}) == len(said)


def test_what_was_sealed_before_versions_were_counted_is_bound_as_it_was() -> None:
    """The bytes that are in people's databases, whatever the code is called by then."""
    both = USER.bytes + ROW.bytes
    assert bound_to(Place.CREDENTIALS, USER, ROW) == b"credentials|" + both
    assert bound_to(Place.ACCOUNT_NUMBER, USER, ROW) == b"number|" + both
    assert bound_to(Place.FILE, USER, ROW) == b"file|" + both
    assert bound_to(Place.VERIFIER, USER, ROW) == b"verifier|" + both
    assert bound_to(Place.LOGIN, USER) == b"login|" + USER.bytes
    assert bound_to(Place.ACCOUNT, USER) == b"account|" + USER.bytes
    assert bound_to(Place.ACCOUNT_KEY, USER, ROW) == b"key|" + both


def test_a_version_is_part_of_it() -> None:
    user, row = uuid4(), uuid4()
    versions = [bound_to(Place.CREDENTIALS, user, row, version=n) for n in range(100)]
    assert len(set(versions)) == 100
