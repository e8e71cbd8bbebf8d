"""What letters say, and how they lie in a folder."""

import asyncio
import stat
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path

import pytest

from adapters.mail.files import MailFiles
from adapters.mail.letters import Letters
from domain.errors import Unavailable
from domain.identity import new_id
from domain.mail import RESET_LIFETIME, VERIFY_LIFETIME, Letter, Template
from domain.secret import Secret
from tests.e2e.mailbox import html_of, read, text_of

LETTERS = Letters(sender="dashtam@example.com", base_url="https://money.example.com")
AT = datetime(2026, 11, 22, 5, 40, tzinfo=UTC)
VALUES: Mapping[Template, Mapping[str, str]] = {
    Template.TOKEN_REUSED: {"device": "Firefox on Linux", "ip_address": "203.0.113.7"},
    Template.SECOND_FACTOR_CHANGED: {"change": "disabled"},
    Template.NEW_DEVICE: {"device": "an app", "ip_address": "::1", "location": "Zürich"},
    Template.ROLE_CHANGED: {"role": "READONLY"},
    Template.ACCOUNT_DELETED: {"standing": "Schwab"},
}
WITH_TOKEN = (Template.VERIFY_EMAIL, Template.RESET_PASSWORD)


def a_letter(template: Template, **values: str) -> Letter:
    return Letter(
        id=new_id(),
        to="ann@example.org",
        template=template,
        at=AT,
        values={**VALUES.get(template, {}), **values},
        token=Secret("t" * 43) if template in WITH_TOKEN else None,
    )


@pytest.mark.parametrize("template", Template)
def test_every_letter_says_the_same_as_text_and_as_html(template: Template) -> None:
    mail = read(LETTERS.message(a_letter(template)).as_bytes())
    text, html = text_of(mail), html_of(mail)

    assert mail["Subject"].isascii()
    assert "22 November 2026, 05:40 UTC" in " ".join(text.split())
    assert "money.example.com" in text
    for value in VALUES.get(template, {}).values():
        assert value in " ".join(text.split())
    for paragraph in text.split("\r\n\r\n" if "\r\n" in text else "\n\n"):
        words = " ".join(paragraph.split()).replace('"', "&#34;")
        assert words in " ".join(html.split())
    assert max(map(len, text.splitlines())) <= 100


def test_the_letters_say_how_long_their_links_are_good() -> None:
    verify = text_of(LETTERS.message(a_letter(Template.VERIFY_EMAIL)))
    reset = text_of(LETTERS.message(a_letter(Template.RESET_PASSWORD)))

    assert f"{VERIFY_LIFETIME.total_seconds() / 3600:.0f} hours" in verify
    assert f"{RESET_LIFETIME.total_seconds() / 60:.0f} minutes" in reset


def test_a_name_with_a_hyphen_stays_in_one_piece() -> None:
    name = f"{'my-money-' * 7}of.example.com"
    letters = Letters(sender="dashtam@example.com", base_url=f"https://{name}")
    for template in Template:
        mail = read(letters.message(a_letter(template)).as_bytes())
        assert [said.count(name) >= 2 for said in (text_of(mail), html_of(mail))] == [True, True]


def test_what_others_call_themselves_is_words_and_nothing_else() -> None:
    device = '<a href="https://evil.example">x</a>\r\n\r\nhttps://evil.example\u202e' + "y" * 1_000
    mail = read(LETTERS.message(a_letter(Template.NEW_DEVICE, device=device)).as_bytes())

    assert "<a" not in html_of(mail)
    assert "&lt;a href" in " ".join(html_of(mail).split())
    for said in (text_of(mail), html_of(mail)):
        assert "https://evil" not in said
        assert "evil.example" not in said
    assert "\u202e" not in text_of(mail)
    assert "y" * 200 not in text_of(mail).replace("\n", "")


def test_a_letter_that_is_sent_again_is_known_as_the_same() -> None:
    letter = a_letter(Template.PASSWORD_CHANGED)

    assert LETTERS.message(letter)["Message-ID"] == LETTERS.message(letter)["Message-ID"]
    assert (
        LETTERS.message(letter)["Message-ID"]
        != (LETTERS.message(replace(letter, id=new_id()))["Message-ID"])
    )


async def test_files_are_whole_and_for_their_owner_alone(tmp_path: Path) -> None:
    files = MailFiles(tmp_path / "mail", LETTERS)
    letters = [a_letter(Template.VERIFY_EMAIL) for _ in range(20)]
    await asyncio.gather(*(files.send(letter) for letter in [*letters, letters[0]]))

    found = sorted((tmp_path / "mail").iterdir())
    assert len(found) == len(letters)
    assert {stat.S_IMODE(path.stat().st_mode) for path in found} == {0o600}
    assert all(path.name.startswith("20261122T054000.000000Z-verify_email-") for path in found)
    assert {read(path.read_bytes())["To"] for path in found} == {"ann@example.org"}


async def test_a_folder_that_cannot_be_written_to_is_tried_again(tmp_path: Path) -> None:
    (tmp_path / "mail").write_text("a file in its place")

    with pytest.raises(Unavailable):
        await MailFiles(tmp_path / "mail", LETTERS).send(a_letter(Template.VERIFY_EMAIL))
