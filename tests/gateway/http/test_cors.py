"""Pages of allowed origins may send what clients send, and read what answers say."""

from collections.abc import AsyncIterator

import httpx2
import pytest

from gateway.asgi import create_app
from gateway.settings import Settings

ALLOWED, OTHER = "https://app.example", "https://evil.example"
SENT = [
    *("authorization", "content-type", "traceparent", "if-none-match", "last-event-id"),
    *("graphql-preflight", "apollo-require-preflight", "x-requested-with"),
    *("apollographql-client-name", "apollographql-client-version"),
    *("graphql-client-name", "graphql-client-version"),
    *("idempotency-key", "dashtam-cost", "dashtam-device"),
]
READ = ["etag", "retry-after", "ratelimit", "ratelimit-policy", "x-request-id", "dashtam-device"]


@pytest.fixture
async def page() -> AsyncIterator[httpx2.AsyncClient]:
    """At the application before it has opened anything: this is decided before."""
    settings = Settings.read(
        {"DASHTAM_MODE": "development", "DASHTAM_ALLOWED_ORIGINS": f"{ALLOWED},com.example.app:"}
    )
    transport = httpx2.ASGITransport(create_app(settings))
    async with httpx2.AsyncClient(transport=transport, base_url="http://gateway") as client:
        yield client


def preflight(origin: str, method: str, *headers: str) -> dict[str, str]:
    asked = {"origin": origin, "access-control-request-method": method}
    return {**asked, "access-control-request-headers": ", ".join(headers)} if headers else asked


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "QUERY"])
@pytest.mark.parametrize("path", ["/graphql", "/graphql/sha256:abc/Name"])
async def test_an_allowed_page_may_ask_for_all_that_clients_send(
    page: httpx2.AsyncClient, method: str, path: str
) -> None:
    answer = await page.options(path, headers=preflight(ALLOWED, method, *SENT))
    assert answer.status_code == 200
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    assert answer.headers["access-control-allow-credentials"] == "true"
    assert method in answer.headers["access-control-allow-methods"]
    assert "Origin" in answer.headers["vary"]


@pytest.mark.parametrize(
    "asked",
    [
        preflight(OTHER, "POST", "content-type"),
        preflight("null", "POST", "content-type"),
        preflight(f"{ALLOWED}.evil.example", "QUERY"),
        preflight(ALLOWED, "PUT"),
        preflight(ALLOWED, "DELETE"),
        preflight(ALLOWED, "POST", "x-other"),
    ],
)
async def test_whatever_else_is_refused(page: httpx2.AsyncClient, asked: dict[str, str]) -> None:
    answer = await page.options("/graphql", headers=asked)
    assert answer.status_code == 400
    if asked["origin"] != ALLOWED:
        assert "access-control-allow-origin" not in answer.headers


async def test_an_allowed_page_may_read_what_an_answer_says(page: httpx2.AsyncClient) -> None:
    answer = await page.get("/", headers={"origin": ALLOWED})
    assert answer.headers["access-control-allow-origin"] == ALLOWED
    exposed = answer.headers["access-control-expose-headers"].split(", ")
    assert set(READ) <= set(exposed)
    other = await page.get("/", headers={"origin": OTHER})
    assert "access-control-allow-origin" not in other.headers
