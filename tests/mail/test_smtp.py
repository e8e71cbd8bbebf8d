"""Mail over SMTP, handed to real servers."""

import asyncio
import ssl
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest

from adapters.mail.letters import Letters
from adapters.mail.smtp import Server, SmtpMail, server_of
from domain.errors import Unavailable
from domain.identity import new_id
from domain.mail import Letter, Template, Undeliverable
from domain.secret import Secret
from tests.e2e.mailbox import html_of, link_of
from tests.mail.servers import PASSWORD, USER, Taken, a_mail_server, certified

LETTERS = Letters(sender="dashtam@example.com", base_url="https://money.example.com")
TO = "ann@example.org"


def a_letter(to: str = TO) -> Letter:
    return Letter(
        id=new_id(),
        to=to,
        template=Template.VERIFY_EMAIL,
        at=datetime.now(UTC),
        token=Secret("t" * 43),
    )


def smtp(taken: Taken, *, tls: ssl.SSLContext | None = None, **more: object) -> SmtpMail:
    """Of a server that is spoken to as one elsewhere is, where there is a context."""
    given = {"tls_at_once": False, "needs_tls": tls is not None, **more}
    server = Server(host="127.0.0.1", port=taken.port, **given)  # type: ignore[arg-type]
    return SmtpMail(server, LETTERS, tls=tls, send_s_max=5)


@pytest.fixture(scope="module")
def contexts(
    tmp_path_factory: pytest.TempPathFactory,
) -> tuple[ssl.SSLContext, ssl.SSLContext]:
    return certified(tmp_path_factory.mktemp("certificate"))


@pytest.fixture
async def plain() -> AsyncIterator[Taken]:
    async with a_mail_server() as taken:
        yield taken


@pytest.mark.parametrize("at_once", [False, True], ids=["STARTTLS", "smtps"])
async def test_a_letter_is_handed_over_encrypted_and_signed_in(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext], *, at_once: bool
) -> None:
    of_server, of_client = contexts
    async with a_mail_server(tls=of_server, at_once=at_once, auth=True) as taken:
        mail = smtp(
            taken, tls=of_client, tls_at_once=at_once, username=USER, password=Secret(PASSWORD)
        )
        await mail.send(a_letter())

    assert taken.recipients == [TO]
    assert taken.encrypted == [True]
    [mailed] = taken.mails
    assert link_of(mailed) in html_of(mailed)
    assert mailed["To"] == TO


async def test_a_server_elsewhere_is_not_spoken_to_in_clear(
    plain: Taken, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    with pytest.raises(Unavailable):
        await smtp(plain, tls=contexts[1]).send(a_letter())

    assert plain.mails == []


async def test_a_server_elsewhere_shows_a_certificate_that_is_trusted(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with a_mail_server(tls=contexts[0]) as taken:
        with pytest.raises(Unavailable, match=r"Certificate|SSL"):
            await smtp(taken, tls=ssl.create_default_context()).send(a_letter())

    assert taken.mails == []


async def test_on_this_machine_it_goes_in_clear_or_by_any_certificate(
    plain: Taken, contexts: tuple[ssl.SSLContext, ssl.SSLContext]
) -> None:
    async with a_mail_server(tls=contexts[0]) as offering:
        await smtp(offering).send(a_letter())
    await smtp(plain).send(a_letter())

    assert (offering.encrypted, plain.encrypted) == ([True], [False])


@pytest.mark.parametrize("said", ["450 4.2.0 mailbox busy ann@example.org", "452 4.2.2 full"])
async def test_what_is_refused_for_now_is_tried_again(plain: Taken, said: str) -> None:
    plain.rcpt = said
    with pytest.raises(Unavailable) as for_rcpt:
        await smtp(plain).send(a_letter())
    plain.rcpt, plain.data = None, said
    with pytest.raises(Unavailable) as for_data:
        await smtp(plain).send(a_letter())

    assert said[:3] in str(for_rcpt.value)
    assert said[:3] in str(for_data.value)
    assert TO not in str(for_rcpt.value) + str(for_data.value)


@pytest.mark.parametrize("said", ["550 5.1.1 no ann@example.org here", "554 5.7.1 not from you"])
async def test_what_is_refused_for_good_is_given_up(plain: Taken, said: str) -> None:
    plain.rcpt = said
    with pytest.raises(Undeliverable) as for_rcpt:
        await smtp(plain).send(a_letter())
    plain.rcpt, plain.data = None, said
    with pytest.raises(Undeliverable) as for_data:
        await smtp(plain).send(a_letter())

    assert said[:3] in for_rcpt.value.reason
    assert said[:3] in for_data.value.reason
    assert TO not in for_rcpt.value.reason + for_data.value.reason


async def test_a_password_that_the_server_refuses_may_be_mended(
    contexts: tuple[ssl.SSLContext, ssl.SSLContext],
) -> None:
    async with a_mail_server(tls=contexts[0], auth=True) as taken:
        mail = smtp(taken, tls=contexts[1], username=USER, password=Secret("another"))
        with pytest.raises(Unavailable, match="535") as refused:
            await mail.send(a_letter())

    assert "another" not in str(refused.value)


async def test_no_server_or_one_that_says_nothing_is_tried_again() -> None:
    async with a_mail_server() as taken:
        pass
    with pytest.raises(Unavailable):
        await smtp(taken).send(a_letter())

    async def listen(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()
        writer.close()

    silent = await asyncio.start_server(listen, "127.0.0.1", 0)
    async with silent:
        port = silent.sockets[0].getsockname()[1]
        server = Server(host="127.0.0.1", port=port, tls_at_once=False, needs_tls=False)
        with pytest.raises(Unavailable):
            await SmtpMail(server, LETTERS, send_s_max=0.1).send(a_letter())


async def test_a_mail_that_was_taken_is_not_sent_again_where_the_server_does_not_part(
    plain: Taken,
) -> None:
    plain.never_parts = True
    server = Server(host="127.0.0.1", port=plain.port, tls_at_once=False, needs_tls=False)
    await SmtpMail(server, LETTERS, send_s_max=0.5).send(a_letter())

    assert plain.recipients == [TO]


async def test_an_address_of_another_script_is_sent_as_one(plain: Taken) -> None:
    await smtp(plain).send(a_letter("jörg@müller.example"))

    assert plain.recipients == ["jörg@xn--mller-kva.example"]


async def test_a_line_break_in_an_address_adds_no_header(plain: Taken) -> None:
    """None is ever stored; were it, no mail would go out."""
    for to in ("ann@example.org\r\nBcc: eve@example.org", "ann\r\n@example.org", "ann@"):
        with pytest.raises(Undeliverable):
            await smtp(plain).send(a_letter(to))

    assert plain.mails == []


def test_a_url_says_which_server_and_who_signs_in() -> None:
    elsewhere = server_of("smtp://post%40example.com:p%40ss%2Fw%3Ard@mail.example.com")
    at_once = server_of("smtps://mail.example.com:4650")
    here = server_of("smtp://127.0.0.1:25")

    assert (elsewhere.host, elsewhere.port, elsewhere.needs_tls) == ("mail.example.com", 587, True)
    assert elsewhere.username == "post@example.com"
    assert elsewhere.password == Secret("p@ss/w:rd")
    assert "p@ss" not in repr(elsewhere)
    assert (at_once.tls_at_once, at_once.needs_tls, at_once.port) == (True, True, 4650)
    assert (here.tls_at_once, here.needs_tls, here.port) == (False, False, 25)


@pytest.mark.parametrize("url", ["smtp://", "smtp:mail", "http://mail", "smtp://mail/box", "x"])
def test_what_names_no_server_is_refused(url: str) -> None:
    with pytest.raises(ValueError, match="smtps://"):
        server_of(url)
