"""Real mail servers on loopback, with what each is told to refuse."""

import asyncio
import ssl
import warnings
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.message import EmailMessage
from ipaddress import ip_address
from pathlib import Path
from typing import Any

from aiosmtpd.smtp import SMTP, AuthResult, LoginPassword
from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from tests.e2e.mailbox import read

USER, PASSWORD = "post@example.com", "p@ss/w:rd ü"


@dataclass(slots=True)
class Taken:
    """What a server was handed; it answers as it is told, where it is."""

    rcpt: str | None = None
    data: str | None = None
    never_parts: bool = False
    mails: list[EmailMessage] = field(default_factory=list)
    recipients: list[str] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    port: int = 0

    async def handle_RCPT(  # noqa: N802 - by which name it is called
        self, server: Any, session: Any, envelope: Any, address: str, options: list[str]
    ) -> str:
        if self.rcpt is not None:
            return self.rcpt
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(  # noqa: N802
        self, server: Any, session: Any, envelope: Any
    ) -> str:
        if self.data is not None:
            return self.data
        self.mails.append(read(envelope.content))
        self.recipients += envelope.rcpt_tos
        self.encrypted.append(server.transport.get_extra_info("sslcontext") is not None)
        return "250 OK"

    async def handle_QUIT(self, server: Any, session: Any, envelope: Any) -> str:  # noqa: N802
        if self.never_parts:
            await asyncio.sleep(60)
        return "221 Bye"


def authenticate(server: Any, session: Any, envelope: Any, mechanism: str, said: Any) -> AuthResult:
    right = isinstance(said, LoginPassword) and (said.login, said.password) == (
        USER.encode(),
        PASSWORD.encode(),
    )
    return AuthResult(success=right, handled=False)


@asynccontextmanager
async def a_mail_server(
    *, tls: ssl.SSLContext | None = None, at_once: bool = False, auth: bool = False
) -> AsyncIterator[Taken]:
    """With `tls` it offers and demands STARTTLS, or with `at_once` speaks nothing else."""
    taken, conversations = Taken(), list[SMTP]()

    def made() -> SMTP:
        with warnings.catch_warnings():
            # That a password is asked for without STARTTLS: it does not know of TLS at once.
            warnings.filterwarnings("ignore", "Requiring AUTH", UserWarning)
            spoken = SMTP(
                taken,
                hostname="mail.example.com",
                enable_SMTPUTF8=True,
                tls_context=None if at_once else tls,
                require_starttls=tls is not None and not at_once,
                auth_required=auth,
                auth_require_tls=auth and not at_once,
                authenticator=authenticate if auth else None,
                loop=asyncio.get_running_loop(),
            )
        conversations.append(spoken)
        return spoken

    server = await asyncio.get_running_loop().create_server(
        made, "127.0.0.1", 0, ssl=tls if at_once else None
    )
    taken.port = server.sockets[0].getsockname()[1]
    async with server:
        yield taken
    for spoken in conversations:
        if spoken.transport is not None:
            spoken.transport.close()
    await asyncio.sleep(0.01)  # for what is closed to be gone


def certified(folder: Path) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    """A server's context with a certificate for loopback, and that of a client that trusts it."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(x509.NameOID.COMMON_NAME, "mail.example.com")])
    now = datetime.now(UTC)
    certificate = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + timedelta(days=1))
        .add_extension(
            x509.SubjectAlternativeName([x509.IPAddress(ip_address("127.0.0.1"))]), critical=False
        )
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    chain = folder / "server.pem"
    chain.write_bytes(
        key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        + certificate.public_bytes(Encoding.PEM)
    )
    server = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    server.load_cert_chain(chain)
    client = ssl.create_default_context(cadata=certificate.public_bytes(Encoding.PEM).decode())
    return server, client
