"""Every code of the catalogue is met by somebody, on each transport where it can be."""

import json
from collections.abc import AsyncIterator, Callable
from contextlib import nullcontext
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from structlog.testing import capture_logs

from adapters.postgres.documents import ToPublish
from domain.errors import Unavailable
from gateway.asgi import create_app
from gateway.documents.names import digest
from gateway.documents.publishing import publish
from gateway.operations.clients import Client as ClientOf
from gateway.settings import HttpProfile, Settings
from gateway.telemetry.metrics import CODES
from schema.ids import global_id
from tests.attacks.broken import Broken, a_broken
from tests.attacks.stand import errors_of, production, served
from tests.e2e.live import live
from tests.e2e.stack import Client
from tests.servers import Postgres

HTTP, SOCKET, EVENTS = TRANSPORTS = ("http", "socket", "events")
HURRIED, DEADLINE_S = HttpProfile.DRAFT_2026_08, 0.3
POINTS = "2000"  # a minute; what was not used is given back
NONE = "0" * 64
VIEWER = {"query": "{ viewer { email } }"}
ACCOUNTS = {"query": "{ accounts { id } }"}
FOLLOWED = {"query": "subscription { events { id } }"}
NOBODYS = {"query": f'subscription {{ syncProgress(runId: "{global_id("SyncRun", UUID(int=7))}") {{ id }} }}'}  # fmt: skip
DEEP = {"query": "{" + " ".join(f"a{n}:__typename" for n in range(31)) + "}"}
PAGES = " ".join(f"p{n}: transactions(first: 480) {{ nodes {{ id }} }}" for n in range(4))
MANY = {"query": f"{{ {PAGES} }}"}
HASHED = {"extensions": {"persistedQuery": {"version": 1, "sha256Hash": NONE}}}
TYPED = {"query": "query($n: Int!) { transactions(first: $n) { totalCount } }"}


@dataclass(frozen=True, slots=True)
class Case:
    """`body` is said as JSON; where there is another for event streams, they get that."""

    body: Any
    events: Any = None
    who: str = "ann"
    trusted: bool = False
    where: str | None = None
    make: Callable[[], BaseException] = RuntimeError
    first: Any = None
    only: tuple[str, ...] = TRANSPORTS
    profile: HttpProfile = HttpProfile.DEFAULT

    def said(self, transport: str) -> Any:
        return self.events if transport == EVENTS and self.events else self.body


CASES = {
    "BAD_REQUEST": Case({**VIEWER, **HASHED}),
    "GRAPHQL_PARSE_FAILED": Case({"query": "{"}),
    "GRAPHQL_VALIDATION_FAILED": Case({"query": "{ nothing }"}),
    "BAD_USER_INPUT": Case({**TYPED, "variables": {"n": "x"}}),
    "OPERATION_RESOLUTION_FAILURE": Case({**VIEWER, "operationName": "x"}),
    "PERSISTED_QUERY_NOT_FOUND": Case({"documentId": NONE}),
    "PERSISTED_QUERY_NOT_SUPPORTED": Case({**VIEWER, **HASHED}, trusted=True),
    "DOCUMENT_REQUIRED": Case(VIEWER, FOLLOWED, trusted=True),
    "UNAUTHENTICATED": Case(VIEWER, FOLLOWED, who="nobody"),
    "NOT_PERMITTED": Case({"query": "{ admin { users { nodes { id } } } }"}),
    "NOT_FOUND": Case(NOBODYS, only=(SOCKET, EVENTS)),
    "TOO_COMPLEX": Case(DEEP),
    "RATE_LIMITED": Case(MANY, who="bob", first=MANY),
    # The key that another request had is a header, of which a socket's operations have none.
    "CONFLICT": Case(
        {"query": "mutation { disconnect(linkId: 7) { errors { code } } }"}, only=(HTTP, EVENTS)
    ),
    "TIMEOUT": Case(ACCOUNTS, FOLLOWED, where="hanging", profile=HURRIED),
    "UNAVAILABLE": Case(
        ACCOUNTS, {"query": FOLLOWED["query"]}, where="both", make=lambda: Unavailable("away")
    ),
    "INTERNAL": Case(ACCOUNTS, FOLLOWED, where="both"),
}
PAIRS = [(code, transport) for code, case in CASES.items() for transport in case.only]


@dataclass(slots=True)
class Codes:
    broken: Broken
    trusted: str

    def url(self, case: Case) -> str:
        return self.trusted if case.trusted else self.broken.targets[case.profile].url

    def client(self, case: Case) -> Client:
        found: Client = getattr(self.broken.target, case.who)
        return found

    async def errors(self, case: Case, transport: str) -> list[dict[str, Any]]:
        if case.first is not None:
            for _ in range(5):
                await self.client(case).post(case.first["query"])
        place = case.where
        if place == "both":
            place = "source" if transport == EVENTS else "resolver"
        armed = self.broken.armed
        with capture_logs(), nullcontext() if place is None else armed.at(place, case.make):
            if transport == SOCKET:
                return await self._by_socket(case)
            return await self._by_http(case, transport)

    async def _by_http(self, case: Case, transport: str) -> list[dict[str, Any]]:
        client = self.client(case)
        accept = "text/event-stream" if transport == EVENTS else "application/json"
        headers = {"accept": accept}
        if client.token is not None:
            headers["authorization"] = f"Bearer {client.token}"
        if case is CASES["CONFLICT"]:
            headers["idempotency-key"] = f"the same on {transport}"
            other = {"query": "mutation { disconnect(linkId: 8) { errors { code } } }"}
            await client.http.post("/graphql", json=other, headers=headers)
        answer = await client.http.post(
            f"{self.url(case)}/graphql", json=case.said(transport), headers=headers
        )
        text = answer.text
        if answer.headers["content-type"].startswith("text/event-stream"):
            assert transport == EVENTS
            text = text.partition("event: next\ndata: ")[2].partition("\n")[0]
        return errors_of(json.loads(text))

    async def _by_socket(self, case: Case) -> list[dict[str, Any]]:
        program = type(self.broken.target.program)(url=self.url(case))
        async with live(program, self.client(case).token) as socket:
            await socket.say(id="1", type="subscribe", payload=case.body)
            return errors_of((await socket.next())["payload"])


@pytest.fixture(scope="module")
async def codes(
    postgres: Postgres, tmp_path_factory: pytest.TempPathFactory
) -> AsyncIterator[Codes]:
    folder: Path = tmp_path_factory.mktemp("codes")
    limits = {"DASHTAM_LIMIT_POINTS": POINTS, "DASHTAM_LIMIT_COST": POINTS}
    text = "query Slugs { providers { slug } }"
    async with postgres.fresh_database() as database:
        only = ToPublish(id=digest(text), name="Slugs", sha256=digest(text), text=text)
        await publish(database.owner_url, ClientOf("web", "1"), [only], {})
        environ = production(database, folder, limits)
        settings = Settings.read(environ | {"DASHTAM_DOCUMENTS": "trusted"})
        async with (
            a_broken(database, folder, deadline_s={HURRIED: DEADLINE_S}, **limits) as broken,
            served(create_app(settings), settings) as trusted,
        ):
            yield Codes(broken, trusted)


@pytest.mark.parametrize(("code", "transport"), PAIRS, ids=map("-".join, PAIRS))
async def test_each_code_is_said_with_a_trace(codes: Codes, code: str, transport: str) -> None:
    errors = await codes.errors(CASES[code], transport)
    assert [error["extensions"]["code"] for error in errors] == [code]


async def test_what_is_nowhere_is_not_found_over_http(codes: Codes) -> None:
    for path in ("/graphql/a/b/c", "/graphql/a/b/c?query={__typename}"):
        answer = await codes.broken.target.nobody.http.get(codes.trusted + path)
        [error] = errors_of(answer.json())
        assert (answer.status_code, error["extensions"]["code"]) == (404, "NOT_FOUND")


def test_the_catalogue_is_all_of_it() -> None:
    assert CASES.keys() == CODES - {"OTHER"}
