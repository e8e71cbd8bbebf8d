"""Plaid's webhooks: whether one is Plaid's, and what it says.

A JWT in the header Plaid-Verification vouches for the body by its SHA-256, signed with a key of
Plaid's that is named in it. What is signed is no older than five minutes.
"""

import binascii
import hashlib
import hmac
import json
import re
from base64 import urlsafe_b64decode
from collections.abc import Mapping
from datetime import UTC, datetime, timedelta

from joserfc import jws
from joserfc.errors import JoseError

from adapters.providers.kit import (
    Fault,
    Malformed,
    NotJson,
    as_record,
    decode,
    instant,
    text_or_none,
)
from adapters.providers.plaid.api import Api
from adapters.providers.plaid.faults import fault_of
from adapters.providers.plaid.keys import ALGORITHM, Keys
from domain.providers import Forged, Notice, Noticed

HEADER = "plaid-verification"
AGE_MAX, SKEW_MAX = timedelta(minutes=5), timedelta(seconds=30)
TOKEN_CHARS_MAX = 4_096

_KID = re.compile(r"[A-Za-z0-9_-]{1,64}")

# By type and code; what is not here is nothing to us. An Item that is read by /transactions/sync is
# told of by SYNC_UPDATES_AVAILABLE, beside the older words for the same.
SAID = {
    ("TRANSACTIONS", "SYNC_UPDATES_AVAILABLE"): Noticed.NEWS,
    ("INVESTMENTS_TRANSACTIONS", "DEFAULT_UPDATE"): Noticed.NEWS,
    ("INVESTMENTS_TRANSACTIONS", "HISTORICAL_UPDATE"): Noticed.NEWS,
    ("HOLDINGS", "DEFAULT_UPDATE"): Noticed.NEWS,
    ("ITEM", "USER_ACCOUNT_REVOKED"): Noticed.NEWS,
    ("ITEM", "LOGIN_REPAIRED"): Noticed.MENDED,
    ("ITEM", "USER_PERMISSION_REVOKED"): Noticed.WITHDRAWN,
    ("ITEM", "PENDING_EXPIRATION"): Noticed.EXPIRING,
    ("ITEM", "PENDING_DISCONNECT"): Noticed.EXPIRING,
}
ENDS = {"PENDING_EXPIRATION": "consent_expiration_time", "PENDING_DISCONNECT": "disconnect_time"}
ERRORS = {Fault.EXPIRED: Noticed.REAUTHORIZE, Fault.WITHDRAWN: Noticed.WITHDRAWN}


class Notices:
    def __init__(self, api: Api) -> None:
        self._keys = Keys(api)

    async def notice(self, headers: Mapping[str, str], body: bytes, at: datetime) -> Notice:
        """Raises Forged, ProviderUnavailable."""
        token = headers.get(HEADER, "")
        kid = _kid(token)
        signed = _claims(token)  # not believed yet: what could not be right is not asked about
        said_at = _checked(signed, body, at)
        key = await self._keys.key(kid, at)
        if key is None:
            raise Forged("no key of Plaid's")
        try:
            verified = jws.deserialize_compact(token, key, [ALGORITHM])
        except (JoseError, ValueError) as fault:
            raise Forged("not signed with that key") from fault
        if _json(verified.payload) != signed:
            raise Forged("other claims than those that are signed")
        covered = token.rpartition(".")[0].encode()  # a signature can be written in two ways
        receipt = hashlib.sha256(covered).hexdigest()
        return _said(body, said_at, receipt)


def _kid(token: str) -> str:
    if not token.isascii() or len(token) > TOKEN_CHARS_MAX or token.count(".") != 2:
        raise Forged("no JWT")
    header = _json(_decoded(token.partition(".")[0]))
    kid = header.get("kid")
    if header.get("alg") != ALGORITHM or not isinstance(kid, str) or not _KID.fullmatch(kid):
        raise Forged("another algorithm, or no key")
    if "crit" in header or "b64" in header:
        raise Forged("an extension that is not known here")
    return kid


def _claims(token: str) -> Mapping[str, object]:
    return _json(_decoded(token.split(".")[1]))


def _checked(claims: Mapping[str, object], body: bytes, at: datetime) -> datetime:
    """When it was said. Raises Forged."""
    issued, digest = claims.get("iat"), claims.get("request_body_sha256")
    if type(issued) is not int or not isinstance(digest, str) or not digest.isascii():
        raise Forged("no time, or no digest")
    ours = hashlib.sha256(body).hexdigest()
    if not hmac.compare_digest(ours, digest):
        raise Forged("of another body")
    try:
        said_at = datetime.fromtimestamp(issued, UTC)
    except (ValueError, OverflowError, OSError):
        raise Forged("of no time") from None
    if at - said_at > AGE_MAX or said_at - at > SKEW_MAX:
        raise Forged("of another time")
    return said_at


def _said(body: bytes, said_at: datetime, receipt: str) -> Notice:
    """What is signed and cannot be read says nothing to us."""
    try:
        record = as_record(decode(body), "the body")
        kind, code, item = (
            text_or_none(record, name) for name in ("webhook_type", "webhook_code", "item_id")
        )
        said = SAID.get((str(kind), str(code)), Noticed.NOTHING)
        if (kind, code) == ("ITEM", "ERROR"):
            error = fault_of(as_record(record.get("error"), "error"))
            said = Noticed.NOTHING if error is None else ERRORS.get(error.fault, Noticed.NOTHING)
        end = ENDS.get(str(code)) if said is Noticed.EXPIRING else None
        expire_at = None if end is None else instant(record, end)
    except (NotJson, Malformed):
        item, said, expire_at = None, Noticed.NOTHING, None
    return Notice(upstream=item, said=said, at=said_at, receipt=receipt, expire_at=expire_at)


def _decoded(part: str) -> bytes:
    try:
        return urlsafe_b64decode(part + "=" * (-len(part) % 4))
    except (binascii.Error, ValueError):
        raise Forged("no JWT") from None


def _json(content: bytes) -> Mapping[str, object]:
    try:
        found = json.loads(content)
    except (ValueError, RecursionError):
        raise Forged("no JWT") from None
    if not isinstance(found, dict):
        raise Forged("no JWT")
    return found
