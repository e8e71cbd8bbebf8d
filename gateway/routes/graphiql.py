"""GraphiQL at /graphiql: what web/ was built into or, where it was not, a plain page of our own.

Each lives on this origin alone: scripts, styles, workers and questions come from and go to it, no
script is inline, and nobody may frame it.
"""

import re
from dataclasses import dataclass
from pathlib import Path

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import FileResponse, JSONResponse, RedirectResponse, Response
from starlette.routing import Route

from gateway.processes import demo
from gateway.routes.assets import EVERYWHERE, HEADERS, MEDIA, PAGES, POLICY_PLAIN, checked

BUILT = Path(__file__).parents[1] / "static" / "graphiql"
OURS = frozenset({"account.css", "icon.svg", "query.css", "query.js", "session.js"})  # of PAGES

# Names that hold no separator and no dot beside another; the hash in them is their version.
ASSET = re.compile(r"assets/([\w-]{1,80}(?:\.[\w-]{1,40}){1,3})", re.ASCII)

# Monaco writes its lines as HTML with style attributes, and its colours into style elements, to
# which it gives no nonce. Its workers and their modules come from here too.
POLICY = EVERYWHERE + (
    "style-src 'self' 'unsafe-inline'; img-src 'self' data:; font-src 'self' data:; "
    "worker-src 'self'"
)


@dataclass(frozen=True, slots=True)
class GraphiQL:
    """`email` is whom the page suggests to sign in; `built` is looked at on each request.
    `reports` says that operations tell what they cost and said to the database.
    """

    email: str | None
    built: Path = BUILT
    reports: bool = False

    def routes(self) -> list[Route]:
        return [
            Route("/", self._begin),
            Route("/graphiql", self._page),
            Route("/graphiql/start.json", self._start),
            Route("/graphiql/{name:path}", self._file),
        ]

    def _begin(self, _: Request) -> Response:
        """Whoever opens the bare address in a browser is looking for the page."""
        return RedirectResponse("/graphiql", 302, HEADERS)

    def _page(self, request: Request) -> Response:
        try:
            page, policy = (self.built / "index.html").read_bytes(), POLICY
        except OSError:
            page, policy = (PAGES / "query.html").read_bytes(), POLICY_PLAIN
        return checked(request, page, "text/html", policy)

    def _start(self, _: Request) -> Response:
        """What both pages open with; the query is the one that `dashtam up` prints."""
        said = {"query": demo.query(), "email": self.email, "reports": self.reports}
        return JSONResponse(said, headers={**HEADERS, "cache-control": "no-store"})

    def _file(self, request: Request) -> Response:
        name: str = request.path_params["name"]
        if not name:
            return self._page(request)
        if name in OURS:
            path = PAGES / name
            return checked(request, path.read_bytes(), MEDIA[path.suffix], POLICY_PLAIN)
        found = ASSET.fullmatch(name)
        path = self.built / "assets" / (found[1] if found else "")
        if path.suffix not in MEDIA or not path.is_file():
            raise HTTPException(404)
        cached = {"cache-control": "public, max-age=31536000, immutable"}
        # A worker has the policy of its own file, not of the page that starts it.
        policy = {"content-security-policy": POLICY}
        return FileResponse(
            path, media_type=MEDIA[path.suffix], headers={**HEADERS, **policy, **cached}
        )
