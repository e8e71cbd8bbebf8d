"""What may be connected to: hosts of the public internet by https, and what the operator named.

checked(url) ──> parsed once ──> Guarded ──> resolved once ──> every answer public? ──> connected
                                                               to that very address, TLS as its name

A name that points inside, now or only the second time it is asked (rebinding), gets no connection.
Rules: OWASP, Server Side Request Forgery Prevention; address blocks: the IANA special-purpose
registries of IPv4 and IPv6.
"""

import asyncio
import socket
import ssl
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from ipaddress import IPv4Address, IPv4Network, IPv6Network, ip_address
from typing import Any, TypeAlias

import httpcore2
import httpx2

URL_CHARS_MAX = 2_048
HTTPS = 443
RESOLVE_S_MAX = 5.0
ADDRESSES_MAX = 4  # tried, of those that a name has
CONNECT_S_MAX = 5.0  # to one after which there is another
RESOLVERS = 8  # names looked up at once; a slow DNS holds up nothing but them

Resolve: TypeAlias = Callable[[str, int], Awaitable[Sequence[str]]]

_NOT_PUBLIC_4 = tuple(
    map(
        IPv4Network,
        (
            *("0.0.0.0/8", "10.0.0.0/8", "100.64.0.0/10", "127.0.0.0/8", "169.254.0.0/16"),
            *("172.16.0.0/12", "192.0.0.0/24", "192.0.2.0/24", "192.88.99.0/24"),
            *("192.168.0.0/16", "198.18.0.0/15", "198.51.100.0/24", "203.0.113.0/24"),
            *("224.0.0.0/4", "240.0.0.0/4"),
        ),
    )
)
_PUBLIC_6 = IPv6Network("2000::/3")  # all that is routed; mapped and translated IPv4 is not in it
_NOT_PUBLIC_6 = tuple(map(IPv6Network, ("2001::/23", "2001:db8::/32", "2002::/16", "3fff::/20")))


class Blocked(ValueError):
    """An address that we do not connect to."""


def checked(url: str, private: frozenset[str] = frozenset()) -> httpx2.URL:
    """The URL, parsed; of a host of the internet, by https at its own port, and without userinfo.

    Raises Blocked. `private` are hosts with their ports that may be anywhere, and by plain http.
    """
    if len(url) > URL_CHARS_MAX or not url.isascii() or not url.isprintable():
        raise Blocked("the URL has characters that a URL does not have")
    if any(c in url for c in ' \\<>"^`{|}'):
        raise Blocked("the URL has characters that a URL does not have")
    try:
        parsed = httpx2.URL(url)
    except httpx2.InvalidURL:
        raise Blocked("this is no URL") from None
    if parsed.userinfo or "@" in url.partition("//")[2].partition("/")[0]:
        raise Blocked("the URL says who is asking")
    if parsed.scheme in ("http", "https") and _netloc(parsed) in private:
        return parsed
    if parsed.scheme != "https":
        raise Blocked("only https is spoken")
    if parsed.port not in (None, HTTPS):
        raise Blocked("only the port of https is used")
    _check_name(parsed.host)
    return parsed


def _netloc(url: httpx2.URL) -> str:
    host = f"[{url.host}]" if ":" in url.host else url.host
    return host if url.port is None else f"{host}:{url.port}"


def _check_name(host: str) -> None:
    """A domain name of several labels, which cannot be read as a number."""
    labels = host.split(".")
    if len(labels) < 2 or not all(map(_is_label, labels)):
        raise Blocked("the host is no full domain name")
    # No top-level domain is a number, but 127.1, 0x7f.1 and 0177.0.0.1 are addresses to some.
    if not labels[-1][0].isalpha():
        raise Blocked("the host is a number")


def _is_label(label: str) -> bool:
    letters = label.replace("-", "").replace("_", "")
    return 0 < len(label) <= 63 and letters.isalnum() and letters.isascii()


def is_public(address: str) -> bool:
    """Whether it is a unicast address of the internet."""
    try:
        found = ip_address(address)
    except ValueError:
        return False
    if isinstance(found, IPv4Address):
        return not any(found in block for block in _NOT_PUBLIC_4)
    if found.scope_id is not None:
        return False
    return found in _PUBLIC_6 and not any(found in block for block in _NOT_PUBLIC_6)


@cache
def _resolvers() -> ThreadPoolExecutor:
    return ThreadPoolExecutor(RESOLVERS, thread_name_prefix="resolve")


async def resolved(host: str, port: int) -> Sequence[str]:
    """Every address of a name, best first, as the machine says. Raises OSError."""

    def asked() -> list[str]:
        found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
        return [str(address[0]) for *_, address in found]

    return await asyncio.get_running_loop().run_in_executor(_resolvers(), asked)


class _Stream(httpcore2.AsyncNetworkStream):
    """A connection that knows whether anything has come since something was last asked."""

    def __init__(self, stream: httpcore2.AsyncNetworkStream) -> None:
        self._stream = stream
        self.has_heard = False

    async def read(self, max_bytes: int, timeout: float | None = None) -> bytes:  # noqa: ASYNC109
        part = await self._stream.read(max_bytes, timeout)
        self.has_heard = True
        return part

    async def write(self, buffer: bytes, timeout: float | None = None) -> None:  # noqa: ASYNC109
        self.has_heard = False
        await self._stream.write(buffer, timeout)

    async def aclose(self) -> None:
        await self._stream.aclose()

    async def start_tls(
        self,
        ssl_context: ssl.SSLContext,
        server_hostname: str | None = None,
        timeout: float | None = None,  # noqa: ASYNC109 - as the interface has it
    ) -> httpcore2.AsyncNetworkStream:
        return _Stream(await self._stream.start_tls(ssl_context, server_hostname, timeout))

    def get_extra_info(self, info: str) -> Any:
        return self._stream.get_extra_info(info)


class _Pinned(httpcore2.AsyncNetworkBackend):
    """Resolves a name once, judges all its addresses, and connects to one of these.

    TLS above it goes by the name still: its SNI, and the name that the certificate has to have.
    """

    def __init__(self, resolve: Resolve, private: frozenset[str]) -> None:
        self._resolve, self._private = resolve, private
        self._network = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - as the interface has it
        local_address: str | None = None,
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        name = f"[{host}]" if ":" in host else host
        default = port in (80, HTTPS) and name in self._private
        is_private = default or f"{name}:{port}" in self._private
        addresses = await self._addresses(host, port)
        if not addresses or not (is_private or all(map(is_public, addresses))):
            raise Blocked("the name points inside")
        refused: Exception = httpcore2.ConnectError("no address")
        tried = addresses[:ADDRESSES_MAX]
        # One that swallows what it is sent, as IPv6 does in many a net, must not take it all.
        each = None if timeout is None else min(timeout / len(tried), CONNECT_S_MAX)
        for address in tried:
            seconds = timeout if address == tried[-1] else each
            try:
                stream = await self._network.connect_tcp(
                    address, port, seconds, local_address, socket_options
                )
                return _Stream(stream)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as fault:
                refused = fault
        raise refused

    async def _addresses(self, host: str, port: int) -> Sequence[str]:
        try:
            async with asyncio.timeout(RESOLVE_S_MAX):
                return await self._resolve(host, port)
        except TimeoutError:
            raise httpcore2.ConnectTimeout("the name was not resolved in time") from None
        except OSError as fault:
            raise httpcore2.ConnectError("the name could not be resolved") from fault

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109 - as the interface has it
        socket_options: Iterable[httpcore2.SOCKET_OPTION] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        raise Blocked("there is no provider on a socket of ours")

    async def sleep(self, seconds: float) -> None:
        await asyncio.sleep(seconds)


@cache
def _public_authorities() -> ssl.SSLContext:
    """Who vouches for servers, as the system has it; reading them takes 20 ms."""
    return httpx2.create_ssl_context(trust_env=False)


@dataclass(frozen=True, slots=True, kw_only=True)
class Egress:
    """What may be reached, and how. `private` are hosts with their ports that may be anywhere;
    the rest is for tests, with names and an authority of their own."""

    private: frozenset[str] = frozenset()
    resolve: Resolve = resolved
    tls: ssl.SSLContext | None = None


class Guarded(httpx2.AsyncBaseTransport):
    """Connections to what may be connected to, pooled. Raises Blocked, and as httpcore2 does."""

    def __init__(self, connections_max: int, egress: Egress = Egress()) -> None:
        self._private = egress.private
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=egress.tls or _public_authorities(),
            max_connections=connections_max,
            max_keepalive_connections=connections_max,
            keepalive_expiry=5.0,
            network_backend=_Pinned(egress.resolve, egress.private),
        )

    async def handle_async_request(self, request: httpx2.Request) -> httpx2.Response:
        checked(str(request.url.copy_with(raw_path=b"/")), self._private)
        if not isinstance(request.stream, httpx2.AsyncByteStream):
            raise TypeError("the content of a request is sent by an asynchronous client")
        url = request.url
        answer = await self._pool.handle_async_request(
            httpcore2.Request(
                method=request.method,
                url=httpcore2.URL(
                    scheme=url.raw_scheme, host=url.raw_host, port=url.port, target=url.raw_path
                ),
                headers=request.headers.raw,
                content=request.stream,
                extensions=request.extensions,
            )
        )
        stream = answer.extensions.get("network_stream")
        if isinstance(stream, _Stream) and not stream.has_heard:
            # It came with the answer before, perhaps of another login: this one's is yet to come.
            await answer.aclose()
            raise httpcore2.RemoteProtocolError("answered before it was asked")
        return httpx2.Response(
            answer.status,
            headers=answer.headers,
            stream=_Body(answer),
            extensions=answer.extensions,
        )

    async def aclose(self) -> None:
        await self._pool.aclose()


class _Body(httpx2.AsyncByteStream):
    def __init__(self, answer: httpcore2.Response) -> None:
        self._answer = answer

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for part in self._answer.aiter_stream():
            yield part

    async def aclose(self) -> None:
        await self._answer.aclose()
