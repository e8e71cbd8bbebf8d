"""What a document is called: by the SHA-256 of its text, or by the id that its manifest gave it."""

import re
from dataclasses import dataclass
from hashlib import sha256

ID_MAX = 128
ID = re.compile(rf"[A-Za-z0-9._~:-]{{1,{ID_MAX}}}", re.ASCII)
HASH = re.compile(r"(?:sha256:)?([0-9a-f]{64})")
LIKE_A_HASH = re.compile(r"sha256:.*|[0-9a-f]{64}", re.IGNORECASE | re.DOTALL)


@dataclass(frozen=True, slots=True)
class Name:
    """`text` is a hash in lower case without its prefix, or an id as it is. In any other case a
    hash is none, as the specification of persisted documents has it, and no id either.
    """

    text: str
    is_hash: bool


def name_of(said: str) -> Name | None:
    """None for what can be no id: the alphabet is that of GraphQL over HTTP, appendix A."""
    if (found := HASH.fullmatch(said)) is not None:
        return Name(found[1], is_hash=True)
    return Name(said, is_hash=False) if ID.fullmatch(said) else None


def digest(text: str) -> str:
    """Of its exact bytes, in lower case."""
    return sha256(text.encode("utf-8", "surrogatepass")).hexdigest()
