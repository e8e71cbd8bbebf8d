"""Serving pages of our own: from this origin alone, framed by nobody, and asked for again."""

from hashlib import sha256
from pathlib import Path

from starlette.requests import Request
from starlette.responses import Response

PAGES = Path(__file__).parent / "pages"
MEDIA = {".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml", ".ttf": "font/ttf"}
EVERYWHERE = (
    "default-src 'none'; script-src 'self'; connect-src 'self'; base-uri 'none'; "
    # Forms are sent by script: one that is not would have the browser send a password.
    "form-action 'none'; frame-ancestors 'none'; "
)
POLICY_PLAIN = EVERYWHERE + "style-src 'self'; img-src 'self'"
HEADERS = {
    "cross-origin-opener-policy": "same-origin",
    "cross-origin-resource-policy": "same-origin",
    "referrer-policy": "same-origin",
    "x-content-type-options": "nosniff",
}


def checked(request: Request, content: bytes, media: str, policy: str, **more: str) -> Response:
    """Cached, but not used again without asking whether it is still the same."""
    etag = f'"{sha256(content).hexdigest()[:32]}"'
    headers = {**HEADERS, "cache-control": "no-cache", "etag": etag}
    headers["content-security-policy"] = policy
    headers |= {name.replace("_", "-"): text for name, text in more.items()}
    if etag in request.headers.get("if-none-match", ""):
        return Response(status_code=304, headers=headers)
    return Response(content, media_type=media, headers=headers)
