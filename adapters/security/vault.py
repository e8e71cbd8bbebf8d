"""Envelope encryption: what a provider gives us to keep is sealed under keys of the keyring.

A sealed value is

    version (1) | key id length (1) | key id | nonce (12) | wrapped data key (48)
                | commitment (32) | nonce (12) | ciphertext and tag

The data key is drawn for each seal, so no nonce can meet its key twice. That is more than a key
for each link: no two versions of one link's credentials share a key either, there is no table of
keys to lose or to leak, and a link is shredded with its one row, key and all. What a backup still
holds of it opens until the keyring's key of that time is pruned.

The keyring's key wraps the data key bound to header and context, so to its own id; the body is
bound to version and context, so that `rewrap` can change that id without seeing what is inside.
Of credentials the context names the version that their row has (`domain.sealing`): an older
ciphertext put back does not open. Whoever puts back the older row as a whole has put back the
database of that day, which nothing in the same database can tell.
"""

import hmac
import secrets
from collections.abc import Mapping
from dataclasses import dataclass

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDFExpand

from adapters.security.keyring import KEY_BYTES, Keyring, Keys
from domain.ports import Unsealable
from domain.sealing import Bound

VERSION = 1
NONCE_BYTES = 12
TAG_BYTES = 16
WRAPPED_BYTES = KEY_BYTES + TAG_BYTES
COMMITMENT_BYTES = 32


class UnknownKey(Unsealable):
    """Sealed under a key that this keyring does not hold; `key_id` says which."""

    def __init__(self, key_id: str) -> None:
        super().__init__(
            f"there is no key {key_id} here: put back the keyring that belongs to this database"
        )
        self.key_id = key_id


@dataclass(frozen=True, slots=True)
class _Parts:
    key_id: str
    header: bytes
    wrap_nonce: bytes
    wrapped: bytes
    body: bytes  # commitment, nonce, ciphertext


class Vault:
    """`context` names the one place where a value belongs: elsewhere it does not open. It is not
    kept inside.
    """

    def __init__(self, keys: Keys) -> None:
        self._source = keys
        self._keyring = keys.current()
        self._ciphers = _ciphers(self._keyring)
        self._fingerprints = self._keyring.purpose_key("fingerprint")

    def seal(self, plain: bytes, *, context: Bound) -> bytes:
        data_key = secrets.token_bytes(KEY_BYTES)
        key, commitment = _derived(data_key)
        nonce = secrets.token_bytes(NONCE_BYTES)
        body = commitment + nonce + AESGCM(key).encrypt(nonce, plain, _body_aad(context))
        return self._wrap(data_key, context) + body

    def open(self, sealed: bytes, *, context: Bound) -> bytes:
        """Raises: UnknownKey, and Unsealable for another context or what was altered: which of them
        is not told."""
        parts = _parts(sealed)
        key, commitment = _derived(self._unwrap(parts, context))
        said, nonce, ciphertext = _body(parts.body)
        # GCM lets one ciphertext open under two keys; the commitment does not.
        if not hmac.compare_digest(said, commitment):
            raise Unsealable("the seal does not fit")
        try:
            return AESGCM(key).decrypt(nonce, ciphertext, _body_aad(context))
        except InvalidTag:
            raise Unsealable("the seal does not fit") from None

    @property
    def header(self) -> bytes:
        """What all begins with that is sealed now, and nothing does that lies under another key."""
        return header_of(self._ring().sealing_now.id)

    def rewrap(self, sealed: bytes, *, context: Bound) -> bytes:
        """The same value under the key in use, its body unread. Raises: Unsealable, UnknownKey."""
        parts = _parts(sealed)
        return self._wrap(self._unwrap(parts, context), context) + parts.body

    def fingerprint(self, text: str, *, context: Bound) -> str:
        """64 hex digits, equal for equal text and context, that without the key tell nothing.

        Account numbers are short enough to try them all, hence a MAC and no bare hash.
        """
        said = text.encode("utf-8", "surrogatepass")
        message = len(context).to_bytes(4, "big") + context + said
        return hmac.digest(self._fingerprints, message, "sha256").hex()

    def _ring(self) -> Keyring:
        keyring = self._source.current()
        if keyring is not self._keyring:
            self._ciphers, self._keyring = _ciphers(keyring), keyring
        return keyring

    def _wrap(self, data_key: bytes, context: Bound) -> bytes:
        id = self._ring().sealing_now.id
        header, nonce = header_of(id), secrets.token_bytes(NONCE_BYTES)
        return header + nonce + self._ciphers[id].encrypt(nonce, data_key, header + context)

    def _unwrap(self, parts: _Parts, context: Bound) -> bytes:
        self._ring()
        key = self._ciphers.get(parts.key_id)
        if key is None:
            raise UnknownKey(parts.key_id)
        try:
            return key.decrypt(parts.wrap_nonce, parts.wrapped, parts.header + context)
        except InvalidTag:
            raise Unsealable("the seal does not fit") from None


def _ciphers(keyring: Keyring) -> Mapping[str, AESGCM]:
    return {key.id: AESGCM(key.key) for key in keyring.sealing}


def key_of(sealed: bytes) -> str:
    """The id of the key that it lies under. Raises Unsealable for what no vault made."""
    return _parts(sealed).key_id


def header_of(key_id: str) -> bytes:
    id = key_id.encode()
    return bytes((VERSION, len(id))) + id


def _derived(data_key: bytes) -> tuple[bytes, bytes]:
    both = HKDFExpand(SHA256(), KEY_BYTES + COMMITMENT_BYTES, b"dashtam.vault.1").derive(data_key)
    return both[:KEY_BYTES], both[KEY_BYTES:]


def _body_aad(context: Bound) -> bytes:
    return bytes((VERSION,)) + context


def _body(body: bytes) -> tuple[bytes, bytes, bytes]:
    start = COMMITMENT_BYTES + NONCE_BYTES
    return body[:COMMITMENT_BYTES], body[COMMITMENT_BYTES:start], body[start:]


def _parts(sealed: bytes) -> _Parts:
    if len(sealed) < 2 or sealed[0] != VERSION:
        raise Unsealable("no seal of a version that we know")
    header_end = 2 + sealed[1]
    wrap = header_end + NONCE_BYTES
    body = wrap + WRAPPED_BYTES
    if len(sealed) < body + COMMITMENT_BYTES + NONCE_BYTES + TAG_BYTES:
        raise Unsealable("the seal was cut")
    id = sealed[2:header_end]
    if not id.isascii():
        raise Unsealable("the seal does not fit")
    return _Parts(
        key_id=id.decode("ascii"),
        header=sealed[:header_end],
        wrap_nonce=sealed[header_end:wrap],
        wrapped=sealed[wrap:body],
        body=sealed[body:],
    )
