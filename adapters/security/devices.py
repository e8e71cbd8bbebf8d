"""Devices that have signed in before: a value that each keeps and shows the next time.

    base64url of: seconds of Unix time (8 bytes) | HMAC-SHA-256 (32)

Nothing is stored. The MAC binds the value to its user and to what it took to sign in then: so for
another user, after the password was changed or a second factor enabled, it is no device that is
known.
"""

import base64
import binascii
import hmac
from datetime import datetime, timedelta

from adapters.security.keyring import Keys
from domain.identity import User
from domain.secret import Secret

LIFETIME = timedelta(days=365)
TIME_BYTES, MAC_BYTES = 8, 32


class SignedDevices:
    def __init__(self, keys: Keys) -> None:
        self._key = keys.current().purpose_key("known.device")  # which no rotation changes

    def known(self, said: str | None, user: User | None, at: datetime) -> bool:
        """Not what we never gave this user, or gave them long ago."""
        value = _value(said or "")
        if value is None or user is None:
            return False
        since, mac = value[:TIME_BYTES], value[TIME_BYTES:]
        if not hmac.compare_digest(mac, self._mac(user, since)):
            return False
        return at.timestamp() - int.from_bytes(since, "big") <= LIFETIME.total_seconds()

    def issue(self, user: User, at: datetime) -> Secret:
        since = int(at.timestamp()).to_bytes(TIME_BYTES, "big")
        value = since + self._mac(user, since)
        return Secret(base64.urlsafe_b64encode(value).rstrip(b"=").decode())

    def _mac(self, user: User, since: bytes) -> bytes:
        changed = user.password_changed_at
        password = b"" if changed is None else changed.isoformat().encode()
        said = user.id.bytes + since + bytes([user.totp_enabled]) + password
        return hmac.digest(self._key, said, "sha256")


def _value(said: str) -> bytes | None:
    try:
        value = base64.b64decode(f"{said}==", altchars=b"-_", validate=True)
    except (binascii.Error, ValueError):
        return None
    return value if len(value) == TIME_BYTES + MAC_BYTES else None
