"""Whether a request was made by a page that has no business making it."""

from dataclasses import dataclass, field
from urllib.parse import urlsplit

from starlette.datastructures import Headers

PREFLIGHT = ("graphql-preflight", "apollo-require-preflight", "x-requested-with")


@dataclass(frozen=True, slots=True)
class CsrfRules:
    """Fetch-Metadata first, then Origin, then the preflight headers.

    `origins` are those allowed beside our own, as a browser writes them
    (`https://app.example`), the same as CORS knows.
    """

    origins: frozenset[str] = field(default_factory=frozenset)

    def permits(self, headers: Headers, *, simple: bool) -> bool:
        """Whether the request may run with the cookies that it carries.

        `simple` says that a browser sends its like across sites without asking first
        (https://fetch.spec.whatwg.org/#simple-header): GET, and a form's media types.
        """
        if headers.get("authorization", "").lower().startswith("bearer "):
            return True  # no browser adds it by itself, and no page can without a preflight
        origin = headers.get("origin")
        match headers.get("sec-fetch-site"):
            case "same-origin" | "none":
                return True
            case None if origin is not None:
                return origin in self.origins or _same_host(origin, headers.get("host", ""))
            case None:
                return self._native(headers, simple=simple)
            case _:
                return origin in self.origins

    def _native(self, headers: Headers, *, simple: bool) -> bool:
        """Nothing of a browser's: a native or server client, or a browser of before 2020."""
        if not simple or any(name in headers for name in PREFLIGHT):
            return True
        if "content-type" in headers:
            # A JSON content type is no simple header, and Apollo sends it with GET; a form's is.
            return headers["content-type"].partition(";")[0].strip().lower() == "application/json"
        return "cookie" not in headers  # without one there is nothing to ride on


def _same_host(origin: str, host: str) -> bool:
    # Behind a proxy that ends TLS the scheme is not known here; Sec-Fetch-Site compares it.
    try:
        return bool(host) and urlsplit(origin).netloc.lower() == host.lower()
    except ValueError:
        return False
