"""Sentences about tests that were not collected, for the end of a run."""

import pytest

LEFT_OUT = pytest.StashKey[list[str]]()


def say(config: pytest.Config, sentence: str) -> None:
    config.stash.setdefault(LEFT_OUT, []).append(sentence)
