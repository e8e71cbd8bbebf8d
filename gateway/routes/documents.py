"""What is published, for GraphiQL: /graphiql/documents.json, and the text of each by its hash.

To whoever administers, by the session that GraphQL itself is asked with; in development to anyone.
"""

from dataclasses import dataclass
from typing import Any

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from domain.errors import Unavailable
from domain.identity import Permission
from domain.ports import Policy
from gateway.auth import Authenticator
from gateway.documents.published import Published
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.documents.usage import operation_of
from gateway.operations.faults import Fault, overloaded
from gateway.operations.guard import Refused
from gateway.operations.replies import fault_error
from gateway.routes.assets import HEADERS

LISTED_MAX = 5_000


@dataclass(frozen=True, slots=True, kw_only=True)
class Listing:
    documents: Documents
    authenticator: Authenticator
    policy: Policy
    is_open: bool

    def routes(self) -> list[Route]:
        return [
            Route("/graphiql/documents.json", self._list),
            Route("/graphiql/documents/{sha256}.json", self._text),
        ]

    async def _list(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        return self._answer(request, listed(self.documents.published))

    async def _text(self, request: Request) -> Response:
        if (refusal := await self._refusal(request)) is not None:
            return refusal
        found = self.documents.published.documents.get(request.path_params["sha256"])
        if found is None:
            raise HTTPException(404)
        return self._answer(request, {"text": found.text})

    async def _refusal(self, request: Request) -> Response | None:
        try:
            await self._check(request)
        except Unavailable as away:
            fault = overloaded(str(away), retry_after_s=away.retry_after_s)
        except Fault as refused:
            fault = refused
        else:
            return None
        body = {"errors": [fault_error(fault, request.state.trace_id)]}
        return self._answer(request, body, fault.status, **fault.headers)

    async def _check(self, request: Request) -> None:
        """Raises: Fault 401, 403, Unavailable."""
        if self.is_open:
            return
        actor = await self.authenticator.actor(request, root_fields=frozenset({"admin"}))
        if actor is None:
            raise Fault(401, "UNAUTHENTICATED", "sign in first", {"www-authenticate": "Bearer"})
        if not self.policy.allows(actor.role, Permission.READ_ADMIN):
            raise Fault(403, "NOT_PERMITTED", "only administrators see what is published")

    def _answer(
        self, request: Request, body: dict[str, Any], status: int = 200, **more: str
    ) -> Response:
        headers = {**HEADERS, "cache-control": "no-store", **more}
        response = JSONResponse(body, status, headers=headers)
        if (secret := self.authenticator.cookie_again(request)) is not None:
            response.headers.append(*self.authenticator.cookies.set_session(secret))
        return response


def listed(published: Published) -> dict[str, Any]:
    """By client, version and name: LISTED_MAX at most, and how many were left out."""
    found = []
    for client, ids in published.clients.items():
        for hash_, id_ in ids.items():
            outcome = published.documents[hash_].outcome  # None of what was not read yet
            found.append(
                {
                    "client": client.name,
                    "version": client.version,
                    "id": id_,
                    "sha256": hash_,
                    "name": operation_of(outcome) if isinstance(outcome, Document) else None,
                    "runs": not isinstance(outcome, Refused),
                }
            )
    found.sort(key=lambda d: (d["client"], d["version"], d["name"] or "", d["id"]))
    return {"documents": found[:LISTED_MAX], "leftOut": max(len(found) - LISTED_MAX, 0)}
