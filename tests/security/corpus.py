"""Access tokens that must be refused, each by what is wrong with it.

Whoever made them has our public key and good tokens of two people; where a case is `said` or
`claimed` they even have our private key, so that all else about the token is right.
"""

import base64
import hmac
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, TypeAlias
from uuid import uuid4

from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey
from cryptography.hazmat.primitives.serialization import Encoding, PublicFormat
from joserfc import jwe, jwt
from joserfc.jwk import ECKey, OctKey, OKPKey, RSAKey

from adapters.security.keyring import SigningKey

Json: TypeAlias = dict[str, Any]
LEFT_OUT: Any = ...


@dataclass(frozen=True, slots=True, kw_only=True)
class Forger:
    """`token` and `other` are good ones of two people, signed with `key`; it is `now` there."""

    token: str
    other: str
    key: SigningKey
    now: datetime

    @property
    def header(self) -> Json:
        return decoded(self.token.split(".")[0])

    @property
    def claims(self) -> Json:
        return decoded(self.token.split(".")[1])

    @property
    def parts(self) -> tuple[str, str, str]:
        header, claims, signature = self.token.split(".")
        return header, claims, signature

    def signed(self, header: str, claims: str, key: Ed25519PrivateKey | None = None) -> str:
        """A right signature of these two by our key, or the one given."""
        text = f"{header}.{claims}"
        return f"{text}.{encoded((key or self.key.private).sign(text.encode()))}"


Forge: TypeAlias = Callable[[Forger], str]


def encoded(content: bytes) -> str:
    return base64.urlsafe_b64encode(content).rstrip(b"=").decode()


def part(value: object) -> str:
    return encoded(json.dumps(value, separators=(",", ":")).encode())


def decoded(text: str) -> Json:
    found: Json = json.loads(base64.urlsafe_b64decode(text + "=" * (-len(text) % 4)))
    return found


def _changed(was: Json, said: Mapping[str, Any], f: Forger) -> str:
    """The members, of which some are said or left out; what can be called is told the time."""
    new = {**was, **said}
    second = int(f.now.timestamp())
    return part({k: v(second) if callable(v) else v for k, v in new.items() if v is not LEFT_OUT})


def said(*, key: Ed25519PrivateKey | None = None, **header: Any) -> Forge:
    return lambda f: f.signed(_changed(f.header, header, f), f.parts[1], key)


def claimed(**claims: Any) -> Forge:
    return lambda f: f.signed(f.parts[0], _changed(f.claims, claims, f))


def unsigned(alg: str) -> Forge:
    return lambda f: f"{_changed(f.header, {'alg': alg}, f)}.{f.parts[1]}."


def hmac_of(form: str, alg: str) -> Forge:
    """Our public key, which everybody has, as the secret of a symmetric algorithm."""

    def forge(f: Forger) -> str:
        public = f.key.public
        secret = {
            "raw": public.public_bytes_raw(),
            "PEM": public.public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo),
            "DER": public.public_bytes(Encoding.DER, PublicFormat.SubjectPublicKeyInfo),
            "JWK": json.dumps(jwk_of(f.key.private)).encode(),
        }[form]
        text = f"{_changed(f.header, {'alg': alg}, f)}.{f.parts[1]}"
        digest = "sha512" if alg == "HS512" else "sha256"
        return f"{text}.{encoded(hmac.digest(secret, text.encode(), digest))}"

    return forge


def by(alg: str, key: RSAKey | ECKey) -> Forge:
    return lambda f: jwt.encode({**f.header, "alg": alg}, f.claims, key, [alg])


def jwk_of(key: Ed25519PrivateKey) -> Json:
    return dict(OKPKey.import_key(key.public_key()).as_dict(private=False))


def raw(claims: Callable[[Forger], bytes]) -> Forge:
    return lambda f: f.signed(f.parts[0], encoded(claims(f)))


def text(change: Callable[[Forger], str]) -> Forge:
    return change


def _repeated(f: Forger) -> bytes:
    """Two subjects, of which the last one wins in most readers, and the first in some."""
    claims = json.dumps({**f.claims, "sub": str(uuid4())}, separators=(",", ":"))
    return f'{{"sub":"{f.claims["sub"]}",{claims[1:]}'.encode()


def _spelled_otherwise(f: Forger) -> str:
    """The same signature, with bits set past its end: base64 has one right spelling."""
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    last = alphabet.index(f.token[-1])
    return f.token[:-1] + alphabet[last ^ 1]


def _encrypted(f: Forger) -> str:
    key = OctKey.import_key(f.key.public.public_bytes_raw())
    return jwe.encrypt_compact({"alg": "dir", "enc": "A128CBC-HS256"}, f.token.encode(), key)


def _serialised(f: Forger) -> str:
    header, claims, signature = f.parts
    return json.dumps({"protected": header, "payload": claims, "signature": signature})


THEIRS = Ed25519PrivateKey.generate()
RSA = RSAKey.generate_key(2048)
P256 = ECKey.generate_key("P-256")
EVIL = "https://evil.example/keys"
HUGE = 10**30

ALGORITHMS: dict[str, Forge] = {
    **{f"alg {alg!r}, unsigned": unsigned(alg) for alg in ("none", "None", "NONE", "nOnE", "")},
    **{
        f"alg {alg} of our public key, {form}": hmac_of(form, alg)
        for alg in ("HS256", "HS512", "Ed25519")
        for form in ("raw", "PEM", "DER", "JWK")
    },
    "alg RS256": by("RS256", RSA),
    "alg ES256": by("ES256", P256),
    "alg EdDSA": said(alg="EdDSA"),
    "alg in small letters": said(alg="ed25519"),
    "alg a list": said(alg=["Ed25519"]),
    "no alg": said(alg=LEFT_OUT),
}
KEYS: dict[str, Forge] = {
    "another key by our kid": said(key=THEIRS),
    "kid unknown": said(kid="e-0123456789abcdef", key=THEIRS),
    "kid unknown, our key": said(kid="e-0123456789abcdef"),
    "kid a path": said(kid="../../../../dev/null"),
    "kid a URL": said(kid=EVIL),
    "kid SQL": said(kid="' UNION SELECT 'key' --"),
    "kid with a NUL": lambda f: said(kid=f.key.kid + "\0")(f),
    "kid a list": lambda f: said(kid=[f.key.kid])(f),
    "kid an object": said(kid={"kid": 1}),
    "kid a number": said(kid=0),
    "kid null": said(kid=None),
    "no kid": said(kid=LEFT_OUT),
    "jwk of another key": said(jwk=jwk_of(THEIRS), key=THEIRS),
    "jwk of another key and kid": said(jwk=jwk_of(THEIRS), kid="theirs", key=THEIRS),
    "jwk of our key": lambda f: said(jwk=jwk_of(f.key.private))(f),
    "jku": said(jku=EVIL, key=THEIRS),
    "x5u": said(x5u=EVIL, key=THEIRS),
    "x5c": said(x5c=[base64.b64encode(b"certificate").decode()], key=THEIRS),
}
HEADERS: dict[str, Forge] = {
    **{
        f"typ {typ!r}": said(typ=typ)
        for typ in ("JWT", "jwt", "AT+JWT", "application/at+jwt", "dpop+jwt", "id+jwt", "", None)
    },
    "no typ": said(typ=LEFT_OUT),
    "crit unknown": said(crit=["unheard-of"]),
    "crit exp": said(crit=["exp"], exp=lambda now: now + 900),
    "b64 false": said(b64=False, crit=["b64"]),
    "zip": said(zip="DEF"),
    "cty": said(cty="JWT"),
    "another order": lambda f: f.signed(part(dict(reversed(f.header.items()))), f.parts[1]),
    "blanks in the header": lambda f: f.signed(encoded(json.dumps(f.header).encode()), f.parts[1]),
}
CLAIMS: dict[str, Forge] = {
    **{
        f"no {name}": claimed(**{name: LEFT_OUT})
        for name in ("iss", "aud", "client_id", "sub", "sid", "jti", "iat", "exp", "ver", "gen")
    },
    "iss another": claimed(iss="https://evil.example"),
    "iss with a slash": lambda f: claimed(iss=f.claims["iss"] + "/")(f),
    "iss a list": lambda f: claimed(iss=[f.claims["iss"]])(f),
    "aud another": claimed(aud="another-api"),
    "aud a list with ours in it": lambda f: claimed(aud=["another-api", f.claims["aud"]])(f),
    "aud a list of ours": lambda f: claimed(aud=[f.claims["aud"]])(f),
    "aud empty": claimed(aud=[]),
    "client_id another": claimed(client_id="another"),
    "exp past": claimed(exp=lambda now: now - 1),
    "exp now": claimed(exp=lambda now: now),
    "exp a string": claimed(exp=lambda now: str(now + 900)),
    "exp a float": claimed(exp=lambda now: now + 900.5),
    "exp true": claimed(exp=True),
    "exp negative": claimed(exp=-1),
    "exp huge": claimed(exp=HUGE),
    "exp NaN": raw(lambda f: json.dumps({**f.claims, "exp": float("nan")}).encode()),
    "exp infinite": raw(lambda f: json.dumps({**f.claims, "exp": float("inf")}).encode()),
    "nbf in the future": claimed(nbf=lambda now: now + 60),
    "nbf a string": claimed(nbf="tomorrow"),
    "iat in the future": claimed(iat=lambda now: now + 60),
    "iat a string": claimed(iat="now"),
    "iat negative": claimed(iat=-HUGE),
    "sub another user": claimed(sub=str(uuid4())),
    "sub no id": claimed(sub="admin"),
    "sub a number": claimed(sub=7),
    "sub SQL": claimed(sub="' OR 1=1 --"),
    "sub braced": lambda f: claimed(sub="{" + f.claims["sub"] + "}")(f),
    "sid no id": claimed(sid="../"),
    "sid null": claimed(sid=None),
    "sid of nothing": claimed(sid=str(uuid4())),
    "jti empty": claimed(jti=""),
    "ver a string": claimed(ver="0"),
    "ver a float": claimed(ver=0.0),
    "ver true": claimed(ver=True),
    "ver negative": claimed(ver=-1),
    "gen a string": claimed(gen="0"),
    "gen null": claimed(gen=None),
    "claims repeated": raw(_repeated),
    "claims a list": raw(lambda f: json.dumps([f.claims]).encode()),
    "claims a string": raw(lambda _: b'"claims"'),
    "claims no JSON": raw(lambda _: b"{"),
    "claims deep": raw(lambda _: b"[" * 2_900),
    "claims in UTF-16": raw(lambda f: json.dumps(f.claims).encode("utf-16")),
    "claims empty": raw(lambda _: b""),
}
TEXTS: dict[str, Forge] = {
    "signature stripped": text(lambda f: f.token.rpartition(".")[0]),
    "signature empty": text(lambda f: f.token.rpartition(".")[0] + "."),
    "signature cut": text(lambda f: f.token[:-10]),
    "signature of another token": text(
        lambda f: f"{f.parts[0]}.{f.parts[1]}.{f.other.rpartition('.')[2]}"
    ),
    "claims of another token": text(lambda f: f"{f.parts[0]}.{f.other.split('.')[1]}.{f.parts[2]}"),
    "signature of zeros": text(lambda f: f.token.rpartition(".")[0] + "." + encoded(bytes(64))),
    "signature spelled otherwise": text(_spelled_otherwise),
    "signature padded": text(lambda f: f.token + "=="),
    "claims padded": text(lambda f: f"{f.parts[0]}.{f.parts[1]}=.{f.parts[2]}"),
    "in the other alphabet": text(lambda f: f.token.replace("-", "+").replace("_", "/") + "+/"),
    "a part more": text(lambda f: f.token + ".e30"),
    "twice": text(lambda f: f"{f.token}.{f.token}"),
    "with a blank in it": text(lambda f: f.token.replace(".", " .", 1)),
    "with a tab at its end": text(lambda f: f.token + "\tx"),
    "encrypted": text(_encrypted),
    "in JSON": text(_serialised),
    "nested": text(lambda f: f.signed(part({**f.header, "cty": "JWT"}), encoded(f.token.encode()))),
    "nested as the claims": text(lambda f: f.signed(f.parts[0], encoded(f.token.encode()))),
    "detached": text(lambda f: f"{f.parts[0]}..{f.parts[2]}"),
    "1 MB": text(lambda f: f.token + "A" * 1_000_000),
    "1 MB of claims": text(lambda f: f.signed(f.parts[0], encoded(b" " * 750_000))),
    "5,000 characters, signed": claimed(more="x" * 5_000),
    "1,000 dots": text(lambda _: "." * 1_000),
    "letters beyond ASCII": text(lambda f: f.token.replace("a", "\uff41", 1)),
    "percent-encoded": text(lambda f: f.token.replace(".", "%2E")),
    "empty": text(lambda _: ""),
    "a word": text(lambda _: "null"),
}
CORPUS: dict[str, Forge] = {**ALGORITHMS, **KEYS, **HEADERS, **CLAIMS, **TEXTS}

# What is only found out by looking the session up: as texts they are all right.
LOOKED_UP = frozenset({"sub another user", "sid of nothing"})
