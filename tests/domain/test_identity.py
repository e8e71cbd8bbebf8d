from datetime import UTC, datetime

import pytest

from domain.errors import InvalidInput
from domain.identity import known_time_zone
from tests.schema.builders import a_user


@pytest.mark.parametrize("name", ["Pacific/Apia", "Asia/Kathmandu", "UTC", "EST5EDT"])
def test_an_iana_time_zone_is_taken_by_its_name(name: str) -> None:
    assert known_time_zone(name) == name


@pytest.mark.parametrize(
    "name", ["localtime", "europe/berlin", "+01:00", "../UTC", "posixrules", ""]
)
def test_what_only_this_machine_knows_or_nobody_is_no_time_zone(name: str) -> None:
    with pytest.raises(InvalidInput, match="IANA"):
        known_time_zone(name)


def test_a_persons_day_begins_where_they_live() -> None:
    at = datetime(2026, 11, 21, 18, 14, 59, tzinfo=UTC)
    days = {zone: a_user(time_zone=zone).today(at).day for zone in ("UTC", "Asia/Kathmandu")}
    assert days == {"UTC": 21, "Asia/Kathmandu": 21}
    assert a_user(time_zone="Asia/Kathmandu").today(at.replace(minute=15)).day == 22
