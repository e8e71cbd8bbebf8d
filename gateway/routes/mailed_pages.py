"""Where mails lead without an app of one's own: /verify-email and /reset-password.

The token stays in the browser: it is taken out of the address at once, no page that follows is told
it, and it goes to /graphql in a body. Looking at a page changes nothing, since mail scanners do.
"""

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from adapters.mail.letters import PATHS
from domain.mail import Template
from gateway.routes.assets import MEDIA, PAGES, POLICY_PLAIN, checked

VERIFY, RESET = PATHS[Template.VERIFY_EMAIL], PATHS[Template.RESET_PASSWORD]
OURS = frozenset(  # of PAGES
    {"mailed.css", "mailed.js", "verify-email.js", "reset-password.js", "icon.svg"}
)


def routes() -> list[Route]:
    return [Route(VERIFY, _page), Route(RESET, _page), Route("/mailed/{name}", _file)]


def _page(request: Request) -> Response:
    """Kept nowhere: its address has a token in it."""
    page = (PAGES / f"{request.url.path.strip('/')}.html").read_bytes()
    return _checked(request, page, "text/html", cache_control="no-store")


def _file(request: Request) -> Response:
    name: str = request.path_params["name"]
    if name not in OURS:
        raise HTTPException(404)
    path = PAGES / name
    return _checked(request, path.read_bytes(), MEDIA[path.suffix])


def _checked(request: Request, content: bytes, media: str, **more: str) -> Response:
    return checked(request, content, media, POLICY_PLAIN, referrer_policy="no-referrer", **more)
