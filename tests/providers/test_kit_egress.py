"""Nothing but the public internet is connected to, whatever a URL or a name says."""

import asyncio
import socket
import ssl
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import pytest
import trustme

from adapters.providers.kit import Blocked, Egress, Http, Policy, checked
from adapters.providers.kit import egress as kit_egress
from adapters.providers.kit.egress import is_public
from domain.errors import ProviderUnavailable
from tests.providers.fakes import outside

QUICK = Policy(call_s=1.0, tries_max=2, wait_first_s=0.001)
METADATA = "http://169.254.169.254/latest/meta-data/"

TRICKS = [
    "http://example.com/",
    "https://127.0.0.1/",
    "https://2130706433/",
    "https://0x7f000001/",
    "https://0177.0.0.1/",
    "https://0x7f.1/",
    "https://127.1/",
    "https://[::1]/",
    "https://[::ffff:169.254.169.254]/",
    "https://[::ffff:7f00:1]/",
    "https://169.254.169.254/latest/meta-data/",
    "https://localhost/",
    "https://metadata/",
    "https://user:pw@127.0.0.1/",
    "https://user:pw@example.com/",
    "https://example.com@127.0.0.1/",
    "https://example.com:22/",
    "https://example.com:8443/",
    "https://example.com\\@127.0.0.1/",
    "https://example.com%00.evil.com/",
    "https://127。0。0。1/",
    "https://①②⑦.⓪.⓪.①/",
    "https://exаmple.com/",  # noqa: RUF001 - a Cyrillic a
    "gopher://127.0.0.1:6379/_FLUSHALL",
    "file:///etc/passwd",
    "unix:///var/run/docker.sock",
    "https://example.com\r\nHost: x/",
    "https://example.com /",
    "https:///127.0.0.1/",
    "//127.0.0.1/",
    "https://[fe80::1%25eth0]/",
    "https://127.0.0.1./",
    "https://example.com./",
    "https://100.64.0.1/",
    "https://[64:ff9b::7f00:1]/",
    "https://.example.com/",
    "https://-/",
    "https://example.com:99999/",
    "https:example.com",
    "javascript://example.com/%0aalert(1)",
    "",
    "https://" + "a" * 3_000 + ".com/",
]
INSIDE = [
    *("127.0.0.1", "127.255.255.254", "10.0.0.1", "172.16.5.5", "172.31.255.255", "192.168.1.1"),
    *("169.254.169.254", "100.64.1.1", "0.0.0.0", "255.255.255.255", "224.0.0.1", "239.1.1.1"),
    *("198.18.0.1", "198.19.255.255", "192.0.0.8", "192.0.2.1", "198.51.100.7", "203.0.113.9"),
    *("192.88.99.1", "240.0.0.1", "::1", "::", "fe80::1", "fe80::1%2", "fc00::1", "fec0::1"),
    *("ff02::1", "::ffff:10.0.0.1", "::ffff:8.8.8.8", "::127.0.0.1", "64:ff9b::a00:1"),
    *("64:ff9b:1::1", "2002:7f00:1::", "2001:0:7f00:1::", "2001:db8::1", "2001:20::1", "100::1"),
    *("3fff::1", "fd00:ec2::254", "no address", ""),
]
PUBLIC = ["8.8.8.8", "1.1.1.1", "172.32.0.1", "100.128.0.1", "2606:4700::1111", "2a00:1450::1"]


@pytest.mark.parametrize("url", TRICKS)
def test_a_trick_is_no_url_of_ours(url: str) -> None:
    with pytest.raises(Blocked):
        checked(url)


def test_a_full_name_by_https_is() -> None:
    for url in ("https://api.example.com/v1", "https://beta-bridge.simplefin.org/simplefin"):
        assert str(checked(url)) == url
    assert checked("https://EXAMPLE.com:443/x").host == "example.com"


def test_an_operators_own_host_may_be_on_loopback_at_its_own_port() -> None:
    private = frozenset({"127.0.0.1:8080", "[::1]:8080", "bank.test"})
    for url in ("http://127.0.0.1:8080/x", "http://[::1]:8080/", "http://bank.test/"):
        assert checked(url, private).host
    for url in ("http://127.0.0.1:8081/", "http://127.0.0.1/", "ftp://bank.test/",
                "http://a@bank.test/", "http://bank.test:81/"):  # fmt: skip
        with pytest.raises(Blocked):
            checked(url, private)


@pytest.mark.parametrize("address", INSIDE)
def test_an_address_of_a_special_range_is_not_public(address: str) -> None:
    assert not is_public(address)


@pytest.mark.parametrize("address", PUBLIC)
def test_an_address_of_the_internet_is(address: str) -> None:
    assert is_public(address)


class Names:
    """A DNS that says these in turn, the last for ever."""

    def __init__(self, *answers: Sequence[str]) -> None:
        self.answers, self.asked = list(answers), list[str]()

    async def __call__(self, host: str, port: int) -> Sequence[str]:
        self.asked.append(host)
        return self.answers.pop(0) if len(self.answers) > 1 else self.answers[0]


@asynccontextmanager
async def listening(
    tls: ssl.SSLContext | None = None, answer: bytes = b"[1]"
) -> AsyncIterator[tuple[int, list[bytes]]]:
    """A server on loopback, its port, and the requests that it got."""
    got: list[bytes] = []

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        got.append(b"")
        try:
            while True:
                got[-1] = await reader.readuntil(b"\r\n\r\n")
                head = f"HTTP/1.1 200 OK\r\ncontent-length: {len(answer)}\r\n\r\n"
                writer.write(head.encode() + answer)
                await writer.drain()
        except (ConnectionError, asyncio.IncompleteReadError):
            return
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0, ssl=tls)
    async with server:
        yield server.sockets[0].getsockname()[1], got


@pytest.mark.parametrize(
    "answers",
    [
        [["127.0.0.1"]],
        [["8.8.8.8", "127.0.0.1"]],
        [["2606:4700::1111", "::1"]],
        [["169.254.169.254"]],
        [[]],
        [["::ffff:127.0.0.1"]],
    ],
    ids=str,
)
async def test_a_name_that_points_inside_is_not_connected_to(answers: list[Sequence[str]]) -> None:
    names = Names(*answers)
    async with listening() as (_, got):
        egress = Egress(resolve=names)
        async with Http("acme", "https://rebind.example.com", egress=egress, policy=QUICK) as http:
            with pytest.raises(ProviderUnavailable, match="do not connect"):
                await http.get("/x")
        assert names.asked == ["rebind.example.com"]
        assert got == []


async def test_a_url_trick_makes_no_connection() -> None:
    async with listening() as (port, got):
        for url in [*TRICKS, f"http://127.0.0.1:{port}", f"https://localhost:{port}"]:
            with pytest.raises(Blocked):
                outside().http("acme", url)
        assert got == []


async def test_a_path_does_not_lead_to_another_host() -> None:
    async with listening() as (port, got), outside().http("acme", "https://a.example.com") as http:
        for path in (
            f"http://127.0.0.1:{port}/",
            "https://b.example.com/",
            f"gopher://127.0.0.1:{port}",
        ):
            with pytest.raises(ProviderUnavailable, match="elsewhere"):
                await http.get(path)
        assert got == []


async def test_a_redirect_to_the_metadata_of_a_cloud_is_not_followed() -> None:
    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(
            f"HTTP/1.1 302 Found\r\nlocation: {METADATA}\r\ncontent-length: 0\r\n\r\n".encode()
        )
        await writer.drain()
        writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    host = f"127.0.0.1:{server.sockets[0].getsockname()[1]}"
    async with server, outside(None, host).http("acme", f"http://{host}", policy=QUICK) as http:
        with pytest.raises(ProviderUnavailable, match="302"):
            await http.get("/x")


async def test_a_name_that_is_not_resolved_in_time_is_given_up() -> None:
    async def never(host: str, port: int) -> Sequence[str]:
        await asyncio.sleep(30)
        return ["8.8.8.8"]

    policy = Policy(call_s=0.1, tries_max=1)
    began = time.monotonic()
    egress = Egress(resolve=never)
    async with Http("acme", "https://slow.example.com", egress=egress, policy=policy) as http:
        with pytest.raises(ProviderUnavailable, match="in time"):
            await http.get("/x")
    assert time.monotonic() - began < 2
    assert kit_egress.RESOLVE_S_MAX <= 5


async def test_a_name_is_looked_up_as_the_machine_does() -> None:
    addresses = await kit_egress.resolved("localhost", 443)
    assert addresses
    assert not any(map(is_public, addresses))


async def test_a_name_that_nobody_knows_is_not_reached() -> None:
    async def unknown(host: str, port: int) -> Sequence[str]:
        raise OSError("no such name")

    egress = Egress(resolve=unknown)
    async with Http("acme", "https://gone.example.com", egress=egress, policy=QUICK) as http:
        with pytest.raises(ProviderUnavailable, match="reached"):
            await http.get("/x")


# ── TLS to a pinned address ─────────────────────────────────────────────────


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


def trusting(authority: trustme.CA) -> ssl.SSLContext:
    context = ssl.create_default_context()
    authority.configure_trust(context)
    return context


async def asked(
    authority: trustme.CA, certificate: str, trusted: ssl.SSLContext, *addresses: str
) -> tuple[object, list[bytes], list[str | None]]:
    """What a server with this certificate answers to who asks for bank.example.com at these
    addresses, what it was sent, and the names that it was asked for in the handshake."""
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert(certificate).configure_cert(context)
    names: list[str | None] = []
    context.sni_callback = lambda _, name, __: names.append(name)
    async with listening(context) as (port, got):
        host = f"bank.example.com:{port}"
        egress = Egress(
            private=frozenset({host}), resolve=Names(addresses or ["127.0.0.1"]), tls=trusted
        )
        async with Http("acme", f"https://{host}", egress=egress, policy=QUICK) as http:
            try:
                answer = await http.get("/x")
            except ProviderUnavailable as refusal:
                answer = refusal
    return answer, got, names


async def test_a_pinned_address_is_spoken_to_by_its_name(authority: trustme.CA) -> None:
    answer, [request], names = await asked(authority, "bank.example.com", trusting(authority))

    assert answer == [1]
    assert names == ["bank.example.com"]
    assert b"\r\nhost: bank.example.com:" in request.lower()


async def test_of_several_addresses_the_first_that_answers_is_taken(authority: trustme.CA) -> None:
    answer, _, names = await asked(
        authority, "bank.example.com", trusting(authority), "127.0.0.9", "127.0.0.1"
    )
    assert (answer, names) == ([1], ["bank.example.com"])


async def test_an_address_that_swallows_everything_leaves_time_for_the_next() -> None:
    async with listening() as (port, _):
        with socket.socket() as deaf, socket.socket() as waiting:
            deaf.bind(("127.0.0.9", port))
            deaf.listen(0)
            waiting.connect(deaf.getsockname())  # nobody else is let in
            host = f"bank.example.com:{port}"
            names = Names(["127.0.0.9", "127.0.0.1"])
            egress = Egress(private=frozenset({host}), resolve=names)
            once = Policy(call_s=0.6, tries_max=1)
            async with Http("acme", f"http://{host}", egress=egress, policy=once) as http:
                assert await http.get("/x") == [1]


async def test_a_certificate_of_another_name_is_refused(authority: trustme.CA) -> None:
    answer, got, _ = await asked(authority, "evil.example.com", trusting(authority))
    assert isinstance(answer, ProviderUnavailable)
    assert not any(got)


async def test_a_certificate_of_an_authority_that_nobody_knows_is_refused(
    authority: trustme.CA,
) -> None:
    trusted = kit_egress._public_authorities()
    assert trusted.verify_mode is ssl.CERT_REQUIRED
    assert trusted.check_hostname
    answer, got, _ = await asked(authority, "bank.example.com", trusted)
    assert isinstance(answer, ProviderUnavailable)
    assert not any(got)
