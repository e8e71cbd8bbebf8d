"""What a sealed value or a fingerprint is bound to: whose, of which row, in which column.

Moved to another user, row or column, or put back after a later one was saved, a value does not
open. Nothing else makes a `Bound`, so that no two places can mean the same bytes.
"""

from enum import Enum
from typing import NewType
from uuid import UUID

Bound = NewType("Bound", bytes)

VERSION_BYTES = 8


class Place(Enum):
    """A column that holds sealed values or fingerprints. The words are in what is stored."""

    CREDENTIALS = "credentials"  # of a link
    ACCOUNT_NUMBER = "number"  # of an account
    FILE = "file"  # of a run
    TOTP_SEED = "totp"  # of a user
    VERIFIER = "verifier"  # of an authorization under way
    ANSWER = "answer"  # to a request that may be repeated
    JOB = "job"  # what a job carries, by the id in its payload
    LOGIN = "login"  # a fingerprint: who logs in at a provider
    ACCOUNT = "account"  # a fingerprint: what an account is recognised by
    UPSTREAM = "upstream"  # a fingerprint of nobody's: what webhooks call a login
    ACCOUNT_KEY = "key"  # a fingerprint: a file's name for an account of a link


def bound_to(place: Place, user_id: UUID, row_id: UUID | None = None, *, version: int = 0) -> Bound:
    """`version` counts what is saved in that row; 0 is what was sealed before that was counted.

    What is there once a user needs no `row_id`.
    """
    row = b"" if row_id is None else row_id.bytes
    counted = version.to_bytes(VERSION_BYTES, "big") if version else b""
    return Bound(place.value.encode() + b"|" + user_id.bytes + row + counted)
