"""Whether a client has the answer already: entity tags, RFC 9110 sections 8.8.3 and 13.1.2.

A tag is strong: it stands for the bytes of one representation, so each content coding of an answer
has one of its own, made of the answer's by the coding's name.
"""

import json
import re
from collections.abc import Sequence
from hashlib import sha256

from gateway.http.compression import CODINGS
from gateway.operations.parameters import Parameters

TAG = re.compile(r'(?:W/)?"([\x21\x23-\x7e\x80-\xff]*)"')


def tag_of(version: str, sha256_: str, asked: Parameters, media: str) -> str:
    """Of an answer that only changes with `version`, which says whose it is and what they may see;
    `sha256_` is the document's. Without its quotes."""
    variables = json.dumps(asked.variables, sort_keys=True, separators=(",", ":"))
    parts = (version, sha256_, asked.operation_name or "", variables, media)
    whole = b"".join(len(part).to_bytes(8, "big") + part for part in map(str.encode, parts))
    return sha256(whole).hexdigest()[:40]


def etag(tag: str, coding: str | None = None) -> str:
    return f'"{tag}"' if coding is None else f'"{tag}-{coding}"'


class IfNoneMatch:
    """The tags of the request's header, compared weakly, as is right for it."""

    def __init__(self, headers: Sequence[str]) -> None:
        header = ",".join(headers)
        self.is_any = header.strip() == "*"
        self.listed = frozenset(TAG.findall(header))

    def has(self, tag: str, codings: Sequence[str]) -> str | None:
        """The entity tag of a representation that the client has and, by what it accepts now,
        could be sent; None where it has none."""
        for coding in (*(each for each in CODINGS if each in codings), None):
            if (found := etag(tag, coding))[1:-1] in self.listed:
                return found
        return None
