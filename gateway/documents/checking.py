"""Whether the documents of a manifest can be published: everything that is wrong with them."""

from collections.abc import Sequence

from graphql import (
    NonNullTypeNode,
    OperationDefinitionNode,
    SourceLocation,
    VariableDefinitionNode,
    get_location,
)

from adapters.postgres.documents import ToPublish
from gateway.cost.pricing import COUNTS
from gateway.documents.manifests import Complaint, Given
from gateway.documents.names import HASH, ID_MAX, LIKE_A_HASH, digest, name_of
from gateway.documents.reading import Document
from gateway.documents.store import Documents
from gateway.operations import strict_json
from gateway.operations.guard import Limits, Refused

ERRORS_MAX = 100  # of one document
ONE_OF_EACH = dict.fromkeys((*COUNTS, "sessions"), 1)


def checked(
    given: Sequence[Given], documents: Documents, limits: Limits
) -> tuple[list[ToPublish], list[Complaint]]:
    """What can be published, each once, and what is wrong, in the order of the manifest."""
    good: dict[str, ToPublish] = {}
    wrong: list[Complaint] = []
    for each in given:
        document, complaints = _one(each, documents, limits)
        if document is not None:
            known = good.setdefault(document.id, document)
            if known.sha256 != document.sha256:
                message = f"there is another text with the id {document.id} already"
                complaints.append(Complaint(place=each.place(1, 1), message=message))
        wrong += complaints
    return list(good.values()), wrong


def _one(
    given: Given, documents: Documents, limits: Limits
) -> tuple[ToPublish | None, list[Complaint]]:
    if not strict_json.storable(given.text):
        message = "text holds no NUL and no lone surrogate"
        return None, [Complaint(place=given.place(1, 1), message=message)]
    hash_ = digest(given.text)
    complaints = [
        Complaint(place=given.place(1, 1), message=message) for message in _of_id(given.id, hash_)
    ]
    outcome = documents.outcome(given.text, limits, errors_max=ERRORS_MAX)
    if isinstance(outcome, Refused):
        return None, complaints + _refused(given, outcome)
    complaints += _too_dear(given, outcome, limits.cost)
    id_ = hash_ if given.id is None or HASH.fullmatch(given.id) else given.id
    name = _names(outcome) or given.label
    return ToPublish(id=id_, name=name, sha256=hash_, text=given.text), complaints


def _of_id(id_: str | None, hash_: str) -> list[str]:
    if id_ is None:
        return []
    named = name_of(id_)
    if named is None:
        return [f"an id is 1 to {ID_MAX} of A-Z a-z 0-9 - . _ ~ and :"]
    if named.is_hash:
        return [] if named.text == hash_ else [f"the SHA-256 of the text is {hash_}, not its id"]
    if LIKE_A_HASH.fullmatch(id_):
        return ["a SHA-256 is written with 64 digits, in lower case"]
    return []


def _refused(given: Given, refused: Refused) -> list[Complaint]:
    found = []
    for error in refused.errors:
        at = (error.locations or [SourceLocation(1, 1)])[0]
        found.append(Complaint(place=given.place(at.line, at.column), message=error.message))
    return found


def _too_dear(given: Given, document: Document, most: int) -> list[Complaint]:
    """Operations that whoever has anything could never run, as far as can be said without variables
    that have to be given."""
    found = []
    for node in document.node.definitions:
        if not isinstance(node, OperationDefinitionNode) or any(
            map(_is_required, _variables(node))
        ):
            continue
        name = node.name.value if node.name else None
        price = document.cost.price(name, {}, ONE_OF_EACH)
        if price > most:
            at = get_location(node.loc.source, node.loc.start) if node.loc else SourceLocation(1, 1)
            dearest = document.cost.dearest(name, {}, ONE_OF_EACH)
            message = f"The operation's cost of {price:,} exceeds {most:,}. {dearest}"
            found.append(Complaint(place=given.place(at.line, at.column), message=message))
    return found


def _variables(node: OperationDefinitionNode) -> Sequence[VariableDefinitionNode]:
    return node.variable_definitions or ()


def _is_required(variable: VariableDefinitionNode) -> bool:
    return isinstance(variable.type, NonNullTypeNode) and variable.default_value is None


def _names(document: Document) -> str:
    return ", ".join(
        node.name.value
        for node in document.node.definitions
        if isinstance(node, OperationDefinitionNode) and node.name is not None
    )
