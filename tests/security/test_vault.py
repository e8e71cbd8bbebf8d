from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.security.keyring import Keyring, SealingKey
from adapters.security.vault import UnknownKey, Vault
from domain.ports import Unsealable
from domain.sealing import Bound

KEYRING = Keyring.new()
VAULT = Vault(KEYRING)
HERE = Bound(b"user-1|link-1")
GOLDEN = (
    "0108732d676f6c64656eb15df6ca7e2cb5957f544f6ea334c56fa50b00368a9346f12f87b160d9466c228a27"
    "6cd2531f536156ed7913a91e0aeb2e2713ec864d08fd5eeabaf58272fe0adae4a385fca32be48b2dd95ec0bc"
    "20b6b47f694878af231ce37bdfd8dcf5ac10dce3e5de1beb85877c9566b1c973f2c2af5a384389c6c40bd432"
    "800dd3ccd93ec228ce9d"
)
GOLDEN_FINGERPRINT = "f748fbded70072b2d545608cb074a5dc36be0c33ce1b5037e944d27f5f633c9f"


def rotated() -> Keyring:
    return replace(KEYRING, sealing=(*Keyring.new().sealing, *KEYRING.sealing))


@given(st.binary(max_size=2000), st.binary(max_size=200))
def test_what_was_sealed_opens_in_its_context(plain: bytes, said: bytes) -> None:
    context = Bound(said)
    assert VAULT.open(VAULT.seal(plain, context=context), context=context) == plain


@given(st.binary(max_size=50), st.binary(max_size=50), st.binary(max_size=50))
def test_it_opens_in_no_other_context(plain: bytes, context: bytes, other: bytes) -> None:
    if context != other:
        with pytest.raises(Unsealable):
            VAULT.open(VAULT.seal(plain, context=Bound(context)), context=Bound(other))


@given(st.binary(min_size=1, max_size=100), st.data())
def test_no_changed_bit_goes_unseen(plain: bytes, data: st.DataObject) -> None:
    sealed = bytearray(VAULT.seal(plain, context=HERE))
    at = data.draw(st.integers(0, len(sealed) * 8 - 1))
    sealed[at // 8] ^= 1 << at % 8
    with pytest.raises(Unsealable):
        VAULT.open(bytes(sealed), context=HERE)


@given(st.data())
def test_nothing_cut_off_or_added_goes_unseen(data: st.DataObject) -> None:
    sealed = VAULT.seal(b"token", context=HERE)
    with pytest.raises(Unsealable):
        VAULT.open(sealed[: data.draw(st.integers(0, len(sealed) - 1))], context=HERE)
    with pytest.raises(Unsealable):
        VAULT.open(sealed + data.draw(st.binary(min_size=1, max_size=20)), context=HERE)


@given(st.binary(max_size=300))
def test_no_bytes_are_more_than_unsealable(noise: bytes) -> None:
    for sealed in (noise, b"\x01" + noise):
        with pytest.raises(Unsealable):
            VAULT.open(sealed, context=HERE)
        with pytest.raises(Unsealable):
            VAULT.rewrap(sealed, context=HERE)


def test_the_same_value_never_looks_the_same_and_never_shows() -> None:
    sealed = {VAULT.seal(b"the same token", context=HERE) for _ in range(100)}
    assert len(sealed) == 100
    assert not any(b"the same token" in one or bytes(HERE) in one for one in sealed)


def test_the_body_of_one_seal_does_not_fit_the_key_of_another() -> None:
    one, other = VAULT.seal(b"mine", context=HERE), VAULT.seal(b"ours", context=HERE)
    wrap_end = 2 + one[1] + 12 + 48
    with pytest.raises(Unsealable):
        VAULT.open(one[:wrap_end] + other[wrap_end:], context=HERE)


def test_after_a_rotation_old_seals_open_and_new_ones_use_the_new_key() -> None:
    old = VAULT.seal(b"token", context=HERE)
    vault = Vault(rotated())
    assert vault.open(old, context=HERE) == b"token"
    assert not old.startswith(vault.header)
    assert vault.seal(b"token", context=HERE).startswith(vault.header)


def test_a_rewrapped_seal_needs_the_old_key_no_more() -> None:
    keyring = rotated()
    old = VAULT.seal(b"token", context=HERE)
    new = Vault(keyring).rewrap(old, context=HERE)
    only_new = Vault(replace(keyring, sealing=keyring.sealing[:1]))
    assert new.startswith(only_new.header)
    assert only_new.open(new, context=HERE) == b"token"
    with pytest.raises(UnknownKey, match=KEYRING.sealing[0].id):
        only_new.open(old, context=HERE)


def test_rewrapping_moves_nothing_to_another_context() -> None:
    with pytest.raises(Unsealable):
        Vault(rotated()).rewrap(VAULT.seal(b"token", context=HERE), context=Bound(b"user-2|link-1"))


def test_a_key_of_the_same_name_opens_nothing() -> None:
    impostor = SealingKey(KEYRING.sealing[0].id, bytes(32))
    with pytest.raises(Unsealable):
        Vault(replace(KEYRING, sealing=(impostor,))).open(
            VAULT.seal(b"token", context=HERE), context=HERE
        )


def test_a_refusal_does_not_say_what_was_inside() -> None:
    with pytest.raises(Unsealable) as caught:
        VAULT.open(VAULT.seal(b"the token", context=HERE), context=Bound(b"elsewhere"))
    assert "token" not in str(caught.value)
    assert "elsewhere" not in str(caught.value)


def test_a_seal_of_this_format_still_opens() -> None:
    """A golden vector: what is in people's databases must open with every later version."""
    keyring = Keyring((SealingKey("s-golden", bytes(range(32))),), KEYRING.signing, bytes(32))
    assert (
        Vault(keyring).open(bytes.fromhex(GOLDEN), context=Bound(b"user|link")) == b"golden token"
    )
    assert Vault(keyring).fingerprint("000123", context=Bound(b"bank|USD")) == GOLDEN_FINGERPRINT


@given(st.text(max_size=40), st.text(max_size=40), st.binary(max_size=9), st.binary(max_size=9))
def test_fingerprints_are_equal_for_equal_text_and_context_only(
    text: str, other: str, said: bytes, said_elsewhere: bytes
) -> None:
    context, elsewhere = Bound(said), Bound(said_elsewhere)
    one = VAULT.fingerprint(text, context=context)
    assert len(one) == 64
    assert one == Vault(KEYRING).fingerprint(text, context=context)
    assert (one == VAULT.fingerprint(other, context=elsewhere)) == (
        (text, context) == (other, elsewhere)
    )


def test_context_and_text_do_not_run_into_each_other() -> None:
    assert VAULT.fingerprint("c", context=Bound(b"ab")) != VAULT.fingerprint(
        "bc", context=Bound(b"a")
    )


def test_a_fingerprint_outlives_a_rotation_and_needs_the_key() -> None:
    one = VAULT.fingerprint("123456789", context=Bound(b"bank"))
    assert Vault(rotated()).fingerprint("123456789", context=Bound(b"bank")) == one
    assert Vault(Keyring.new()).fingerprint("123456789", context=Bound(b"bank")) != one
