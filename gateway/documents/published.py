"""What was published, as one value that is replaced as a whole."""

from collections.abc import Mapping
from dataclasses import dataclass, field

from gateway.documents.names import Name
from gateway.documents.reading import Document
from gateway.operations.clients import Client
from gateway.operations.guard import Refused


@dataclass(slots=True, eq=False)
class PublishedDocument:
    """A text, with its limits where they are not the usual ones. `outcome` is what it was read as,
    or why this schema refuses it; None until it is read."""

    text: str
    limits: Mapping[str, int]
    outcome: Document | Refused | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Published:
    """`documents` by the hash of their text. `ids` are those that are no hash. `clients` have the
    ids of their own manifests, by hash; `an_id` is one of any. `are_enforced` once anything but the
    built-in manifest was published.
    """

    documents: Mapping[str, PublishedDocument] = field(default_factory=dict)
    ids: Mapping[str, str] = field(default_factory=dict)
    clients: Mapping[Client, Mapping[str, str]] = field(default_factory=dict)
    an_id: Mapping[str, str] = field(default_factory=dict)
    are_enforced: bool = False

    def hash_of(self, name: Name) -> str | None:
        """Of the text that is called so; for a hash itself, whether there is such a text or not."""
        return name.text if name.is_hash else self.ids.get(name.text)


NOTHING = Published()
