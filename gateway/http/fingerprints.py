"""Which request it is that a client gave an `Idempotency-Key`, so that a repeat is told by it."""

import hashlib
import hmac
import json
from collections.abc import Sequence
from typing import Any
from uuid import UUID

from gateway.http.multipart import Upload
from gateway.operations.faults import bad_request
from gateway.operations.running import Operation

KEY_MAX = 255


def key_of(said: Sequence[str]) -> str:
    """Raises: Fault 400."""
    if len(said) != 1:
        raise bad_request("one Idempotency-Key, not several")
    [key] = said
    if not 0 < len(key) <= KEY_MAX or not (key.isascii() and key.isprintable()):
        raise bad_request(f"an Idempotency-Key has 1 to {KEY_MAX} printable ASCII characters")
    return key


def id_of(operation: Operation, key: str) -> UUID:
    """Of the key, among those of one person and operation: what it does, however it is called."""
    said = json.dumps([sorted(operation.root_fields), key])
    return UUID(bytes=hashlib.sha256(said.encode()).digest()[:16])


def fingerprint_of(operation: Operation, key: str) -> bytes:
    """Of all that makes one request another: document, operation, variables and files.

    By the client's key, which is not kept: so nobody who finds it can try what a bank's password
    among the variables may have been.
    """
    asked = operation.asked
    said = [operation.document.sha256, asked.operation_name, asked.variables]
    text = json.dumps(said, sort_keys=True, default=_of_file)
    return hmac.digest(key.encode(), text.encode(), hashlib.sha256)


def _of_file(upload: Any) -> Any:
    if not isinstance(upload, Upload):
        raise TypeError(type(upload))
    # No text of a request holds a NUL, so that nothing else looks like it.
    digest = hashlib.sha256(upload.content).hexdigest()
    return ["\0", upload.filename, upload.content_type, digest]
