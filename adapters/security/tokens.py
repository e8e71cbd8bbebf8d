"""Access tokens that anyone with our public keys can check, and opaque ones that only we can."""

import base64
import binascii
import hashlib
import hmac
import json
import secrets
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from joserfc import jwt
from joserfc.errors import ExpiredTokenError, InvalidClaimError, JoseError
from joserfc.jwk import OKPKey

from adapters.security.keyring import Keyring, Keys, SigningKey
from domain.identity import ACCESS_LIFETIME

ALGORITHM = "Ed25519"  # RFC 9864; "EdDSA" would also allow Ed448
TYPE = "at+jwt"  # RFC 9068 §2.1
SKEW_S_MAX = 10  # between the clocks of two gateways
TOKEN_CHARS_MAX = 4096


class InvalidToken(Exception):
    """Not a token of ours, or no longer; `reason` is for the log, never for the client."""

    def __init__(self, reason: str) -> None:
        super().__init__(reason)
        self.reason = reason


class ExpiredToken(InvalidToken):
    """Ours, and its time is over."""


@dataclass(frozen=True, slots=True, kw_only=True)
class AccessClaims:
    """What an access token says.

    `version` is the user's token version when it was issued, `generation` that of everybody.
    """

    id: UUID
    user_id: UUID
    session_id: UUID
    version: int
    generation: int
    issued_at: datetime
    expires_at: datetime


class AccessTokens:
    """JWT access tokens (RFC 9068), signed with the keyring's key in use, read with any of its.

    A token's header has three members and we write them all, so there is one right text a key:
    any other is refused before it is parsed, and no algorithm, key or type is ever taken from it.
    To be refused so costs a look into a dictionary, whatever it names. Of the claims, too, there is
    only the text that we write.

    A token carries no role: what its user may do is looked up, since a grant takes effect at once.
    None is remembered here once it was read, which takes about 0.13 ms: whoever does so keeps to
    its expiry.
    """

    def __init__(
        self,
        keys: Keys,
        *,
        issuer: str,
        audience: str,
        client_id: str = "dashtam",
        lifetime: timedelta = ACCESS_LIFETIME,
    ) -> None:
        self._keys, self._keyring = keys, keys.current()
        self._public = _public(self._keyring)
        self._signing: tuple[SigningKey, OKPKey] | None = None
        self._issuer, self._audience, self._client = issuer, audience, client_id
        self._lifetime = lifetime

    def issue(
        self, *, user_id: UUID, session_id: UUID, version: int, generation: int, now: datetime
    ) -> str:
        signing, private = self._private()
        issued = int(now.timestamp())
        claims = {
            "iss": self._issuer,
            "aud": self._audience,
            "client_id": self._client,
            "sub": str(user_id),
            "sid": str(session_id),
            "jti": str(uuid4()),
            "iat": issued,
            "exp": issued + int(self._lifetime.total_seconds()),
            "ver": version,
            "gen": generation,
        }
        return jwt.encode(_header(signing.kid), claims, private, [ALGORITHM])

    def read(self, token: str, *, now: datetime) -> AccessClaims:
        """What the token says; that its session still lives is for the caller to ask.

        Raises:
            ExpiredToken: ours, at or after its `exp`.
            InvalidToken: anything else that was presented.
        """
        if len(token) > TOKEN_CHARS_MAX:
            raise InvalidToken("longer than any token of ours")
        key = self._readable().get(token.partition(".")[0])
        if key is None:
            raise InvalidToken("no header of ours: another algorithm, type or key")
        try:
            claims = jwt.decode(token, key, [ALGORITHM]).claims
            self._rules(now).validate(claims)
        except ExpiredTokenError as error:
            raise ExpiredToken("expired") from error
        except (JoseError, RecursionError, UnicodeEncodeError) as error:
            raise InvalidToken(f"{type(error).__name__}: {error}") from error
        if claims["aud"] != self._audience:  # of several is not what we write
            raise InvalidToken("for others, too")
        if _encoded(claims) != token.split(".")[1]:
            raise InvalidToken("claims in another text than ours, such as one of them twice")
        return _claims(claims)

    def _readable(self) -> Mapping[str, OKPKey]:
        """The keys by the headers that name them."""
        keyring = self._keys.current()
        if keyring is not self._keyring:
            self._public, self._keyring = _public(keyring), keyring
        return self._public

    def _private(self) -> tuple[SigningKey, OKPKey]:
        signing = self._keys.current().signing_now
        if self._signing is None or self._signing[0] != signing:
            self._signing = signing, OKPKey.import_key(signing.private)
        return self._signing

    def _rules(self, now: datetime) -> jwt.JWTClaimsRegistry:
        # joserfc's decode() leaves every claim unread, `exp` included.
        present: jwt.ClaimsOption = {"essential": True}
        return _Rules(
            int(now.timestamp()),
            iss={"essential": True, "value": self._issuer},
            aud={"essential": True, "value": self._audience},
            client_id={"essential": True, "value": self._client},
            sub=present,
            sid=present,
            jti=present,
            iat=present,
            exp=present,
            ver=present,
            gen=present,
        )


class _Rules(jwt.JWTClaimsRegistry):
    def validate_iat(self, value: object) -> None:
        """A little in the future is another gateway's clock; only `exp` gets no leeway."""
        if not isinstance(value, int) or value > self.now + SKEW_S_MAX:
            raise InvalidClaimError("iat")


def _claims(claims: jwt.Claims) -> AccessClaims:
    try:
        return AccessClaims(
            id=_id(claims["jti"]),
            user_id=_id(claims["sub"]),
            session_id=_id(claims["sid"]),
            version=_count(claims["ver"]),
            generation=_count(claims["gen"]),
            issued_at=datetime.fromtimestamp(_count(claims["iat"]), UTC),
            expires_at=datetime.fromtimestamp(_count(claims["exp"]), UTC),
        )
    except (AttributeError, OverflowError, TypeError, ValueError) as error:
        raise InvalidToken("a claim of the wrong type") from error


def _id(said: object) -> UUID:
    """Raises ValueError for another spelling than ours, of which UUID reads several."""
    id = UUID(str(said))
    if str(id) != said:
        raise ValueError("no id")
    return id


def _count(said: object) -> int:
    """Raises ValueError: what is no whole number is nothing that we wrote."""
    if not isinstance(said, int) or isinstance(said, bool) or said < 0:
        raise ValueError("no count")
    return said


def _public(keyring: Keyring) -> Mapping[str, OKPKey]:
    return {_encoded(_header(key.kid)): OKPKey.import_key(key.public) for key in keyring.signing}


def _header(kid: str) -> dict[str, str]:
    return {"typ": TYPE, "alg": ALGORITHM, "kid": kid}


def _encoded(part: Mapping[str, Any]) -> str:
    text = json.dumps(part, separators=(",", ":"))
    return base64.urlsafe_b64encode(text.encode()).rstrip(b"=").decode()


def new_secret() -> str:
    """256 random bits as 43 characters of base64url: a refresh, cookie or mailed token."""
    return secrets.token_urlsafe(32)


def digest(secret: str) -> bytes:
    """What is stored of a secret: SHA-256, unsalted, for 256 random bits cannot be guessed."""
    return hashlib.sha256(secret.encode("utf-8", "surrogatepass")).digest()


def is_secret(said: str) -> bool:
    """Whether it has the form of `new_secret`, canonically: one text a value."""
    try:
        plain = base64.b64decode(f"{said}=", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return False
    return len(plain) == 32 and base64.urlsafe_b64encode(plain).decode() == f"{said}="


class OpaqueTokens:
    """Secrets of which only the digest is stored, and the successors of refresh tokens."""

    def __init__(self, keys: Keys) -> None:
        self._key = keys.current().purpose_key("refresh.successor")  # which no rotation changes

    def new_secret(self) -> str:
        return new_secret()

    def digest(self, secret: str) -> bytes:
        return digest(secret)

    def successor(self, presented: str) -> str:
        """The token after `presented`, in the form of `new_secret`.

        Derived, not drawn: a client that lost our answer presents the same token again and gets
        the same successor, though none is kept in clear.
        """
        said = presented.encode("utf-8", "surrogatepass")
        mac = hmac.digest(self._key, said, "sha256")
        return base64.urlsafe_b64encode(mac).rstrip(b"=").decode()


class Tokens(AccessTokens, OpaqueTokens):
    """Both kinds, for one issuer and its API."""

    def __init__(self, keys: Keys, *, issuer: str, audience: str) -> None:
        AccessTokens.__init__(self, keys, issuer=issuer, audience=audience)
        OpaqueTokens.__init__(self, keys)
