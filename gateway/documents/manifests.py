"""What clients' tools write of their documents: read from four formats, told apart by content.

Apollo's `apollo-persisted-query-manifest`, version 1; an object of ids and texts, as Relay's
compiler and GraphQL Code Generator write it, or a list of pairs of them; and a folder of
`.graphql` files, or one of them.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gateway.documents.folders import documents_of
from gateway.documents.places import Pairs, Piece, Place, Said, located

APOLLO = "apollo-persisted-query-manifest"
FILE_MAX = 64 << 20
GRAPHQL = (".graphql", ".gql")
LABEL_MAX = 100
FORMATS = "a manifest is JSON of Apollo's, Relay's or GraphQL Code Generator's, or a folder"


@dataclass(frozen=True, slots=True, kw_only=True)
class Complaint:
    """What is wrong, and where."""

    place: Place
    message: str

    def __str__(self) -> str:
        return f"{self.place}: {self.message}"


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """A document of a manifest; `id` is None where it is to be known by its hash."""

    id: str | None
    text: str
    pieces: Sequence[Piece]
    label: str = ""  # what the manifest calls it

    def place(self, line: int, column: int) -> Place:
        """Where that is, which is at this line and column of the text."""
        piece = max((p for p in self.pieces if p.line <= line), key=lambda p: p.line)
        if piece.at.within:
            return Place(piece.at.file, piece.at.line, 0, f"{piece.at.within} {line}:{column}")
        first = piece.at.column - 1 if line == piece.line else 0
        return Place(piece.at.file, piece.at.line + line - piece.line, column + first)


class Unreadable(Exception):
    """Nothing of it can be read."""

    def __init__(self, *complaints: Complaint) -> None:
        super().__init__(*complaints)
        self.complaints = complaints


def read(path: Path) -> tuple[list[Given], list[Complaint]]:
    """The documents, and what is wrong with the rest. Raises: Unreadable."""
    if path.is_dir():
        files = sorted(each for each in path.rglob("*") if each.suffix in GRAPHQL)
        return _folder(path, [each for each in files if each.is_file()])
    if path.suffix in GRAPHQL:
        return _folder(path, [path])
    try:
        manifest = located(content(path))
    except ValueError as error:
        line = getattr(error, "lineno", 0)
        place = Place(path.name, line, getattr(error, "colno", 0))
        why = getattr(error, "msg", str(error))
        raise Unreadable(Complaint(place=place, message=f"no JSON: {why}")) from None
    except RecursionError:
        raise _not_ours(path, "it is nested too deep") from None
    complaints: list[Complaint] = []
    found = list(_json(path, manifest, complaints))
    return found, complaints


def content(path: Path) -> str:
    """Raises: Unreadable."""
    try:
        if path.stat().st_size > FILE_MAX:
            raise _not_ours(path, f"a manifest has at most {FILE_MAX >> 20} MiB")
        return path.read_bytes().decode("utf-8")
    except OSError as error:
        raise _not_ours(path, f"it cannot be read ({error.strerror})") from None
    except UnicodeDecodeError:
        raise _not_ours(path, "it is not UTF-8") from None


def _folder(root: Path, files: Sequence[Path]) -> tuple[list[Given], list[Complaint]]:
    texts: dict[str, str] = {}
    for path in files:
        texts[path.name if path == root else str(path.relative_to(root))] = content(path)
    made, wrong = documents_of(texts)
    found = [Given(id=None, text=text, pieces=pieces) for text, pieces in made]
    return found, [Complaint(place=place, message=message) for place, message in wrong]


def _json(path: Path, manifest: Any, wrong: list[Complaint]) -> Iterator[Given]:
    """Raises: Unreadable."""
    if isinstance(manifest, Pairs) and isinstance(manifest.get("format"), str):
        yield from _apollo(path, manifest, wrong)
        return
    is_list = type(manifest) is list
    if not isinstance(manifest, Pairs) and not is_list:
        raise _not_ours(path, FORMATS)
    for pair in manifest:
        if is_list and (type(pair) is not list or len(pair) != 2):
            raise _not_ours(path, FORMATS)
        key, text = pair
        if not isinstance(key, Said) or not isinstance(text, Said):
            raise _not_ours(path, FORMATS)
        yield _given(path, key, text, str(key))


def _apollo(path: Path, manifest: Pairs, wrong: list[Complaint]) -> Iterator[Given]:
    """Raises: Unreadable."""
    form, version = manifest.get("format"), manifest.get("version")
    operations: Any = manifest.get("operations")
    if form != APOLLO or version != 1 or isinstance(version, bool):
        raise _not_ours(path, f"of formats with a name, {APOLLO} version 1 is read", form.line)
    if type(operations) is not list:
        raise _not_ours(path, "it has no list of operations", form.line)
    for number, each in enumerate(operations, 1):
        said = [each.get(name) for name in ("id", "body")] if isinstance(each, Pairs) else []
        if not said or not all(isinstance(value, Said) for value in said):
            place = Place(path.name, _first_line(each))
            message = f"operation {number} has no id and body"
            wrong.append(Complaint(place=place, message=message))
            continue
        name = each.get("name")
        yield _given(path, said[0], said[1], name if isinstance(name, str) else said[0])


def _given(path: Path, key: Said, text: Said, label: str) -> Given:
    printed = "".join(c if c.isprintable() else "\N{REPLACEMENT CHARACTER}" for c in label)
    place = Place(path.name, text.line, 0, printed[:LABEL_MAX])
    return Given(id=str(key), text=str(text), pieces=[Piece(1, place)], label=place.within)


def _first_line(each: Any) -> int:
    found = [key.line for key, _ in each] if isinstance(each, Pairs) else []
    return found[0] if found else getattr(each, "line", 0)


def _not_ours(path: Path, why: str, line: int = 0) -> Unreadable:
    return Unreadable(Complaint(place=Place(path.name, line), message=why))
