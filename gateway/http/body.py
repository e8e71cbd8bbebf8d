"""A request's head and body within limits, so that every refusal reaches who reads it."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing

from starlette.datastructures import Headers
from starlette.requests import ClientDisconnect
from starlette.types import Message, Receive, Scope

from gateway.operations.faults import Fault, bad_request

URL_MAX = 8 << 10
HEADERS_MAX = 32 << 10
HEADER_COUNT_MAX = 100
DRAIN_MAX = 64 << 20
DRAIN_S_MAX = 5.0


def fits(scope: Scope) -> None:
    """Raises: Fault 414, 431."""
    path = scope.get("raw_path") or scope["path"].encode()
    if len(path) + len(scope["query_string"]) > URL_MAX:
        raise Fault(414, "BAD_REQUEST", f"the URL is over {URL_MAX} bytes")
    headers = scope["headers"]
    size = sum(len(name) + len(value) for name, value in headers)
    if len(headers) > HEADER_COUNT_MAX or size > HEADERS_MAX:
        raise Fault(431, "BAD_REQUEST", f"the headers are over {HEADERS_MAX} bytes")


class Body:
    """A request's body as the server hands it over, remembering whether there is more."""

    def __init__(self, scope: Scope, receive: Receive) -> None:
        self._receive, self._headers = receive, Headers(scope=scope)
        self._ended = False

    async def receive(self) -> Message:
        message = await self._receive()
        if message["type"] != "http.request" or not message.get("more_body", False):
            self._ended = True
        return message

    async def chunks(self, *, size_max: int) -> AsyncGenerator[bytes, None]:
        """The body as it comes, `size_max` bytes at most.

        Raises:
            Fault: 413, 415 for a compressed body, 400 for a length that is none.
            ClientDisconnect: nobody is left to answer.
        """
        if self._headers.get("content-encoding", "identity").strip().lower() != "identity":
            raise Fault(415, "BAD_REQUEST", "send the body uncompressed")
        announced = self._headers.get("content-length", "0")
        if not (announced.isascii() and announced.isdigit()):
            raise bad_request("the content length is no number")
        if int(announced[:20]) > size_max:
            raise _too_large(size_max)
        size = 0
        while not self._ended:
            message = await self.receive()
            if message["type"] != "http.request":
                raise ClientDisconnect
            size += len(chunk := message.get("body", b""))
            if size > size_max:
                raise _too_large(size_max)
            yield chunk

    async def read(self, *, size_max: int, long: int, is_long: Callable[[], object]) -> bytes:
        """The whole body; `is_long` is called once `long` bytes are passed, and may raise.

        Raises: Fault, ClientDisconnect; see `chunks`.
        """
        body = bytearray()
        async with aclosing(self.chunks(size_max=size_max)) as chunks:
            async for chunk in chunks:
                if len(body) <= long < len(body) + len(chunk):
                    is_long()
                body += chunk
        return bytes(body)

    async def drain(self) -> bool:
        """Read away what is left, since most clients read no answer before they have sent it all.

        False when it is not worth it, or the client waits to be asked (`Expect`): the connection
        is then to be closed.
        """
        if "expect" in self._headers and not self._ended:
            return False
        left = DRAIN_MAX
        try:
            async with asyncio.timeout(DRAIN_S_MAX):
                while not self._ended and left >= 0:
                    left -= len((await self.receive()).get("body", b""))
        except TimeoutError:
            return False
        return self._ended


def _too_large(size_max: int) -> Fault:
    return Fault(413, "BAD_REQUEST", f"the body is over {size_max} bytes")
