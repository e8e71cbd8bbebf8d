"""Leaves the cases of shared fixtures out where the folder is absent, and says so."""

from pathlib import Path

import pytest

from tests import left_out

FOLDER = Path(__file__).parents[2].parent / "shared/fixtures/ofx-ofxparse/tests/fixtures"

collect_ignore = [] if FOLDER.is_dir() else ["test_fixtures.py"]


def pytest_configure(config: pytest.Config) -> None:
    if not FOLDER.is_dir():
        left_out.say(config, "no OFX fixtures: ../shared/fixtures/ofx-ofxparse is absent")
