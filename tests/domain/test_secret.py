"""A secret is used where it is revealed, and shown nowhere."""

import copy
import io
import json
import logging
import pickle
import traceback
from dataclasses import asdict, dataclass, replace
from typing import Any

import msgspec
import pytest
import structlog

from domain.secret import Secret, Secrets
from gateway.logs import configure
from tests.security.corpus import encoded

SAID = "correct horse battery staple"
SECRET = Secret(SAID)


@dataclass(frozen=True, slots=True, kw_only=True)
class Command:
    email: str
    password: Secret


COMMAND = Command(email="ann@example.com", password=SECRET)


def test_only_reveal_gives_it() -> None:
    assert SECRET.reveal() == SAID


def test_what_is_shown_of_it_is_stars() -> None:
    shown = [
        repr(SECRET),
        str(SECRET),
        ascii(SECRET),
        f"{SECRET} {SECRET!r:>40} {SECRET:40}",
        "{}".format(SECRET),  # noqa: UP032 - the older ways count too
        "%s" % SECRET,  # noqa: UP031
        repr(COMMAND),
        repr([SECRET, {SECRET: SECRET}]),
        str(asdict(COMMAND)),
        str(replace(COMMAND, email="")),
        json.dumps({"said": SECRET}, default=str),
        json.dumps({"said": SECRET}, default=repr),
        str(ValueError(SECRET)),
        repr(copy.copy(SECRET)) + repr(copy.deepcopy(COMMAND)),
    ]
    assert all("***" in text for text in shown)
    assert not any(word in text for word in SAID.split() for text in shown)


def test_nothing_writes_it_down_or_carries_it_away() -> None:
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps({"said": SECRET})
    for encode in (msgspec.json.encode, msgspec.msgpack.encode, msgspec.to_builtins):
        for value in (SECRET, COMMAND):
            with pytest.raises(TypeError, match="unsupported"):
                encode(value)
    for protocol in range(pickle.HIGHEST_PROTOCOL + 1):
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(SECRET, protocol)
        with pytest.raises(TypeError, match="not pickled"):
            pickle.dumps(COMMAND, protocol)
    carriers: tuple[Any, ...] = (list, bytes, vars, SAID.__add__, "".join)
    for carry in carriers:
        with pytest.raises(TypeError):
            carry(SECRET)


def _refuse(cmd: Command) -> None:
    raise ValueError(cmd, cmd.password)


def test_no_log_shows_it(capsys: pytest.CaptureFixture[str]) -> None:
    configure("debug")
    log = structlog.get_logger("dashtam.test")
    log.warning(SECRET, reason=SECRET, count=[SECRET, COMMAND], url=COMMAND, code={"a": SECRET})
    try:
        _refuse(COMMAND)
    except ValueError:
        log.exception("bug", reason=SECRET)
        logging.getLogger("library").exception("said %s", SECRET)
        told = io.StringIO(traceback.format_exc())
    shown = capsys.readouterr().err + told.getvalue()
    assert shown.count("***") >= 5
    assert not any(said in shown for said in (SAID, encoded(SAID.encode())))


def test_equal_secrets_are_equal_and_nothing_else_is() -> None:
    assert Secret(SAID) == SECRET
    assert hash(Secret(SAID)) == hash(SECRET)
    assert Secret(SAID[:-1]) != SECRET
    assert Secret("\ud800") != SECRET
    assert SECRET != SAID


def test_secrets_by_name_show_their_names_alone() -> None:
    said = {"login": "ann", "key": SAID}
    secrets = Secrets(said)
    assert repr(secrets) == str(secrets) == "{'login': ***, 'key': ***}"
    assert f"{[copy.deepcopy(secrets)]} {copy.copy(secrets)}".count("***") == 4
    assert secrets["key"] == SAID
    assert secrets == said
    with pytest.raises(TypeError, match="not JSON serializable"):
        json.dumps(secrets)
    with pytest.raises(TypeError, match="unsupported"):
        msgspec.json.encode(secrets)
    with pytest.raises(TypeError, match="not pickled"):
        pickle.dumps(secrets)
