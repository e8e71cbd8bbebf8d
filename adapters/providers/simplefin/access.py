"""Setup tokens and access URLs: whom they lead to, and whether that may be asked.

A setup token is a URL in base64, and what it is claimed for is a URL with a password in it. Both
come from outside and say where we go next, so neither is followed but to the operator's hosts.
"""

import base64
import binascii
import hashlib
import re
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Self
from urllib.parse import SplitResult, unquote, urlsplit

from domain.secret import Secrets

URL_CHARS_MAX = 2_048
HTTPS = 443

_URL = re.compile(r"https?://[!-\[\]-~]+", re.IGNORECASE)  # printable ASCII without a backslash
_NOT_BASE64 = re.compile(r"[^A-Za-z0-9+/_=-]")


class NotAllowed(ValueError):
    """Not a URL that may be asked; the message names no more of it than its host."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """A URL in two: `base` is scheme and host, `path` may hold a one-time secret."""

    base: str
    path: str = field(repr=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Access:
    """An access URL in its parts, so that it is never a text with a password in it again."""

    base: str
    path: str
    user: str = field(repr=False)
    password: str = field(repr=False)

    @classmethod
    def of(cls, credentials: Mapping[str, str]) -> Self:
        """Raises KeyError."""
        return cls(
            base=credentials["host"],
            path=credentials["path"],
            user=credentials["user"],
            password=credentials["password"],
        )

    @property
    def credentials(self) -> Secrets:
        said = {"host": self.base, "path": self.path}
        return Secrets({**said, "user": self.user, "password": self.password})

    @property
    def identity(self) -> str:
        """What it is known by. Each setup token is claimed for a user of its own."""
        return _digest(f"{self.base}{self.path}\n{self.user}")

    @property
    def header(self) -> str:
        """The value of Authorization (RFC 7617)."""
        pair = f"{self.user}:{self.password}".encode()
        return f"Basic {base64.b64encode(pair).decode()}"

    @property
    def budget_key(self) -> str:
        """One for each connection, wherever and however often it is linked here."""
        return _digest(f"{self.identity}\n{self.password}")


@dataclass(frozen=True, slots=True)
class Hosts:
    """`patterns` as the operator wrote them: "bridge.simplefin.org", "*.simplefin.org", or with a
    port. Plain http is for those of them that are `private`.
    """

    patterns: Collection[str]
    private: Collection[str]

    def claim(self, setup_token: str) -> Target:
        """Where to claim what a setup token stands for. Raises NotAllowed."""
        url = _split(_decoded(setup_token))
        if "@" in url.netloc:
            raise NotAllowed("a setup token has no password in it")
        return self._target(url)

    def access(self, said: str) -> Access:
        """Raises NotAllowed."""
        url = _split(said.strip())
        if not url.username or not url.password:
            raise NotAllowed("SimpleFIN gave an access URL without user and password")
        target = self._target(url)
        return Access(
            base=target.base,
            path=target.path.rstrip("/"),
            user=unquote(url.username),
            password=unquote(url.password),
        )

    def allows(self, access: Access) -> bool:
        """Whether what was linked once may still be asked."""
        try:
            self._target(_split(f"{access.base}{access.path or '/'}"))
        except NotAllowed:
            return False
        return True

    def _target(self, url: SplitResult) -> Target:
        host, port = _place(url)
        shown = host if port is None else f"{host}:{port}"
        is_private = shown in self.private
        if url.scheme != "https" and not is_private:
            raise NotAllowed(f"{shown[:80]} is not asked without TLS")
        if not any(_is_like(pattern, host, port) for pattern in self.patterns):
            raise NotAllowed(
                f"{shown[:80]} is none of the SimpleFIN servers that may be asked here"
            )
        if url.query or url.fragment:
            raise NotAllowed(f"the URL of {shown[:80]} has more than a path")
        return Target(base=f"{url.scheme}://{shown}", path=url.path)


def _digest(said: str) -> str:
    return hashlib.sha256(said.encode()).hexdigest()[:32]


def _decoded(setup_token: str) -> str:
    """The text of a base64 one, in either alphabet, wrapped or not, with or without padding."""
    bare = "".join(setup_token.split())
    if not bare or _NOT_BASE64.search(bare):
        raise NotAllowed("this is no setup token")
    bare = bare.rstrip("=").replace("-", "+").replace("_", "/")
    try:
        return base64.b64decode(bare + "=" * (-len(bare) % 4), validate=True).decode("ascii")
    except (binascii.Error, UnicodeDecodeError):
        raise NotAllowed("this is no setup token") from None


def _split(said: str) -> SplitResult:
    if len(said) > URL_CHARS_MAX or not _URL.fullmatch(said):
        raise NotAllowed("there is no URL in it")
    try:
        url = urlsplit(said)
        _place(url)
    except ValueError:
        raise NotAllowed("there is no URL in it") from None
    return url


def _place(url: SplitResult) -> tuple[str, int | None]:
    """Raises ValueError."""
    host = (url.hostname or "").rstrip(".")
    if not re.fullmatch(r"[a-z0-9_-]+(\.[a-z0-9_-]+)*", host):
        raise ValueError("no host name")
    port = url.port
    return host, None if port == HTTPS and url.scheme == "https" else port


def _is_like(pattern: str, host: str, port: int | None) -> bool:
    name, _, of_port = pattern.partition(":")
    if of_port != ("" if port is None else str(port)):
        return False
    return host.endswith(name[1:]) if name.startswith("*.") else host == name
