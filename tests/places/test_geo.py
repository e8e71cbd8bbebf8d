"""Where an address is, by the operator's file, and what is said of a file that is none."""

import random
import time
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from adapters.geo import Places, PlacesError
from gateway.settings import SettingsError
from gateway.wiring.root import wire
from tests.engine.world import settings_of
from tests.places.places import GLASGOW_6, LONDON, SWISS, a_file
from tests.servers import Database


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return a_file(tmp_path / "city.mmdb")


@pytest.fixture
def places(file: Path) -> Iterator[Places]:
    with closing(Places(file)) as opened:
        yield opened


@pytest.mark.parametrize(
    ("ip", "place"),
    [
        (LONDON, "London, GB"),
        (SWISS, "CH"),
        (GLASGOW_6, "Glasgow, GB"),
        ("8.8.8.8", None),
        ("10.1.2.3", None),  # private, though the file has it
        ("127.0.0.1", None),
        ("::1", None),
        ("fe80::1", None),
        ("192.0.2.1", None),
        ("9.9.9.9", "XX"),  # its city's name is no text to show
        ("9.9.8.1", None),
        ("9.9.7.1", None),
        ("no address", None),
        ("", None),
        (None, None),
    ],
)
def test_a_place_is_a_city_and_its_country(
    places: Places, ip: str | None, place: str | None
) -> None:
    assert places.place_of(ip) == place


def test_a_look_takes_less_than_a_millisecond_and_no_memory_map(places: Places, file: Path) -> None:
    began = time.perf_counter()
    for _ in range(100):
        places.place_of(LONDON)
    assert (time.perf_counter() - began) / 100 < 0.001
    assert str(file) not in Path("/proc/self/maps").read_text()


def test_a_file_that_is_copied_over_while_it_is_read_ends_nobody(
    places: Places, file: Path
) -> None:
    file.write_bytes(b"")
    assert places.place_of(LONDON) is None
    file.write_bytes(bytes(100_000))
    assert places.place_of(LONDON) is None


def test_no_broken_file_brings_more_than_a_refusal(file: Path) -> None:
    """Cut anywhere, and with any byte turned: it is refused, or tells nothing untrue to type."""
    whole, dice = file.read_bytes(), random.Random(20261122)
    refused = 0
    for _ in range(300):
        broken = bytearray(whole)
        if dice.random() < 0.5:
            del broken[dice.randrange(len(broken)) :]
        for _ in range(dice.choice((0, 1, 20))):
            if broken:
                broken[dice.randrange(len(broken))] = dice.randrange(256)
        file.write_bytes(broken)
        try:
            with closing(Places(file)) as places:
                found = places.place_of(LONDON)
        except PlacesError:
            refused += 1
        else:
            assert found is None or (found.isprintable() and len(found) <= 84)
    assert refused > 100


@pytest.mark.parametrize(
    ("content", "reason"),
    [
        (None, "cannot be read: No such file or directory"),
        (b"", "is empty"),
        (b"<html>login</html>", "is no MaxMind file, or a broken one"),
    ],
)
async def test_a_file_that_is_none_stops_the_start_with_one_sentence(
    database: Database, tmp_path: Path, content: bytes | None, reason: str
) -> None:
    file = tmp_path / "city.mmdb"
    if content is not None:
        file.write_bytes(content)
    settings = settings_of(database, tmp_path, DASHTAM_GEOIP_DB=str(file))
    with pytest.raises(SettingsError) as refusal:
        async with wire(settings):
            pass
    assert str(refusal.value) == f"DASHTAM_GEOIP_DB {reason}: give a GeoLite2 City file."


def test_a_file_of_something_else_is_refused(tmp_path: Path) -> None:
    with pytest.raises(PlacesError, match="tells no cities or countries: it is a GeoLite2-ASN"):
        Places(a_file(tmp_path / "asn.mmdb", kind="GeoLite2-ASN"))
