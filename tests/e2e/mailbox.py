"""The mails of a gateway in development, read as a person would, and as a program."""

import asyncio
import email
import email.policy
import re
import time
from email.message import EmailMessage
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

WAIT_S_MAX = 20.0
LINK = re.compile(r"^https?://\S+", re.MULTILINE)


class Mailbox:
    """What was mailed to one address, the oldest first."""

    def __init__(self, data_dir: Path, address: str) -> None:
        self._folder, self.address = data_dir / "mail", address

    def all(self) -> list[EmailMessage]:
        return [mail for _, mail in self.files()]

    def files(self) -> list[tuple[Path, EmailMessage]]:
        found = [(path, read(path.read_bytes())) for path in sorted(self._folder.glob("*.eml"))]
        return [(path, mail) for path, mail in found if mail["To"] == self.address]

    async def mails(self, count: int) -> list[EmailMessage]:
        """Once there are so many, or more."""
        give_up_at = time.monotonic() + WAIT_S_MAX
        while len(found := self.all()) < count:
            assert time.monotonic() < give_up_at, [mail["Subject"] for mail in found]
            await asyncio.sleep(0.05)
        return found

    async def newest(self, count: int) -> EmailMessage:
        return (await self.mails(count))[-1]


def read(content: bytes) -> EmailMessage:
    message = email.message_from_bytes(content, policy=email.policy.default)
    assert isinstance(message, EmailMessage)
    assert not message.defects
    return message


def text_of(mail: EmailMessage) -> str:
    body = mail.get_body(("plain",))
    assert body is not None
    return str(body.get_content())


def html_of(mail: EmailMessage) -> str:
    body = mail.get_body(("html",))
    assert body is not None
    return str(body.get_content())


def link_of(mail: EmailMessage) -> str:
    [link] = LINK.findall(text_of(mail))
    return str(link)


def token_of(mail: EmailMessage) -> str:
    [token] = parse_qs(urlsplit(link_of(mail)).query)["token"]
    return token
