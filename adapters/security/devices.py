"""Devices that have signed in before: a value that each keeps and shows the next time.

    base64url of: seconds of Unix time (8 bytes) | HMAC-SHA-256 (32) | whom (8) | seal (16)

Nothing is stored. The first MAC binds the value to its user and to what it took to sign in then: so
for another user, after the password was changed or a second factor enabled, it is no device that is
known. `whom` is a pseudonym of that user, which the seal keeps from being made up: so it can be
told, before anyone is looked up, that a value is ours, and which ones are one person's.
"""

import base64
import binascii
import hmac
from datetime import datetime, timedelta

from adapters.security.keyring import Keys
from domain.identity import User
from domain.secret import Secret

LIFETIME = timedelta(days=365)
TIME_BYTES, WHOM_BYTES, SEAL_BYTES = 8, 8, 16
KNOWN_BYTES = TIME_BYTES + 32
SIZE = KNOWN_BYTES + WHOM_BYTES + SEAL_BYTES


class SignedDevices:
    def __init__(self, keys: Keys) -> None:
        key = keys.current()
        self._key = key.purpose_key("known.device")  # which no rotation changes
        self._whom_key = key.purpose_key("known.device.whom")

    def known(self, said: str | None, user: User | None, at: datetime) -> bool:
        """Not what we never gave this user, or gave them long ago."""
        value = self._value(said or "")
        if value is None or user is None:
            return False
        since, mac = value[:TIME_BYTES], value[TIME_BYTES:KNOWN_BYTES]
        if not hmac.compare_digest(mac, self._mac(user, since)):
            return False
        return at.timestamp() - int.from_bytes(since, "big") <= LIFETIME.total_seconds()

    def issue(self, user: User, at: datetime) -> Secret:
        since = int(at.timestamp()).to_bytes(TIME_BYTES, "big")
        whom = hmac.digest(self._whom_key, user.id.bytes, "sha256")[:WHOM_BYTES]
        value = since + self._mac(user, since) + whom
        return Secret(base64.urlsafe_b64encode(value + self._seal(value)).rstrip(b"=").decode())

    def whom(self, said: str) -> bytes | None:
        """The same for all that one person was given; None for what is not ours."""
        value = self._value(said)
        return None if value is None else value[KNOWN_BYTES:] or None

    def _mac(self, user: User, since: bytes) -> bytes:
        changed = user.password_changed_at
        password = b"" if changed is None else changed.isoformat().encode()
        said = user.id.bytes + since + bytes([user.totp_enabled]) + password
        return hmac.digest(self._key, said, "sha256")

    def _seal(self, value: bytes) -> bytes:
        return hmac.digest(self._whom_key, value, "sha256")[:SEAL_BYTES]

    def _value(self, said: str) -> bytes | None:
        """Without its seal; those of the first releases have none, and do not say whom."""
        try:
            value = base64.b64decode(f"{said}==", altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            return None
        if len(value) == KNOWN_BYTES:
            return value
        value, seal = value[:-SEAL_BYTES], value[-SEAL_BYTES:]
        is_ours = len(value) + len(seal) == SIZE and hmac.compare_digest(seal, self._seal(value))
        return value if is_ours else None
