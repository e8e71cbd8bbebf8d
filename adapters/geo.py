"""Where an address is, by a MaxMind file that the operator brings."""

from ipaddress import ip_address
from pathlib import Path
from typing import Any

import maxminddb

NAME_MAX, CODE_MAX = 80, 2  # characters of a city's name, and of a country's code
LOOKED_AT = 10  # entries, at the start
# What the reader raises where the bytes are not what they should be.
BROKEN = (
    maxminddb.InvalidDatabaseError,
    ArithmeticError,
    LookupError,
    RecursionError,
    TypeError,
    ValueError,
)


class PlacesError(Exception):
    """The file cannot be used: one sentence that says why."""


class Places:
    """A file of GeoLite2 City's form, or Country's.

    It is read by `pread`, not mapped: an operator who copies a newer file over it must not end
    the process, and a look is rare.
    """

    def __init__(self, path: Path) -> None:
        """Raises: PlacesError."""
        try:
            if path.stat().st_size == 0:
                raise PlacesError("is empty")
            self._reader = maxminddb.open_database(path, maxminddb.MODE_FILE)
        except OSError as error:
            raise PlacesError(f"cannot be read: {error.strerror or error}") from error
        except BROKEN as error:
            raise PlacesError("is no MaxMind file, or a broken one") from error
        try:
            self._check()
        except PlacesError:
            self.close()
            raise

    def _check(self) -> None:
        """Raises: PlacesError."""
        kind = str(self._reader.metadata().database_type)
        if "City" not in kind and "Country" not in kind:
            raise PlacesError(f"tells no cities or countries: it is a {kind[:80]} file")
        try:
            for _ in zip(range(LOOKED_AT), self._reader, strict=False):
                pass  # a file that was cut off shows it here
        except (OSError, *BROKEN) as error:
            raise PlacesError("is a broken MaxMind file") from error

    def close(self) -> None:
        self._reader.close()

    def place_of(self, ip: str | None) -> str | None:
        """As "City, CC" or "CC"; None for private and reserved addresses, and unknown ones."""
        try:
            if ip is None or not ip_address(ip).is_global:
                return None
            return _words(self._reader.get(ip))
        except (OSError, *BROKEN):  # it was replaced under us by another, or by half of one
            return None


def _words(record: Any) -> str | None:
    country, city = _text(record, "country", "iso_code"), _text(record, "city", "names", "en")
    if country is None or len(country) > CODE_MAX:
        return None
    return country if city is None else f"{city[:NAME_MAX]}, {country}"


def _text(record: Any, *path: str) -> str | None:
    """What can be shown at the end of the path."""
    for name in path:
        record = record.get(name) if isinstance(record, dict) else None
    return record if isinstance(record, str) and record.isprintable() else None
