import json
import os
import stat
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from adapters.security.keyring import (
    LINGER_S,
    TAKEN_UP_S,
    Keyring,
    KeyringError,
    KeyringExists,
    KeyringExposed,
    KeyringMalformed,
    KeyringMissing,
    KeyringTooNew,
)
from adapters.security.tokens import SKEW_S_MAX
from domain.identity import ACCESS_LIFETIME


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "keys" / "keyring.json"


def edited(path: Path, **members: Any) -> Path:
    document = {**json.loads(path.read_text()), **members}
    path.write_text(json.dumps({k: v for k, v in document.items() if v is not ...}))
    return path


def test_what_was_created_is_loaded(path: Path) -> None:
    created = Keyring.create(path)
    assert Keyring.load(path) == created
    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert [p.name for p in path.parent.iterdir()] == ["keyring.json"]


def test_no_two_keyrings_share_a_key(path: Path) -> None:
    one, other = Keyring.create(path), Keyring.new()
    assert one.sealing[0].key != other.sealing[0].key
    assert one.signing[0].seed != other.signing[0].seed
    assert one.mac != other.mac
    assert len({one.sealing[0].key, one.signing[0].seed, one.mac}) == 3


def test_a_keyring_is_never_overwritten(path: Path) -> None:
    created = Keyring.create(path)
    with pytest.raises(KeyringExists, match="move it away"):
        Keyring.create(path)
    assert Keyring.load(path) == created
    assert [p.name for p in path.parent.iterdir()] == ["keyring.json"]


def test_a_file_that_is_no_keyring_is_not_overwritten_either(tmp_path: Path) -> None:
    path = tmp_path / "keyring.json"
    path.write_text("the only copy of something else")
    path.chmod(0o600)
    with pytest.raises(KeyringExists):
        Keyring.create(path)
    with pytest.raises(KeyringMalformed):
        Keyring.load_or_create(path)
    assert path.read_text() == "the only copy of something else"


def test_processes_that_race_for_the_first_start_get_the_same_keys(path: Path) -> None:
    with ThreadPoolExecutor(8) as threads:
        keyrings = list(threads.map(lambda _: Keyring.load_or_create(path), range(32)))
    assert all(keyring == keyrings[0] for keyring in keyrings)
    assert Keyring.load(path) == keyrings[0]


def test_no_text_of_a_keyring_shows_a_key(path: Path) -> None:
    keyring = Keyring.create(path)
    document = json.loads(path.read_text())
    texts = [
        document["mac"],
        document["sealing"][0]["key"],
        document["signing"][0]["key"],
        repr(keyring.mac)[2:-1],
        repr(keyring.sealing[0].key)[2:-1],
        repr(keyring.signing[0].seed)[2:-1],
        keyring.mac.hex(),
    ]
    for shown in (repr(keyring), str(keyring), f"{keyring}", repr(keyring.sealing)):
        assert not any(text in shown for text in texts)


def test_a_missing_keyring_says_which_setting_names_it(path: Path) -> None:
    with pytest.raises(KeyringMissing, match="DASHTAM_KEYRING"):
        Keyring.load(path)


@pytest.mark.parametrize("mode", [0o640, 0o604, 0o660, 0o644, 0o610])
def test_a_keyring_that_others_may_use_is_refused(path: Path, mode: int) -> None:
    Keyring.create(path)
    path.chmod(mode)
    with pytest.raises(KeyringExposed, match="chmod 600"):
        Keyring.load(path)
    path.chmod(0o400)
    Keyring.load(path)


def test_a_later_version_is_told_apart_from_a_broken_file(path: Path) -> None:
    Keyring.create(path)
    with pytest.raises(KeyringTooNew, match="update the program"):
        Keyring.load(edited(path, version=2))


@pytest.mark.parametrize(
    ("members", "names"),
    [
        ({"version": ...}, "version"),
        ({"version": "1"}, "version"),
        ({"mac": ...}, "mac"),
        ({"mac": "c2hvcnQ"}, "mac"),
        ({"mac": "!" * 43}, "mac"),
        ({"mac": 7}, "mac"),
        ({"sealing": ...}, "sealing"),
        ({"sealing": []}, "sealing"),
        ({"sealing": {}}, "sealing"),
        ({"sealing": [7]}, r"sealing\[0\]"),
        ({"sealing": [{"id": "a", "key": "A" * 42}]}, r"sealing\[0\].key"),
        ({"sealing": [{"id": "a", "key": "A" * 43, "since": "now"}]}, r"sealing\[0\].since"),
        ({"sealing": [{"id": "a", "key": "A" * 43, "since": -1}]}, r"sealing\[0\].since"),
        ({"sealing": [{"id": "", "key": "A" * 43}]}, r"sealing\[0\]"),
        ({"sealing": [{"id": "é", "key": "A" * 43}]}, r"sealing\[0\]"),
        ({"sealing": [{"id": "a" * 65, "key": "A" * 43}]}, r"sealing\[0\]"),
        ({"sealing": [{"id": "a", "key": "A" * 43}] * 2}, r"sealing\[1\]"),
        ({"signing": [{"id": "a", "key": "A" * 43}]}, r"signing\[0\]"),
    ],
)
def test_what_is_wrong_with_a_keyring_is_named_and_its_values_are_not(
    path: Path, members: dict[str, Any], names: str
) -> None:
    Keyring.create(path)
    with pytest.raises(KeyringMalformed, match=names) as caught:
        Keyring.load(edited(path, **members))
    assert "AAAA" not in str(caught.value)
    assert caught.value.__cause__ is None


@pytest.mark.parametrize("text", ["", "{", "null", "[]", "\0", "[" * 100_000, " " * 1_000_001])
def test_a_file_that_was_cut_is_malformed(tmp_path: Path, text: str) -> None:
    path = tmp_path / "keyring.json"
    path.write_text(text)
    path.chmod(0o600)
    with pytest.raises(KeyringMalformed, match="restore it from a backup"):
        Keyring.load(path)


def test_a_folder_or_a_pipe_is_no_keyring_and_nobody_waits_for_it(tmp_path: Path) -> None:
    tmp_path.chmod(0o700)
    with pytest.raises(KeyringError):
        Keyring.load(tmp_path)
    os.mkfifo(tmp_path / "pipe", 0o600)
    with pytest.raises(KeyringMalformed):
        Keyring.load(tmp_path / "pipe")


def test_a_folder_that_cannot_be_made_is_explained(tmp_path: Path) -> None:
    (tmp_path / "file").write_text("")
    with pytest.raises(KeyringError, match="check the folder"):
        Keyring.create(tmp_path / "file" / "keyring.json")


def test_rotation_puts_new_keys_first_and_keeps_the_old_and_the_mac(path: Path) -> None:
    old = Keyring.create(path)
    new = Keyring.rotate(path)
    assert Keyring.load(path) == new
    assert new.sealing[1:] == old.sealing
    assert new.signing[1:] == old.signing
    assert new.mac == old.mac
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_new_keys_are_in_use_once_every_process_has_had_time_to_read_them(path: Path) -> None:
    old = Keyring.create(path)
    new = Keyring.rotate(path)
    assert 0 < new.sealing[0].since - time.time() <= TAKEN_UP_S
    assert (new.sealing_now, new.signing_now) == (old.sealing[0], old.signing[0])
    later = aged(path, TAKEN_UP_S)
    assert (later.sealing_now, later.signing_now) == (later.sealing[0], later.signing[0])


def test_a_rotation_that_is_under_way_is_gone_on_with(path: Path) -> None:
    Keyring.create(path)
    begun = Keyring.rotate(path)
    assert begun.rotating
    assert Keyring.rotate(path) == begun == Keyring.load(path)
    assert not Keyring.rotated(path).rotating
    assert Keyring.rotate(path).sealing[1:] == begun.sealing


def test_rotations_that_overlap_are_one_and_lose_no_key(path: Path) -> None:
    old = Keyring.create(path)
    with ThreadPoolExecutor(8) as threads:
        rotated = list(threads.map(lambda _: Keyring.rotate(path), range(16)))
    assert set(rotated) == {Keyring.load(path)}
    assert rotated[0].sealing[1:] == old.sealing


def test_old_keys_stay_until_nothing_that_they_made_is_left(path: Path) -> None:
    old = Keyring.create(path)
    Keyring.rotate(path)
    used = {old.sealing[0].id}
    assert len(Keyring.prune(path, unused=used, now=time.time()).sealing) == 2  # just now in use
    aged(path, LINGER_S + TAKEN_UP_S)
    kept = Keyring.prune(path, unused=set(), now=time.time())
    assert (len(kept.sealing), len(kept.signing)) == (2, 1)  # something lies under the old one
    gone = Keyring.prune(path, unused=used | {kept.sealing[0].id}, now=time.time())
    assert gone.sealing == kept.sealing[:1]  # the one in use is never unused
    assert Keyring.load(path) == gone
    assert gone.mac == old.mac


def test_a_signing_key_outlives_every_token_that_it_signed() -> None:
    assert ACCESS_LIFETIME.total_seconds() + SKEW_S_MAX + TAKEN_UP_S <= LINGER_S


def test_what_a_change_that_was_killed_left_behind_is_removed(path: Path) -> None:
    Keyring.create(path)
    (path.parent / ".keyring.json.0123456789abcdef").write_text("half of the keys")
    Keyring.rotate(path)
    assert [p.name for p in path.parent.iterdir()] == ["keyring.json"]


def test_a_keyring_of_the_release_before_has_keys_in_use_and_no_rotation(path: Path) -> None:
    made = Keyring.create(path)
    document = json.loads(path.read_text())
    for key in (*document["sealing"], *document["signing"]):
        del key["since"]
    del document["rotating"]
    path.write_text(json.dumps(document))
    assert Keyring.load(path) == made
    assert made.sealing_now == made.sealing[0]


def aged(path: Path, by_s: float) -> Keyring:
    """The same keyring, so much later."""
    document = json.loads(path.read_text())
    for key in (*document["sealing"], *document["signing"]):
        key["since"] = max(0, key["since"] - int(by_s))
    path.write_text(json.dumps(document))
    return Keyring.load(path)


def test_each_purpose_has_a_key_of_its_own() -> None:
    keyring = Keyring.new()
    assert keyring.purpose_key("a") == keyring.purpose_key("a")
    assert len({keyring.purpose_key("a"), keyring.purpose_key("b"), keyring.mac}) == 3
