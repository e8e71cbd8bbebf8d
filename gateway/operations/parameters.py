"""The parameters of a GraphQL request, from a query string or a JSON object."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from gateway.documents.names import Name, name_of
from gateway.operations import strict_json
from gateway.operations.faults import Malformed, bad_request, bad_text

QUERY_FIELDS_MAX = 20
KINDS = {
    "query": (str, "a string"),
    "documentId": (str, "a string"),
    "doc_id": (str, "a string"),
    "operationName": (str, "a string"),
    "variables": (dict, "an object"),
    "extensions": (dict, "an object"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What was asked for. GraphQL over HTTP section 6; `query` is the document's text, which may
    be left out where `name` says which document it is. `registers` is Apollo's way of sending
    both: then the text is to be had by its hash from now on.
    """

    query: str | None = None
    name: Name | None = None
    registers: bool = False
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)


def from_json(raw: bytes | str) -> dict[str, Any]:
    """One JSON object, strictly read. Raises: Fault."""
    try:
        value = strict_json.loads(raw)
    except strict_json.NotJson as why:
        raise bad_request(f"the body {why}") from None
    except strict_json.NotText:
        raise bad_text() from None
    if isinstance(value, list):
        raise Malformed("lists of operations are not taken: send them one by one")
    if not isinstance(value, dict):
        raise Malformed("the body is not a JSON object")
    return value


def from_query_string(raw: bytes) -> dict[str, Any]:
    """The same object from a URL, where `variables` and `extensions` are JSON. Raises: Fault."""
    try:
        pairs = parse_qsl(
            raw.decode("utf-8"),
            keep_blank_values=True,
            errors="strict",
            max_num_fields=QUERY_FIELDS_MAX,
        )
    except ValueError:
        raise bad_request("the query string is not UTF-8, or has too many fields") from None
    found: dict[str, Any] = dict(pairs)
    if len(found) != len(pairs):
        raise bad_request("the query string has a field twice")
    if not all(strict_json.storable(text) for pair in pairs for text in pair):
        raise bad_text()
    found = {name: value for name, value in found.items() if value or name == "query"}
    for name in ("variables", "extensions"):
        if name in found:
            found[name] = _embedded(name, found[name])
    return found


def parameters(found: dict[str, Any]) -> Parameters:
    """Raises: Fault."""
    for name, (kind, words) in KINDS.items():
        if found.get(name) is not None and not isinstance(found[name], kind):
            raise Malformed(f"{name} is not {words}")
    query, extensions = found.get("query"), found.get("extensions") or {}
    hashed = _hash(extensions)
    named = _name(found.get("documentId"), found.get("doc_id"), hashed)
    if not query and named is not None:
        query = None  # graphql-ws's client insists on one, and has it empty beside a name
    if query is None and named is None:
        raise Malformed("there is no query")
    return Parameters(
        query=query,
        name=named,
        registers=query is not None and hashed is not None,
        operation_name=found.get("operationName"),
        variables=found.get("variables") or {},
        extensions=extensions,
    )


def _hash(extensions: dict[str, Any]) -> str | None:
    """Of `extensions.persistedQuery`, as Apollo's clients and urql's send it. Raises: Fault."""
    said = extensions.get("persistedQuery")
    if said is None:
        return None
    if not isinstance(said, dict) or not isinstance(said.get("sha256Hash"), str):
        raise Malformed("extensions.persistedQuery has no sha256Hash")
    if said.get("version", 1) != 1:
        raise Malformed("extensions.persistedQuery is of another version than 1")
    return str(said["sha256Hash"])


def _name(*said: str | None) -> Name | None:
    """The one document that is named, in whichever ways. Raises: Fault."""
    names = {name_of(each) for each in said if each is not None}
    if None in names:
        raise Malformed("a document's id is 1 to 128 of A-Z a-z 0-9 - . _ ~ and :")
    if len(names) > 1:
        raise Malformed("two documents are named at once")
    return names.pop() if names else None


def _embedded(name: str, text: str) -> Any:
    try:
        return strict_json.loads(text)
    except strict_json.NotJson as why:
        raise bad_request(f"{name} {why}") from None
    except strict_json.NotText:
        raise bad_text() from None
