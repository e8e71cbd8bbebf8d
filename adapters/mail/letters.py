"""What a letter says, as text and as HTML, from its template.

A template's first line is the subject; a paragraph that is the link and nothing else is a button
in HTML, which says what the text says.
"""

import re
import textwrap
from datetime import datetime
from email.headerregistry import Address
from email.message import EmailMessage
from email.policy import SMTP, SMTPUTF8
from pathlib import Path
from urllib.parse import urlsplit

from jinja2 import Environment, FileSystemLoader, StrictUndefined, select_autoescape

from domain.errors import InvalidInput
from domain.identity import normal_email
from domain.mail import Letter, Template, Undeliverable

FOLDER = Path(__file__).parent / "templates"
PATHS = {Template.VERIFY_EMAIL: "/verify-email", Template.RESET_PASSWORD: "/reset-password"}
COLUMNS = 72
LINKED = re.compile(r":(?=//)|\.(?=[^\W\d])")  # what mail programs take an address of the web by
VALUE_MAX = 200  # characters; some are what a browser calls itself


class Letters:
    """`sender` is whom they come from; links lead to `base_url`, without a last slash."""

    def __init__(self, *, sender: str, base_url: str) -> None:
        self.sender, self._base_url = sender, base_url
        self.domain = _ascii(sender.rpartition("@")[2])
        self._templates = Environment(
            loader=FileSystemLoader(FOLDER),
            autoescape=select_autoescape(["html"]),
            undefined=StrictUndefined,
            keep_trailing_newline=True,
        )

    def message(self, letter: Letter) -> EmailMessage:
        """Raises Undeliverable where the address is none that mail can be sent to."""
        subject, paragraphs, link = self._said(letter)
        to = _address(letter.to)
        message = EmailMessage(policy=SMTP if str(to).isascii() else SMTPUTF8)
        message["From"] = self.sender
        message["To"] = to
        message["Subject"] = subject
        message["Date"] = letter.at
        message["Message-ID"] = f"<{letter.id}@{self.domain}>"
        message["Auto-Submitted"] = "auto-generated"
        filled = [p if p == link else _filled(p) for p in paragraphs]
        text = "\n\n".join(filled)
        html = self._templates.get_template("letter.html").render(
            subject=subject, paragraphs=filled, link=link
        )
        message.set_content(text + "\n", cte=_encoding(text))
        message.add_alternative(html, subtype="html", cte=_encoding(html))
        for part in message.iter_parts():
            del part["MIME-Version"]  # of a whole message only
        return message

    def _said(self, letter: Letter) -> tuple[str, list[str], str | None]:
        link = None
        if letter.token is not None:
            path = PATHS[letter.template]
            link = f"{self._base_url}{path}?token={letter.token.reveal()}"
        text = self._templates.get_template(f"{letter.template.value}.txt").render(
            {name: _one_line(value) for name, value in letter.values.items()},
            link=link,
            site=self._base_url,
            host=urlsplit(self._base_url).hostname,
            when=_when(letter.at),
        )
        subject, *paragraphs = [" ".join(p.split()) for p in text.split("\n\n") if p.strip()]
        return subject, paragraphs, link


def _filled(paragraph: str) -> str:
    """A name such as my-money.example.com stays in one piece."""
    return textwrap.fill(paragraph, COLUMNS, break_on_hyphens=False, break_long_words=False)


def _when(at: datetime) -> str:
    return f"{at.day} {at:%B %Y, %H:%M} UTC"


def _one_line(value: str) -> str:
    """Of what others said, nothing that could look like a paragraph or a link of ours."""
    plain = "".join(c if c.isprintable() else " " for c in LINKED.sub(" ", value))
    return " ".join(plain.split())[:VALUE_MAX]


def _encoding(text: str) -> str:
    """As it reads, where it can be: no line of ours is longer than SMTP allows."""
    return "7bit" if text.isascii() else "quoted-printable"


def _address(said: str) -> Address:
    try:
        name, _, domain = normal_email(said).rpartition("@")
        return Address(username=name, domain=_ascii(domain))
    except (InvalidInput, ValueError) as error:
        raise Undeliverable("that is no address that mail can be sent to") from error


def _ascii(domain: str) -> str:
    return domain if domain.isascii() else domain.encode("idna").decode("ascii")
