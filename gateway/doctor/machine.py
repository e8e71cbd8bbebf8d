"""What the machine gives: Python, time zones, the embedded database's folder, and files."""

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from adapters.geo import Places, PlacesError
from gateway.doctor.finding import Finding
from gateway.embedded import EmbeddedError
from gateway.embedded.binaries import choose
from gateway.routes.graphiql import BUILT
from gateway.settings import Settings

FREE_BYTES_MIN = 500 * 2**20
ZONES = ("America/New_York", "Europe/Berlin", "Asia/Tokyo")


def python() -> Finding:
    return Finding(f"Python {sys.version.split()[0]}")


def zones(names: tuple[str, ...] = ZONES) -> Finding:
    """Days are days of the viewer's time zone."""
    try:
        for name in names:
            ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        return Finding("time zones", "Python finds no time zones: install the package tzdata.")
    return Finding("time zones are known")


def embedded(data_dir: Path) -> Iterator[Finding]:
    """Whether the embedded server could start; the first that is bad is the last."""
    for finding in (folder(data_dir, os.geteuid()), space(data_dir), _server(data_dir)):
        yield finding
        if finding.is_bad:
            return


def folder(data_dir: Path, user: int) -> Finding:
    """Whether `user` may use the data directory, which may have to be made."""
    place = next(p for p in (data_dir.resolve(), *data_dir.resolve().parents) if p.exists())
    if place == data_dir.resolve() and user not in {0, place.stat().st_uid}:
        return Finding(
            f"{data_dir} belongs to user {place.stat().st_uid}",
            "run as that user, or chown it, or choose another with --data-dir",
        )
    try:
        with tempfile.TemporaryFile(dir=place):
            pass
    except OSError as error:
        return Finding(
            f"{data_dir} cannot be written",
            f"{error.strerror}: mend that, or choose another with --data-dir",
        )
    return Finding(f"{data_dir} can be written")


def space(data_dir: Path, wanted: int = FREE_BYTES_MIN) -> Finding:
    place = next(p for p in (data_dir.resolve(), *data_dir.resolve().parents) if p.exists())
    free = shutil.disk_usage(place).free
    short = free < wanted
    return Finding(
        f"{free // 2**20} MiB free for {data_dir}",
        "make room: PostgreSQL stops where the disk is full" if short else None,
    )


def _server(data_dir: Path) -> Finding:
    try:
        found = choose(data_dir / "postgres" / "pgdata")
    except EmbeddedError as error:
        return Finding("embedded PostgreSQL", str(error))
    return Finding(f"embedded PostgreSQL from {found.bin}")


def page(settings: Settings, built: Path = BUILT) -> Iterator[Finding]:
    """/graphiql works either way."""
    if not settings.graphiql:
        return
    if (built / "index.html").is_file():
        yield Finding("/graphiql is GraphiQL")
        return
    yield Finding(
        "/graphiql is a plain page",
        "for GraphiQL install Node.js 20.19 or newer with npm, then run ./dashtam up",
        stops=False,
    )


def places(settings: Settings) -> Iterator[Finding]:
    """`serve` starts with no other."""
    if settings.geoip_db is None:
        return
    try:
        Places(settings.geoip_db).close()
    except PlacesError as error:
        yield Finding(f"DASHTAM_GEOIP_DB {error}", "give a GeoLite2 City file, or none")
    else:
        yield Finding("sessions say from which city")
