"""The two keys of the audit log: one for the MACs of its rows, one that signs its checkpoints.

Both are derived from the keyring's MAC key, which `dashtam keys rotate` leaves as it is: what was
written and signed once is looked at for ever.
"""

import hashlib
import hmac

from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from adapters.security.keyring import Keyring


class AuditKeys:
    def __init__(self, keyring: Keyring) -> None:
        self._mac = keyring.purpose_key("audit.row")
        self._private = Ed25519PrivateKey.from_private_bytes(
            keyring.purpose_key("audit.checkpoint")
        )
        self._public = self._private.public_key()
        public = self._public.public_bytes_raw()
        self.id = f"a-{hashlib.sha256(public).hexdigest()[:16]}"  # of the key that signs

    def mac(self, text: bytes) -> bytes:
        return hmac.digest(self._mac, text, "sha256")

    def is_ours(self, text: bytes, mac: bytes) -> bool:
        return hmac.compare_digest(self.mac(text), mac)

    def sign(self, text: bytes) -> bytes:
        return self._private.sign(text)

    def signed(self, text: bytes, signature: bytes) -> bool:
        try:
            self._public.verify(signature, text)
        except InvalidSignature:
            return False
        return True
