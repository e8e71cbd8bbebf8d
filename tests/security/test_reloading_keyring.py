"""A process goes on while others rotate the keys of its file."""

import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from structlog.testing import capture_logs

from adapters.security.keyring import LINGER_S, TAKEN_UP_S, Keyring
from adapters.security.reloading_keyring import LOOK_EVERY_S, ReloadingKeyring
from adapters.security.tokens import AccessTokens, InvalidToken
from adapters.security.vault import UnknownKey, Vault
from domain.sealing import Place, bound_to
from tests.security.test_keyring import aged

HERE = bound_to(Place.CREDENTIALS, uuid4(), uuid4(), version=1)


@dataclass(slots=True)
class Clock:
    at: float = 100.0

    def __call__(self) -> float:
        return self.at


@pytest.fixture
def path(tmp_path: Path) -> Path:
    Keyring.create(tmp_path / "keyring.json")
    return tmp_path / "keyring.json"


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def file(path: Path, clock: Clock) -> ReloadingKeyring:
    return ReloadingKeyring(path, Keyring.load(path), clock=clock)


def tokens_of(file: ReloadingKeyring | Keyring) -> AccessTokens:
    return AccessTokens(file, issuer="https://dashtam.example", audience="dashtam-api")


def issued(tokens: AccessTokens) -> str:
    now = datetime.now(UTC)
    return tokens.issue(user_id=uuid4(), session_id=uuid4(), version=0, generation=0, now=now)


def test_a_vault_opens_what_was_sealed_with_a_key_that_came_later(
    path: Path, file: ReloadingKeyring, clock: Clock
) -> None:
    vault = Vault(file)
    before = vault.seal(b"before", context=HERE)
    Keyring.rotate(path)
    after = Vault(aged(path, TAKEN_UP_S)).seal(b"after", context=HERE)
    clock.at += LOOK_EVERY_S

    assert vault.open(after, context=HERE) == b"after"
    assert vault.open(before, context=HERE) == b"before"
    assert vault.seal(b"new", context=HERE).startswith(vault.header)
    assert after.startswith(vault.header)
    assert vault.rewrap(before, context=HERE).startswith(vault.header)


def test_a_gateway_reads_tokens_of_a_key_that_came_later_and_signs_with_it(
    path: Path, file: ReloadingKeyring, clock: Clock
) -> None:
    tokens = tokens_of(file)
    old = issued(tokens)
    Keyring.rotate(path)
    assert issued(tokens).split(".")[0] == old.split(".")[0]  # known, and not yet in use
    new = issued(tokens_of(aged(path, TAKEN_UP_S)))
    clock.at += LOOK_EVERY_S

    for token in (new, old):
        tokens.read(token, now=datetime.now(UTC))
    assert issued(tokens).split(".")[0] == new.split(".")[0] != old.split(".")[0]


def test_whoever_looks_once_a_second_knows_a_key_before_anyone_uses_it() -> None:
    assert TAKEN_UP_S - 1 >= 2 * LOOK_EVERY_S  # `since` is in whole seconds


def test_a_key_that_was_removed_is_forgotten_within_a_second(
    path: Path, file: ReloadingKeyring, clock: Clock
) -> None:
    vault, tokens = Vault(file), tokens_of(file)
    sealed, token = vault.seal(b"old", context=HERE), issued(tokens)
    Keyring.rotate(path)
    aged(path, LINGER_S + TAKEN_UP_S)
    Keyring.prune(path, unused={file.current().sealing[0].id}, now=time.time())
    clock.at += LOOK_EVERY_S

    with pytest.raises(UnknownKey):
        vault.open(sealed, context=HERE)
    with pytest.raises(InvalidToken):
        tokens.read(token, now=datetime.now(UTC))


def test_a_flood_of_invented_key_ids_does_not_touch_the_file(path: Path, clock: Clock) -> None:
    looked: list[Path] = []

    class Watched(type(path)):  # type: ignore[misc]
        def stat(self, **said: bool) -> object:
            looked.append(self)
            return super().stat(**said)

    keyring = Keyring.load(path)
    tokens = tokens_of(ReloadingKeyring(Watched(path), keyring, clock=clock))
    flood = [f"header{n}.claims.signature" for n in range(10_000)]
    began = time.process_time()
    refused = sum(_is_refused(tokens, token) for token in flood)
    spent = time.process_time() - began
    assert refused == 10_000
    assert len(looked) <= 1
    assert spent / 10_000 < 50e-6


def test_a_file_that_cannot_be_read_for_a_while_changes_nothing(
    path: Path, file: ReloadingKeyring, clock: Clock
) -> None:
    keyring, text = file.current(), path.read_text()
    for broken in ("", text[:-20], "{}"):
        path.write_text(broken)
        clock.at += LOOK_EVERY_S
        with capture_logs() as logs:
            assert file.current() == keyring
        assert [line["event"] for line in logs] == ["keys.unreadable"]
        assert not _told(logs, text)
    path.unlink()
    clock.at += LOOK_EVERY_S
    assert file.current() == keyring
    path.write_text(text)
    path.chmod(0o600)
    Keyring.rotate(path)
    clock.at += LOOK_EVERY_S
    assert len(file.current().sealing) == 2


def test_another_keyring_in_its_place_is_not_taken_for_a_later_one(
    path: Path, file: ReloadingKeyring, clock: Clock
) -> None:
    keyring = file.current()
    path.unlink()
    Keyring.create(path)
    clock.at += LOOK_EVERY_S
    with capture_logs() as logs:
        assert file.current() == keyring
    assert [line["event"] for line in logs] == ["keys.of_another_keyring"]


def _is_refused(tokens: AccessTokens, token: str) -> bool:
    try:
        tokens.read(token, now=datetime.now(UTC))
    except InvalidToken:
        return True
    return False


def _told(logs: Sequence[object], text: str) -> bool:
    document = json.loads(text)
    secrets = [key["key"] for key in (*document["sealing"], *document["signing"])]
    return any(secret in str(logs) for secret in (*secrets, document["mac"]))
