import base64
import hashlib
import time
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from uuid import UUID, uuid4

import pytest
from hypothesis import given
from hypothesis import strategies as st

from adapters.security.keyring import Keyring
from adapters.security.tokens import (
    AccessTokens,
    ExpiredToken,
    InvalidToken,
    OpaqueTokens,
    digest,
    is_secret,
    new_secret,
)
from domain.identity import ACCESS_LIFETIME
from tests.security.corpus import CORPUS, LOOKED_UP, Forge, Forger, claimed, decoded, part, said

KEYRING = Keyring.new()
KEY = KEYRING.signing[0]
TOKENS = AccessTokens(KEYRING, issuer="https://dashtam.example", audience="dashtam-api")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
USER, SESSION = uuid4(), uuid4()


def issued(
    tokens: AccessTokens = TOKENS, *, user_id: UUID = USER, version: int = 3, now: datetime = NOW
) -> str:
    return tokens.issue(user_id=user_id, session_id=SESSION, version=version, generation=5, now=now)


def forged(forge: Forge) -> str:
    return forge(Forger(token=issued(), other=issued(user_id=uuid4()), key=KEY, now=NOW))


def refused(token: str, *, now: datetime = NOW) -> str:
    with pytest.raises(InvalidToken) as caught:
        TOKENS.read(token, now=now)
    return caught.value.reason


def test_a_token_says_who_in_which_session_of_which_versions() -> None:
    claims = TOKENS.read(issued(), now=NOW)
    assert (claims.user_id, claims.session_id) == (USER, SESSION)
    assert (claims.version, claims.generation) == (3, 5)
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + ACCESS_LIFETIME)


def test_it_has_the_header_and_the_claims_of_rfc_9068() -> None:
    header, claims = (decoded(part) for part in issued().split(".")[:2])
    assert header == {"typ": "at+jwt", "alg": "Ed25519", "kid": KEY.kid}
    assert {"iss", "exp", "aud", "sub", "client_id", "iat", "jti"} <= claims.keys()
    assert claims["exp"] - claims["iat"] == 15 * 60


def test_no_two_tokens_share_an_id() -> None:
    assert TOKENS.read(issued(), now=NOW).id != TOKENS.read(issued(), now=NOW).id


def test_it_expires_after_exactly_fifteen_minutes() -> None:
    token = issued()
    TOKENS.read(token, now=NOW + timedelta(minutes=14, seconds=59))
    with pytest.raises(ExpiredToken):
        TOKENS.read(token, now=NOW + timedelta(minutes=15))


def test_a_token_of_the_future_is_refused_but_another_clocks_few_seconds_are_not() -> None:
    TOKENS.read(issued(), now=NOW - timedelta(seconds=10))
    assert "iat" in refused(issued(), now=NOW - timedelta(seconds=11))


@pytest.mark.parametrize("wrong", sorted(CORPUS.keys() - LOOKED_UP))
def test_a_token_of_the_corpus_is_refused(wrong: str) -> None:
    refused(forged(CORPUS[wrong]))


@pytest.mark.parametrize("claim", sorted(LOOKED_UP))
def test_what_a_token_cannot_tell_is_read_for_the_caller_to_look_up(claim: str) -> None:
    read, good = TOKENS.read(forged(CORPUS[claim]), now=NOW), TOKENS.read(issued(), now=NOW)
    assert (read.user_id, read.session_id) != (good.user_id, good.session_id)


def test_what_the_corpus_is_made_of_is_good() -> None:
    """Signed by the same hands, a token that changes nothing is read."""
    for forge in (said(), claimed(), claimed(exp=lambda now: now + 1)):
        assert TOKENS.read(forged(forge), now=NOW).user_id == USER
    assert len(CORPUS) > 100


def test_another_issuers_or_audiences_token_is_refused_though_the_key_is_the_same() -> None:
    refused(issued(AccessTokens(KEYRING, issuer="https://other", audience="dashtam-api")))
    refused(issued(AccessTokens(KEYRING, issuer="https://dashtam.example", audience="other")))


def test_a_token_of_before_a_rotation_is_read_and_a_new_one_is_signed_with_the_new_key() -> None:
    new = Keyring.new()
    both = replace(KEYRING, signing=(*new.signing, *KEYRING.signing))
    rotated = AccessTokens(both, issuer="https://dashtam.example", audience="dashtam-api")
    assert rotated.read(issued(), now=NOW).user_id == USER
    fresh = issued(rotated)
    assert decoded(fresh.split(".")[0])["kid"] == new.signing[0].kid
    assert rotated.read(fresh, now=NOW).user_id == USER
    assert "key" in refused(fresh)


def test_a_key_id_does_not_stand_for_another_key() -> None:
    new = Keyring.new()
    both = replace(KEYRING, signing=(*KEYRING.signing, *new.signing))
    rotated = AccessTokens(both, issuer="https://dashtam.example", audience="dashtam-api")
    with pytest.raises(InvalidToken):
        rotated.read(forged(said(key=new.signing[0].private)), now=NOW)


def test_reading_one_takes_less_than_a_fifth_of_a_millisecond() -> None:
    """Of a core, and the least of several tries: the machine is shared."""
    token, spent = issued(), []
    for _ in range(8):
        began = time.thread_time()
        for _ in range(50):
            TOKENS.read(token, now=NOW)
        spent.append((time.thread_time() - began) / 50)
    assert min(spent) < 200e-6


def test_a_huge_token_is_refused_before_it_is_parsed() -> None:
    assert "longer" in refused(issued() + "A" * 4096)
    assert "longer" in refused("." * 10_000_000)
    assert "longer" in refused(forged(claimed(more="x" * 4096)))


def test_a_changed_claim_breaks_the_signature() -> None:
    header, claims, signature = issued().split(".")
    changed = part({**decoded(claims), "ver": 4})
    assert "BadSignature" in refused(f"{header}.{changed}.{signature}")
    assert "BadSignature" in refused(f"{header}.{claims}.{'A' * 86}")


@given(st.text(max_size=300))
def test_no_text_is_more_than_an_invalid_token(text: str) -> None:
    refused(text)
    refused(f"{issued().split('.', maxsplit=1)[0]}.{text}")
    refused(f"{text}.{text}.{text}")


@given(st.integers(0, 10_000), st.characters(codec="ascii"))
def test_no_changed_character_before_the_signature_passes(at: int, other: str) -> None:
    token = issued()
    at %= token.rindex(".")
    if token[at] != other:
        refused(f"{token[:at]}{other}{token[at + 1 :]}")


def test_deeply_nested_json_is_an_invalid_token() -> None:
    deep = base64.urlsafe_b64encode(b"[" * 2900).rstrip(b"=").decode()
    refused(f"{deep}.{deep}.{deep}")
    refused(f"{issued().split('.', maxsplit=1)[0]}.{deep}.")


def test_a_secret_is_256_bits_in_43_characters_and_stored_as_its_sha256() -> None:
    secret = new_secret()
    assert len(secret) == 43
    assert len(base64.urlsafe_b64decode(f"{secret}=")) == 32
    assert is_secret(secret)
    assert digest(secret) == hashlib.sha256(secret.encode()).digest()
    assert len({new_secret() for _ in range(1000)}) == 1000


@given(st.text(max_size=60))
def test_only_the_form_of_a_secret_is_a_secret(said: str) -> None:
    assert not is_secret(said)
    assert len(digest(said)) == 32


def test_a_secret_has_one_spelling() -> None:
    secret = base64.urlsafe_b64encode(bytes(32)).rstrip(b"=").decode()
    assert is_secret(secret)
    assert not is_secret(secret[:-1] + "B")  # the same 32 bytes, with a bit set past their end
    assert not is_secret(secret + "=")
    assert not is_secret(secret[:-1])


def test_the_same_token_presented_twice_has_the_same_successor() -> None:
    opaque, presented = OpaqueTokens(KEYRING), new_secret()
    assert opaque.successor(presented) == OpaqueTokens(KEYRING).successor(presented)
    assert is_secret(opaque.successor(presented))
    assert opaque.successor(opaque.successor(presented)) not in {
        presented,
        opaque.successor(presented),
    }


def test_without_our_key_nobody_derives_a_successor() -> None:
    presented = new_secret()
    assert OpaqueTokens(KEYRING).successor(presented) != OpaqueTokens(Keyring.new()).successor(
        presented
    )


def test_ids_come_back_as_they_went_in() -> None:
    for id in (UUID(int=0), UUID(int=2**128 - 1), uuid4()):
        token = TOKENS.issue(user_id=id, session_id=id, version=0, generation=0, now=NOW)
        assert TOKENS.read(token, now=NOW).user_id == id
