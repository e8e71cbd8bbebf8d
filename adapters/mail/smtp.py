"""Mail by SMTP (RFC 5321): over TLS from the start, or by STARTTLS."""

import asyncio
import ssl
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass
from ipaddress import ip_address
from urllib.parse import unquote, urlsplit

import aiosmtplib as smtp

from adapters.mail.letters import Letters
from domain.errors import Unavailable
from domain.mail import Letter, Undeliverable
from domain.secret import Secret

SEND_S_MAX, PART_S_MAX = 30.0, 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Server:
    """`needs_tls`: what is said to it is never said in clear, and its certificate is checked."""

    host: str
    port: int
    tls_at_once: bool
    needs_tls: bool
    username: str | None = None
    password: Secret | None = None


def server_of(url: str) -> Server:
    """Of `smtp://` or `smtps://`, user and password percent-encoded. Raises ValueError.

    On this machine nobody stands between: there STARTTLS is used where it is offered.
    """
    parts = urlsplit(url)
    host = parts.hostname
    if parts.scheme not in ("smtp", "smtps") or not host or parts.path.strip("/"):
        raise ValueError("a URL such as smtps://user:password@host:465")
    at_once = parts.scheme == "smtps"
    return Server(
        host=host,
        port=parts.port or (465 if at_once else 587),
        tls_at_once=at_once,
        needs_tls=at_once or not _is_loopback(host),
        username=unquote(parts.username) if parts.username else None,
        password=Secret(unquote(parts.password)) if parts.password else None,
    )


class SmtpMail:
    """`tls` is by what a server's certificate is checked, if not by the machine's authorities."""

    def __init__(
        self,
        server: Server,
        letters: Letters,
        *,
        tls: ssl.SSLContext | None = None,
        send_s_max: float = SEND_S_MAX,
    ) -> None:
        self._server, self._letters, self._send_s_max = server, letters, send_s_max
        self._tls = tls or ssl.create_default_context()
        if not server.needs_tls:
            self._tls.check_hostname, self._tls.verify_mode = False, ssl.CERT_NONE

    async def send(self, letter: Letter) -> None:
        """Raises Unavailable, Undeliverable: neither quotes the server, which may name the address.

        What a server refuses for good about us, such as our password, may be mended meanwhile.
        """
        message = self._letters.message(letter)
        async with self._client() as client:
            await client.send_message(message)

    async def greet(self) -> None:
        """Whether the server lets us in. Raises Unavailable."""
        async with self._client():
            pass

    @asynccontextmanager
    async def _client(self) -> AsyncIterator[smtp.SMTP]:
        server = self._server
        client = smtp.SMTP(
            hostname=server.host,
            port=server.port,
            use_tls=server.tls_at_once,
            start_tls=None if server.tls_at_once or not server.needs_tls else True,
            tls_context=self._tls,
            username=server.username,
            password=None if server.password is None else server.password.reveal(),
            local_hostname=self._letters.domain,
            timeout=self._send_s_max,
        )
        try:
            with _told():
                async with asyncio.timeout(self._send_s_max):
                    await client.connect()
                    yield client
            # A mail that was taken is not sent again for a server that does not part.
            with suppress(smtp.SMTPException, OSError):
                await client.quit(timeout=PART_S_MAX)
        finally:
            client.close()


@contextmanager
def _told() -> Iterator[None]:
    try:
        yield
    except smtp.SMTPRecipientsRefused as error:
        code = min(refused.code for refused in error.recipients)
        raise _refused(code, "the address") from error
    except smtp.SMTPDataError as error:
        raise _refused(error.code, "the mail") from error
    except smtp.SMTPNotSupported as error:
        raise Undeliverable("the mail server takes no address of this kind") from error
    except smtp.SMTPResponseException as error:
        raise Unavailable(f"the mail server refused us: {error.code}") from error
    except (smtp.SMTPException, OSError, ValueError) as error:
        raise Unavailable(f"the mail server: {type(error).__name__}") from error


def _refused(code: int, what: str) -> Exception:
    if code >= 500:  # 5yz is for good, 4yz is not: RFC 5321 section 4.2.1
        return Undeliverable(f"the mail server refused {what}: {code}")
    return Unavailable(f"the mail server refused {what}, not for good: {code}")


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
