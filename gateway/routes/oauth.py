"""Where providers send browsers back to: /oauth/{provider}/callback.

in the session that began ──> completed here ──> the app that began, or a page that says so
in another, or in none    ──> code and state to the app that began, which completes it in its own

What an app is told stands in the fragment of its address: no server, log or Referer on the way has
it. Of a state that is not known, or is another provider's, nobody is told anything.
"""

from dataclasses import dataclass, replace
from html import escape
from string import Template
from urllib.parse import urlencode

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from domain.authorizations import Answer, Begun
from domain.commands.attempts import network_of_address, take
from domain.commands.authorizing import CompleteAuthorization, complete_authorization
from domain.errors import DomainError, InvalidInput, RateLimited, Unavailable
from domain.identity import Actor
from domain.ports import App
from gateway.auth import Authenticator
from gateway.routes.assets import HEADERS, PAGES
from schema.ids import global_id

PAGE = Template((PAGES / "oauth.html").read_text("utf-8"))
POLICY = (
    "default-src 'none'; style-src 'self'; img-src 'self'; base-uri 'none'; form-action 'none'; "
    "frame-ancestors 'none'"
)
UNSEEN = {"cache-control": "no-store", "referrer-policy": "no-referrer"}  # its address is a secret
SAID = ("state", "code", "iss", "error")  # whatever else a provider says is not looked at
AGAIN = "Nothing was linked. Go back to the app that you came from, and begin again."
OVER = (
    "No authorization of this kind is under way: it is over, or was never begun here. What was "
    "linked is in your app; else begin again there."
)
ELSEWHERE = (
    "It was begun somewhere else, which left no address to go back to. Begin again where you are "
    "signed in."
)
UNTOLD = (
    "Dashtam cannot be reached just now. Load this page again in a moment: where nothing is under "
    "way by then, this attempt is over. What was linked is in your app; else begin again there."
)


@dataclass(frozen=True, slots=True)
class Callback:
    """Anyone may send a browser here: what they made up is refused, and not repeated."""

    app: App
    authenticator: Authenticator

    def routes(self) -> list[Route]:
        return [Route("/oauth/{provider}/callback", self.answer)]

    async def answer(self, request: Request) -> Response:
        if request.method != "GET":  # a HEAD is somebody's who only looks
            raise HTTPException(405, headers={"allow": "GET"})
        try:
            answer = _answer(request)
        except InvalidInput:
            return _page("This is no provider's answer", AGAIN)
        try:
            response = await self._answered(request, answer)
        except Unavailable as away:
            words = "Dashtam cannot be reached just now. Load this page again in a moment."
            response = _later("Please wait", words, 503, away.retry_after_s)
        except RateLimited as refusal:
            words = f"Load this page again in {refusal.retry_after_s} seconds."
            response = _later("Too many attempts", words, 429, refusal.retry_after_s)
        if (secret := self.authenticator.cookie_again(request)) is not None:
            response.headers.append(*self.authenticator.cookies.set_session(secret))
        return response

    async def _answered(self, request: Request, answer: Answer) -> Response:
        """Raises RateLimited, Unavailable: nothing was spent."""
        address = f"callback:{network_of_address(self.authenticator.address(request))}"
        await take(self.app, address, self.app.limit_settings.callback)  # nobody is known yet
        actor = await self.authenticator.actor(request, root_fields=frozenset())
        provider: str = request.path_params["provider"]
        begun = await self.app.doors.authorization_by_state(
            self.app.tokens.digest(answer.state.reveal()),
            None if actor is None else actor.session_id,
            self.app.now(),
        )
        if begun is None:
            return _page("Nothing is under way", OVER)
        if actor is not None and begun.is_own:
            traced = replace(actor, trace_id=request.state.trace_id)
            return await self._completed(traced, answer, provider, begun)
        if provider != begun.provider_slug:
            return _page("This is no answer of that provider", AGAIN)
        if begun.return_to is None:
            return _page("This cannot go on here", ELSEWHERE)
        code = None if answer.code is None else answer.code.reveal()
        told = {"code": code, "iss": answer.iss, "error": answer.error}
        return _sent(begun.return_to, state=answer.state.reveal(), **told)

    async def _completed(
        self, actor: Actor, answer: Answer, provider: str, begun: Begun
    ) -> Response:
        cmd = CompleteAuthorization(
            actor=actor, answer=answer, provider_slug=provider, at=self.app.now()
        )
        try:
            link = await complete_authorization(self.app, cmd)
        except RateLimited:
            raise
        except Unavailable as away:  # before the state was spent, or after
            return _later("Please wait", UNTOLD, 503, away.retry_after_s)
        except DomainError as refusal:
            if begun.return_to is not None:
                return _sent(begun.return_to, error=refusal.code.value)
            return _page("Nothing was linked", f"{refusal.message}.")
        if begun.return_to is not None:
            return _sent(begun.return_to, link=global_id("Link", link.id))
        name = link.institution or self.app.providers[link.provider_slug].info.name
        words = "You can close this page, and go back to the app that you came from."
        return _page(f"{name} is linked", words, status=200)


def _answer(request: Request) -> Answer:
    """Raises InvalidInput, also where something is said twice (RFC 6749, 3.1)."""
    said: dict[str, str] = {}
    for name, text in request.query_params.multi_items():
        if name in said:
            raise InvalidInput(f"{name} is said twice")
        if name in SAID:
            said[name] = text
    return Answer.of(
        said.get("state", ""),
        code=said.get("code"),
        iss=said.get("iss"),
        error=said.get("error"),
    )


def _sent(return_to: str, **told: str | None) -> Response:
    """On to the app, whose address was checked when it was given."""
    known = {name: text for name, text in told.items() if text is not None}
    location = f"{return_to}#{urlencode(known)}"
    return Response(status_code=303, headers={**UNSEEN, "location": location})


def _later(title: str, words: str, status: int, retry_after_s: int) -> Response:
    response = _page(title, words, status=status)
    response.headers["retry-after"] = str(retry_after_s)
    return response


def _page(title: str, words: str, *, status: int = 400) -> Response:
    role = "alert" if status >= 400 else "status"
    page = PAGE.substitute(title=escape(title), words=escape(words), role=role)
    headers = {**HEADERS, **UNSEEN, "content-security-policy": POLICY}
    return Response(page, status, headers, media_type="text/html")
