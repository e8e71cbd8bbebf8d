"""Event streams of a gateway that is another process."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlencode

import httpx2

from tests.e2e.stack import Client
from tests.gateway.sse.served import ACCEPT, Stream, messages

EVENTS = "subscription ($after: String) { events(after: $after) { cursor name } }"


@asynccontextmanager
async def asked(
    client: Client, query: str, *, by: str = "POST", headers: dict[str, str] | None = None, **v: Any
) -> AsyncIterator[httpx2.Response]:
    sent = ACCEPT | client.headers | (headers or {})
    if client.token is not None:
        sent = {"authorization": f"Bearer {client.token}"} | sent
    said: dict[str, Any] = {"query": query, "variables": v}
    if by == "GET":
        url = f"/graphql?{urlencode({'query': query, 'variables': json.dumps(v)})}"
        async with client.http.stream(by, url, headers=sent) as response:
            yield response
        return
    async with client.http.stream(by, "/graphql", json=said, headers=sent) as response:
        yield response


@asynccontextmanager
async def streaming(client: Client, query: str, **more: Any) -> AsyncIterator[Stream]:
    """From the first message on, which says when to come back."""
    async with asked(client, query, **more) as response:
        assert response.status_code == 200, await response.aread()
        stream = Stream(response, messages(response))
        first = await stream.any()
        assert first is not None
        assert first.retry_ms is not None
        yield stream
