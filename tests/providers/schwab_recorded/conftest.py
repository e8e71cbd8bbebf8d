"""Leaves the cases of shared fixtures out where the folder is absent, and says so."""

from pathlib import Path

import pytest

from tests import left_out

FOLDER = Path(__file__).parents[3].parent / "shared/fixtures/schwab"

collect_ignore = [] if FOLDER.is_dir() else ["test_recorded.py", "test_description.py"]


def pytest_configure(config: pytest.Config) -> None:
    if not FOLDER.is_dir():
        left_out.say(config, "no Schwab fixtures: ../shared/fixtures/schwab is absent")
