"""What the doctor says of the machine."""

import os
from pathlib import Path

from gateway.doctor.machine import embedded, folder, page, places, space, zones
from gateway.settings import Mode, Settings
from tests.places.places import a_file


def test_a_folder_of_somebody_else_is_named_with_who_that_is(tmp_path: Path) -> None:
    found = folder(tmp_path, user=tmp_path.stat().st_uid + 7)

    assert found.what == f"{tmp_path} belongs to user {tmp_path.stat().st_uid}"
    assert found.is_bad
    assert not folder(tmp_path, user=os.geteuid()).is_bad


def test_a_folder_that_cannot_be_written_is_named_and_a_new_one_may_be_made(
    tmp_path: Path,
) -> None:
    assert folder(Path("/proc/dashtam"), user=os.geteuid()).is_bad
    assert not folder(tmp_path / "new" / "newer", user=os.geteuid()).is_bad
    assert list(tmp_path.iterdir()) == []


def test_a_full_disk_is_named(tmp_path: Path) -> None:
    found = space(tmp_path / "new", wanted=2**62)

    assert found.mend == "make room: PostgreSQL stops where the disk is full"
    assert not space(tmp_path, wanted=1).is_bad


def test_a_python_without_time_zones_is_told_where_they_are() -> None:
    assert zones(("Mars/Olympus",)).mend == (
        "Python finds no time zones: install the package tzdata."
    )
    assert not zones().is_bad


def test_a_plain_page_in_the_place_of_graphiql_is_a_note(tmp_path: Path) -> None:
    shown = Settings(mode=Mode.DEVELOPMENT, graphiql=True)
    [plain] = page(shown, tmp_path)
    (tmp_path / "index.html").touch()
    [built] = page(shown, tmp_path)

    assert (plain.word, built.word) == ("note", "ok")
    assert "Node.js" in (plain.mend or "")
    assert list(page(Settings(graphiql=False), tmp_path)) == []


def test_a_file_of_cities_that_would_keep_the_gateway_from_starting_is_named(
    tmp_path: Path,
) -> None:
    [gone] = places(Settings(geoip_db=tmp_path / "none.mmdb"))
    [good] = places(Settings(geoip_db=a_file(tmp_path / "city.mmdb")))

    assert gone.what == "DASHTAM_GEOIP_DB cannot be read: No such file or directory"
    assert gone.is_bad
    assert good.word == "ok"
    assert list(places(Settings(geoip_db=None))) == []


def test_a_database_of_another_version_or_of_none_is_named_and_only_that(tmp_path: Path) -> None:
    version = tmp_path / "postgres" / "pgdata" / "PG_VERSION"
    version.parent.mkdir(parents=True)
    version.write_text("99\n")
    [newer] = [f for f in embedded(tmp_path) if f.is_bad]
    version.write_text("torn")
    [torn] = [f for f in embedded(tmp_path) if f.is_bad]

    assert "was made by the newer PostgreSQL 99" in (newer.mend or "")
    assert "put the data directory back from a backup" in (torn.mend or "").lower()
