""".env.example: every setting, no other, each with its real default."""

import re
from dataclasses import Field, fields
from typing import Any

from gateway.settings import LimitFigures, Settings
from tests.containers.compose import EXAMPLE, commented, example

LEAST = {
    "DASHTAM_DATABASE_URL": "postgresql://dashtam_app:hunter2@host/dashtam",
    "DASHTAM_KEYRING": "/keys/keyring.json",
}


def every_setting() -> dict[str, Field[Any]]:
    ours = {f"DASHTAM_{f.name.upper()}": f for f in fields(Settings) if "parse" in f.metadata}
    return ours | {f"DASHTAM_LIMIT_{f.name.upper()}": f for f in fields(LimitFigures)}


def in_the_example() -> dict[str, str]:
    both = commented() | example()
    return {name: text for name, text in both.items() if name.startswith("DASHTAM_")}


def test_it_has_every_setting_and_no_other() -> None:
    assert sorted(in_the_example()) == sorted(every_setting())


def test_each_default_is_the_real_one() -> None:
    for name, text in in_the_example().items():
        setting = every_setting()[name]
        if text:
            assert setting.metadata["parse"](text) == setting.default, name
        else:
            assert setting.default in {None, "", ()}, name


def test_uncommenting_all_of_it_changes_nothing() -> None:
    given = {name: text for name, text in in_the_example().items() if text}

    assert Settings.read(given | LEAST) == Settings.read(LEAST)


def test_what_differs_in_development_is_said_where_it_stands() -> None:
    text = EXAMPLE.read_text()
    for name, setting in every_setting().items():
        above = text.partition(f"#{name}=")[0].rpartition("=")[2]
        if setting.metadata["develop"] is not None:
            assert "In development" in above, name


def test_every_line_has_its_words_before_it_and_fits() -> None:
    blocks = EXAMPLE.read_text().split("\n\n")

    for block in blocks:
        assert block.startswith("# ")
        assert all(len(line) <= 100 for line in block.splitlines())
        # A setting, or a few of a kind, under one line or two of explanation.
        assert not re.search(r"(?:^#\w+=.*\n){10}", block, re.MULTILINE)


def test_only_the_passwords_of_containers_are_left_to_be_given() -> None:
    assert set(example()) == {
        "POSTGRES_PASSWORD",
        "OWNER_PASSWORD",
        "APP_PASSWORD",
        "REDIS_PASSWORD",
    }
    assert set(example().values()) == {""}
