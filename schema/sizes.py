"""How long the lists get that are read whole: what an operation is priced by, where no `first` is.

A list of what has no id, and can lead to nothing that has one, costs nothing, and needs no line
here; nor do `nodes` and `edges` of a connection, which are a page of its `first`. Every other list
has one, and a test walks the schema for those without.
"""

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True, slots=True, kw_only=True)
class Size:
    """`own` is what the viewer has of it: a count of `domain.storage.reads.Counts`, or `sessions`.
    `ids` is the path of an argument that names each; with both, the smaller counts. `most` is a
    figure; `is_page` a part of what the field above was asked for by its `first`.
    """

    own: str | None = None
    ids: tuple[str, ...] | None = None
    most: int | None = None
    is_page: bool = False


PAGE = Size(is_page=True)
SIZES: Mapping[str, Size] = {
    "Query.accounts": Size(own="accounts", ids=("filter", "ids")),
    "Query.links": Size(own="links"),
    "Query.nodes": Size(ids=("ids",)),
    "Link.accounts": Size(own="accounts_of_link"),
    "Viewer.sessions": Size(own="sessions"),
    "SyncPayload.runs": Size(own="links"),
    "ImportStatementPayload.accounts": Size(own="accounts"),
    "ImportPreview.unreadable": Size(most=100),
    "ChangeSet.upserted": PAGE,
}


def size_of(type_name: str, field_name: str) -> Size | None:
    if type_name.endswith("Connection") and field_name in ("nodes", "edges"):
        return PAGE
    return SIZES.get(f"{type_name}.{field_name}")
