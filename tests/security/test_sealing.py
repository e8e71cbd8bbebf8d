"""Sealed values against whoever can write into the database: nothing that is moved opens."""

import os
from uuid import uuid4

import pytest

from adapters.security.keyring import KEY_BYTES, Keyring
from adapters.security.vault import NONCE_BYTES, TAG_BYTES, Vault
from domain.ports import Unsealable
from domain.sealing import Bound, Place, bound_to

LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"
COLUMNS = (Place.CREDENTIALS, Place.ACCOUNT_NUMBER, Place.FILE, Place.TOTP_SEED, Place.JOB)
ROWS = 50
VAULT = Vault(Keyring.new())


def test_of_fifty_rows_and_all_columns_no_two_values_can_be_swapped() -> None:
    users = [uuid4() for _ in range(10)]
    places = [
        bound_to(column, users[row % 10], uuid4(), version=row + 1)
        for row in range(ROWS)
        for column in COLUMNS
    ]
    sealed = [VAULT.seal(b"value %d" % at, context=place) for at, place in enumerate(places)]
    opened = sum(
        _opens(sealed[mine], places[theirs])
        for mine in range(len(places))
        for theirs in range(len(places))
        if mine != theirs
    )
    assert opened == 0
    assert all(_opens(*both) for both in zip(sealed, places, strict=True))


def test_nothing_opens_that_was_there_before() -> None:
    user, link = uuid4(), uuid4()
    places = [bound_to(Place.CREDENTIALS, user, link, version=n) for n in range(20)]
    sealed = [VAULT.seal(b"the same", context=place) for place in places]
    for now, place in enumerate(places):
        assert [_opens(one, place) for one in sealed] == [n == now for n in range(20)]


def test_no_changed_bit_of_a_hundred_values_opens() -> None:
    place = bound_to(Place.CREDENTIALS, uuid4(), uuid4(), version=1)
    for number in range(100):
        sealed = VAULT.seal(os.urandom(number), context=place)
        for bit in range(len(sealed) * 8):
            changed = bytearray(sealed)
            changed[bit // 8] ^= 1 << bit % 8
            assert not _opens(bytes(changed), place), (number, bit)


def test_no_nonce_and_no_data_key_is_drawn_twice() -> None:
    count = 1_000_000 if LONG else 20_000
    place = bound_to(Place.FILE, uuid4(), uuid4())
    header = len(VAULT.header)
    wraps, bodies = set[bytes](), set[bytes]()
    for _ in range(count):
        sealed = VAULT.seal(b"", context=place)
        wraps.add(sealed[header : header + NONCE_BYTES + KEY_BYTES])
        # With each value its own key, whose commitment stands before the nonce.
        bodies.add(sealed[header + NONCE_BYTES + KEY_BYTES + TAG_BYTES :][: 32 + NONCE_BYTES])
    assert len(wraps) == len(bodies) == count
    assert len({wrap[:NONCE_BYTES] for wrap in wraps}) == count
    assert len({body[:32] for body in bodies}) == count


def _opens(sealed: bytes, place: Bound) -> bool:
    try:
        VAULT.open(sealed, context=place)
    except Unsealable:
        return False
    return True


@pytest.mark.parametrize("place", Place)
def test_an_empty_value_and_a_large_one_are_bound_alike(place: Place) -> None:
    here, there = bound_to(place, uuid4(), uuid4()), bound_to(place, uuid4(), uuid4())
    for plain in (b"", b"x" * 2_000_000):
        sealed = VAULT.seal(plain, context=here)
        assert VAULT.open(sealed, context=here) == plain
        assert not _opens(sealed, there)
