"""Leaves the comparisons with shared descriptions out where these are absent, and says so."""

from pathlib import Path

import pytest

from tests import left_out

FIXTURES = Path(__file__).parents[2].parent / "shared/fixtures"
NEEDS = {
    "test_plaid_description.py": "plaid",
    "test_alpaca_description.py": "alpaca",
    "test_simplefin_fixtures.py": "simplefin",
}

collect_ignore = [test for test, folder in NEEDS.items() if not (FIXTURES / folder).is_dir()]


def pytest_configure(config: pytest.Config) -> None:
    for test in collect_ignore:
        left_out.say(config, f"no {test}: ../shared/fixtures/{NEEDS[test]} is absent")
