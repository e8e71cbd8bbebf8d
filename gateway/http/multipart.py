"""Uploads: the GraphQL multipart request specification, read as it streams in.

https://github.com/jaydenseric/graphql-multipart-request-spec: a part `operations` (the JSON
request with null where files go), a part `map` (which file goes where), then the files.
"""

from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from typing import Any

from python_multipart.exceptions import FormParserError
from python_multipart.multipart import MultipartParser, parse_options_header

from gateway.operations import strict_json
from gateway.operations.faults import Fault, bad_request, bad_text
from gateway.operations.parameters import from_json

FILES_MAX = 5
TARGETS_MAX = 20
MAP_MAX = 16 << 10
STEPS_MAX = 16


@dataclass(frozen=True, slots=True)
class Upload:
    """One file as the client named and described it; neither is to be believed."""

    filename: str
    content_type: str
    content: bytes = field(repr=False)


async def read(
    chunks: AsyncIterator[bytes], content_type: str, *, operations_max: int
) -> dict[str, Any]:
    """The request's JSON object with an `Upload` at each place that `map` names.

    `chunks` is capped by whoever reads the body; `operations_max` is in bytes.

    Raises: Fault 400, 413.
    """
    form = _Form(operations_max)
    try:
        boundary = parse_options_header(content_type)[1].get(b"boundary")
        if not boundary:
            raise bad_request("the form has no boundary")
        parser = MultipartParser(
            boundary,
            {
                "on_part_begin": form.part_begins,
                "on_part_data": form.part_data,
                "on_part_end": form.part_ends,
                "on_header_field": form.header_field,
                "on_header_value": form.header_value,
                "on_header_end": form.header_ends,
                "on_headers_finished": form.headers_end,
                "on_end": form.ends,
            },
        )
        async for chunk in chunks:
            parser.write(chunk)
    except (FormParserError, UnicodeError):
        raise bad_request("the form is malformed") from None
    return form.request()


class _Form:
    """What was read so far; the parser calls it as bytes come in, and any call may refuse."""

    def __init__(self, operations_max: int) -> None:
        self._caps = {"operations": operations_max, "map": MAP_MAX}
        self._operations: dict[str, Any] | None = None
        self._targets: dict[str, list[str]] | None = None
        self._files: dict[str, Upload] = {}
        self._complete = False
        self.part_begins()

    def part_begins(self) -> None:
        self._headers: dict[bytes, bytes] = {}
        self._header, self._value = bytearray(), bytearray()
        self._name, self._data = "", bytearray()
        self._filename: str | None = None

    def header_field(self, data: bytes, start: int, end: int) -> None:
        self._header += data[start:end]

    def header_value(self, data: bytes, start: int, end: int) -> None:
        self._value += data[start:end]

    def header_ends(self) -> None:
        self._headers[bytes(self._header).lower()] = bytes(self._value)
        self._header, self._value = bytearray(), bytearray()

    def headers_end(self) -> None:
        """Decides, before any of its bytes are kept, whether the part has a place here."""
        disposition, options = parse_options_header(self._headers.get(b"content-disposition"))
        if disposition != b"form-data" or b"name" not in options:
            raise bad_request("a part of the form has no name")
        self._name = options[b"name"].decode("utf-8")
        self._filename = options[b"filename"].decode("utf-8") if b"filename" in options else None
        if self._name in self._caps:
            return
        if self._targets is None:
            raise bad_request("operations and map come before the files")
        if self._name not in self._targets:
            raise bad_request("the form has a file that map does not name")
        if self._name in self._files:
            raise bad_request("the form has a file twice")
        if self._filename is None:
            raise bad_request("a file has no filename")
        if not strict_json.storable(self._filename):
            raise bad_text()

    def part_data(self, data: bytes, start: int, end: int) -> None:
        self._data += data[start:end]
        if len(self._data) > self._caps.get(self._name, len(self._data)):
            raise Fault(413, "BAD_REQUEST", f"{self._name} is over {self._caps[self._name]} bytes")

    def part_ends(self) -> None:
        if self._name == "operations" and self._operations is None and self._targets is None:
            self._operations = from_json(bytes(self._data))
        elif self._name == "map" and self._operations is not None and self._targets is None:
            self._targets = _targets(bytes(self._data))
        elif self._name in self._caps:
            raise bad_request("operations comes once and first, map once and second")
        else:
            kind = self._headers.get(b"content-type", b"application/octet-stream")
            self._files[self._name] = Upload(
                self._filename or "", kind.decode("latin-1"), bytes(self._data)
            )
        self._data = bytearray()

    def ends(self) -> None:
        self._complete = True

    def request(self) -> dict[str, Any]:
        if not self._complete:
            raise bad_request("the form is cut short")
        if self._operations is None or self._targets is None:
            raise bad_request("the form has no operations, or no map")
        for name, paths in self._targets.items():
            if name not in self._files:
                raise bad_request("map names a file that the form does not have")
            for path in paths:
                _place(self._operations, path, self._files[name])
        return self._operations


def _targets(raw: bytes) -> dict[str, list[str]]:
    targets = from_json(raw)
    if len(targets) > FILES_MAX:
        raise bad_request(f"at most {FILES_MAX} files are taken")
    for paths in targets.values():
        if not isinstance(paths, list) or not paths or not all(isinstance(p, str) for p in paths):
            raise bad_request("map is an object of lists of paths")
    if sum(map(len, targets.values())) > TARGETS_MAX:
        raise bad_request(f"map has over {TARGETS_MAX} paths")
    return targets


def _place(operations: dict[str, Any], path: str, upload: Upload) -> None:
    """Put `upload` where `path` leads, in `variables`, at a null: so no path serves twice."""
    first, *steps = path.split(".")
    if first != "variables" or not 0 < len(steps) <= STEPS_MAX:
        raise bad_request("a path of map leads outside of the variables")
    spot: Any = operations
    key: str | int = first
    for step in steps:
        spot, key = _inside(spot, key), step
        if isinstance(spot, list) and step.isascii() and step.isdigit() and len(step) <= 6:
            key = int(step)
    if _inside(spot, key) is not None:
        raise bad_request("a path of map leads to something else than null")
    spot[key] = upload


def _inside(spot: Any, key: str | int) -> Any:
    if isinstance(spot, dict) and key in spot:
        return spot[key]
    if isinstance(spot, list) and isinstance(key, int) and key < len(spot):
        return spot[key]
    raise bad_request("a path of map leads nowhere")
