"""From what production says, nobody learns a name of the schema that they have not said."""

import json
import os
import re
from collections.abc import Sequence
from typing import Any

import pytest

from tests.attacks import misspelled
from tests.attacks.misspelled import Misspelled
from tests.attacks.stand import MEDIA, Target, errors_of
from tests.e2e.live import live

MISSPELLED_MIN = 200
NAMES = misspelled.names()
WORD = re.compile(r"[_A-Za-z]\w+", re.ASCII)
LONG = os.environ.get("DASHTAM_TEST_LONG") == "1"


def learnt(asked: Misspelled, said_of: Sequence[dict[str, Any]]) -> set[str]:
    """The names in the messages that are none of the request's."""
    text = " ".join(error["message"] for error in said_of)
    assert "Did you mean" not in text
    said = set(WORD.findall(asked.query + json.dumps(asked.variables)))
    return ({*WORD.findall(text)} & NAMES) - said


@pytest.fixture(scope="module")
def asked() -> list[Misspelled]:
    found = misspelled.every(7)
    assert len(found) >= MISSPELLED_MIN
    return found


@pytest.mark.parametrize("media", [*MEDIA, "text/event-stream"])
async def test_no_answer_names_what_was_not_said(
    target: Target, asked: list[Misspelled], media: str
) -> None:
    share = asked if LONG else asked[[*MEDIA, "text/event-stream"].index(media) :: 3]
    told = {}
    for each in share:
        answer = await target.nobody.post(each.query, each.variables, accept=media)
        errors = errors_of(
            json.loads(answer.text.removeprefix("event: next\ndata: ").split("\n")[0])
        )
        if not errors or learnt(each, errors):
            told[each.query] = f"{learnt(each, errors)} {answer.text}"
    assert told == {}


async def test_no_socket_names_what_was_not_said(target: Target, asked: list[Misspelled]) -> None:
    share, told = asked if LONG else asked[::3], {}
    async with live(target.program) as socket:
        for number, each in enumerate(share):
            of = f"o{number}"
            await socket.subscribe(each.query, of, **each.variables)
            while (message := await socket.next())["id"] != of:
                pass
            if message["type"] == "next":
                await socket.next()
            errors = errors_of(message["payload"])
            if not errors or learnt(each, errors):
                told[each.query] = f"{learnt(each, errors)} {message}"
    assert told == {}


def test_a_name_that_is_told_would_be_seen() -> None:
    """So that the silence above means something."""
    wrong = Misspelled("{ viewer { emial } }")
    assert learnt(wrong, [{"message": "'emial' on type 'Viewer'"}]) == {"Viewer"}
    assert learnt(wrong, [{"message": "'emial' of 'viewer'"}]) == set()
    assert len(NAMES) > 300
