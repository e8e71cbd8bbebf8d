"""The European Central Bank's files of reference rates, as it serves them."""

import io
import zipfile
from collections.abc import Mapping, Sequence
from datetime import date

from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Route

from tests.providers.simulators.base import Simulator

DAILY, NINETY_DAYS = (
    "/stats/eurofxref/eurofxref-daily.xml",
    "/stats/eurofxref/eurofxref-hist-90d.xml",
)
ALL = "/stats/eurofxref/eurofxref-hist.zip"
Days = Mapping[date, Mapping[str, str]]


def as_xml(days: Days) -> bytes:
    """The newest first, with the quotes and the namespaces that it has."""
    cubes = "".join(
        f"<Cube time='{day}'>\n"
        + "".join(f"\t<Cube currency='{c}' rate='{r}'/>\n" for c, r in rates.items())
        + "</Cube>"
        for day, rates in sorted(days.items(), reverse=True)
    )
    return f"""<?xml version="1.0" encoding="UTF-8"?>
<gesmes:Envelope xmlns:gesmes="http://www.gesmes.org/xml/2002-08-01" xmlns="http://www.ecb.int/vocabulary/2002-08-01/eurofxref">
	<gesmes:subject>Reference rates</gesmes:subject>
	<gesmes:Sender><gesmes:name>European Central Bank</gesmes:name></gesmes:Sender>
	<Cube>{cubes}</Cube>
</gesmes:Envelope>""".encode()


def as_csv(days: Days) -> bytes:
    """Every row ends in a comma, and what was not quoted is N/A."""
    codes = list(dict.fromkeys(code for rates in days.values() for code in rates))
    rows = [["Date", *codes, ""]]
    rows += [
        [str(day), *(rates.get(code, "N/A") for code in codes), ""]
        for day, rates in sorted(days.items(), reverse=True)
    ]
    return "".join(",".join(row) + "\n" for row in rows).encode()


def zipped(content: bytes, name: str = "eurofxref-hist.csv") -> bytes:
    packed = io.BytesIO()
    with zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr(name, content)
    return packed.getvalue()


class Ecb(Simulator):
    days: dict[date, dict[str, str]]

    def __post_init__(self) -> None:
        super().__post_init__()
        self.days = {}

    def routes(self) -> Sequence[BaseRoute]:
        async def daily(_: Request) -> Response:
            newest = max(self.days)
            return Response(as_xml({newest: self.days[newest]}), media_type="text/xml")

        async def ninety_days(_: Request) -> Response:
            return Response(as_xml(self.days), media_type="text/xml")

        async def all_of_them(_: Request) -> Response:
            return Response(zipped(as_csv(self.days)), media_type="application/zip")

        return [Route(DAILY, daily), Route(NINETY_DAYS, ninety_days), Route(ALL, all_of_them)]
