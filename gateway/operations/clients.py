"""Which client asks, as it says itself: a name and a version, from headers or from a socket's
first message. Nobody proves either, so that they decide nothing: they tell what is in use.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

NAME_MAX = 100
PREFIXES = ("apollographql-client", "graphql-client")
CLIENT_HEADERS = tuple(f"{prefix}-{what}" for prefix in PREFIXES for what in ("name", "version"))


@dataclass(frozen=True, slots=True)
class Client:
    """Empty where it was not said, or not in at most NAME_MAX printable characters of ASCII."""

    name: str = ""
    version: str = ""


ANONYMOUS = Client()


def client_of(headers: Mapping[str, str]) -> Client:
    """By the headers of Apollo's clients, else by those of everybody."""
    for prefix in PREFIXES:
        if name := shown(headers.get(f"{prefix}-name")):
            return Client(name, shown(headers.get(f"{prefix}-version")))
    return ANONYMOUS


def client_said(payload: Mapping[str, Any], headers: Mapping[str, str]) -> Client:
    """Of a socket: by the payload of `connection_init`, in the headers' words, else by them."""
    said = {name.lower(): value for name, value in payload.items() if isinstance(value, str)}
    found = client_of(said)
    return found if found.name else client_of(headers)


def shown(text: str | None) -> str:
    """`text` where it is a name that can be kept and printed, else nothing."""
    found = (text or "").strip()
    return found if len(found) <= NAME_MAX and found.isascii() and found.isprintable() else ""
