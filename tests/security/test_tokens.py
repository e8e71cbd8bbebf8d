import base64
import hashlib
import hmac
import json
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from hypothesis import given
from hypothesis import strategies as st
from joserfc import jws, jwt
from joserfc.jwk import ECKey, OKPKey

from adapters.security.keyring import Keyring
from adapters.security.tokens import (
    LIFETIME,
    AccessTokens,
    ExpiredToken,
    InvalidToken,
    OpaqueTokens,
    digest,
    is_secret,
    new_secret,
)

KEYRING = Keyring.new()
KEY = KEYRING.signing[0]
TOKENS = AccessTokens(KEYRING, issuer="https://dashtam.example", audience="dashtam-api")
NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)
USER, SESSION = uuid4(), uuid4()


def issued(tokens: AccessTokens = TOKENS, *, now: datetime = NOW) -> str:
    return tokens.issue(user_id=USER, session_id=SESSION, role="USER", version=3, now=now)


def part(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).rstrip(b"=").decode()


def parts(token: str) -> tuple[dict[str, Any], dict[str, Any]]:
    header, claims = (
        json.loads(base64.urlsafe_b64decode(p + "=" * (-len(p) % 4))) for p in token.split(".")[:2]
    )
    return header, claims


def signed(
    header: dict[str, Any] | None = None,
    claims: dict[str, Any] | None = None,
    *,
    without: str = "",
    key: Ed25519PrivateKey = KEY.private,
) -> str:
    """A token with a right signature by the key, and whatever else we are told to say."""
    good_header, good_claims = parts(issued())
    full = {**good_claims, **(claims or {})}
    full.pop(without, None)
    return jwt.encode(
        {**good_header, **(header or {})}, full, OKPKey.import_key(key), algorithms=["Ed25519"]
    )


def refused(token: str, *, now: datetime = NOW) -> str:
    with pytest.raises(InvalidToken) as caught:
        TOKENS.read(token, now=now)
    return caught.value.reason


def test_a_token_says_who_in_which_session_with_which_role() -> None:
    claims = TOKENS.read(issued(), now=NOW)
    assert (claims.user_id, claims.session_id) == (USER, SESSION)
    assert (claims.role, claims.version) == ("USER", 3)
    assert (claims.issued_at, claims.expires_at) == (NOW, NOW + LIFETIME)


def test_it_has_the_header_and_the_claims_of_rfc_9068() -> None:
    header, claims = parts(issued())
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


def test_unsigned_is_refused() -> None:
    _, claims = parts(issued())
    for alg in ("none", "None", "NONE", ""):
        head = part({"typ": "at+jwt", "alg": alg, "kid": KEY.kid})
        assert "algorithm" in refused(f"{head}.{part(claims)}.")
    header, _, _ = issued().split(".")
    refused(f"{header}.{part(claims)}.")
    refused(f"{header}.{part(claims)}")


@pytest.mark.parametrize("as_secret", ["pem", "raw", "jwk"])
def test_our_public_key_is_no_hmac_secret(as_secret: str) -> None:
    secret = {
        "pem": KEY.public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
        "raw": KEY.public.public_bytes_raw(),
        "jwk": OKPKey.import_key(KEY.public).as_dict(private=False)["x"].encode(),  # type: ignore[union-attr]
    }[as_secret]
    _, claims = parts(issued())
    for alg in ("HS256", "Ed25519"):
        text = f"{part({'typ': 'at+jwt', 'alg': alg, 'kid': KEY.kid})}.{part(claims)}"
        mac = hmac.digest(secret, text.encode(), "sha256")
        refused(f"{text}.{base64.urlsafe_b64encode(mac).rstrip(b'=').decode()}")


def test_a_key_that_the_token_brings_along_is_not_used() -> None:
    own = Ed25519PrivateKey.generate()
    jwk = OKPKey.import_key(own.public_key()).as_dict(private=False)
    refused(signed({"jwk": jwk}, key=own))
    refused(signed({"jwk": jwk, "kid": "theirs"}, key=own))
    refused(signed({"jku": "https://evil.example/keys"}, key=own))
    refused(signed(key=own))
    ec = ECKey.generate_key("P-256")
    refused(jwt.encode({"alg": "ES256", "kid": KEY.kid}, parts(issued())[1], ec))


def test_the_old_name_of_the_algorithm_is_refused() -> None:
    registry = jws.JWSRegistry(algorithms=["EdDSA"])
    header, claims = parts(issued())
    with pytest.warns(Warning, match="EdDSA"):
        token = jws.serialize_compact(
            {**header, "alg": "EdDSA"},
            json.dumps(claims),
            OKPKey.import_key(KEY.private),
            registry=registry,
        )
    refused(token)


@pytest.mark.parametrize("kid", ["", "other", "../../dev/null", "' OR 1=1 --", "0" * 999])
def test_an_unknown_key_id_is_refused(kid: str) -> None:
    assert "key" in refused(signed({"kid": kid}))


@pytest.mark.parametrize("typ", ["JWT", "AT+JWT", "application/at+jwt", "dpop+jwt", ""])
def test_a_token_of_another_type_is_refused_though_we_signed_it(typ: str) -> None:
    refused(signed({"typ": typ}))


@pytest.mark.parametrize(
    ("claim", "value"),
    [
        ("iss", "https://evil.example"),
        ("iss", ["https://dashtam.example"]),
        ("aud", "another-api"),
        ("aud", []),
        ("client_id", "another"),
        ("sub", "not a uuid"),
        ("sub", 7),
        ("sid", "../"),
        ("sid", None),
        ("jti", ""),
        ("exp", "tomorrow"),
        ("exp", True),
        ("exp", 10**30),
        ("iat", "now"),
        ("iat", -(10**30)),
        ("nbf", int(NOW.timestamp()) + 60),
        ("tv", "many"),
        ("tv", None),
        ("role", None),
        ("role", ""),
    ],
)
def test_a_claim_that_is_wrong_is_refused_though_we_signed_it(claim: str, value: object) -> None:
    refused(signed(claims={claim: value}))


@pytest.mark.parametrize(
    "claim", ["iss", "aud", "client_id", "sub", "sid", "jti", "iat", "exp", "role", "tv"]
)
def test_a_claim_that_is_missing_is_refused_though_we_signed_it(claim: str) -> None:
    refused(signed(without=claim))


def test_another_issuers_or_audiences_token_is_refused_though_the_key_is_the_same() -> None:
    refused(issued(AccessTokens(KEYRING, issuer="https://other", audience="dashtam-api")))
    refused(issued(AccessTokens(KEYRING, issuer="https://dashtam.example", audience="other")))
    TOKENS.read(signed(claims={"aud": ["other", "dashtam-api"]}), now=NOW)


def test_a_token_of_before_a_rotation_is_read_and_a_new_one_is_signed_with_the_new_key() -> None:
    new = Keyring.new()
    both = replace(KEYRING, signing=(*new.signing, *KEYRING.signing))
    rotated = AccessTokens(both, issuer="https://dashtam.example", audience="dashtam-api")
    assert rotated.read(issued(), now=NOW).user_id == USER
    fresh = issued(rotated)
    assert parts(fresh)[0]["kid"] == new.signing[0].kid
    assert rotated.read(fresh, now=NOW).user_id == USER
    assert "key" in refused(fresh)


def test_a_key_id_does_not_stand_for_another_key() -> None:
    new = Keyring.new()
    both = replace(KEYRING, signing=(*KEYRING.signing, *new.signing))
    rotated = AccessTokens(both, issuer="https://dashtam.example", audience="dashtam-api")
    with pytest.raises(InvalidToken):
        rotated.read(signed({"kid": KEY.kid}, key=new.signing[0].private), now=NOW)


def test_a_huge_token_is_refused_before_it_is_parsed() -> None:
    assert "longer" in refused(issued() + "A" * 4096)
    assert "longer" in refused("." * 10_000_000)
    assert "longer" in refused(signed(claims={"role": "x" * 4096}))


def test_a_changed_claim_breaks_the_signature() -> None:
    header, claims, signature = issued().split(".")
    changed = part({**parts(issued())[1], "role": "ADMIN"})
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
        token = TOKENS.issue(user_id=id, session_id=id, role="ADMIN", version=0, now=NOW)
        assert TOKENS.read(token, now=NOW).user_id == id
