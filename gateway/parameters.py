"""The parameters of a GraphQL request, from a query string or a JSON object."""

from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qsl

from gateway import strict_json
from gateway.faults import bad_request, bad_text

QUERY_FIELDS_MAX = 20
KINDS = {
    "query": (str, "a string"),
    "documentId": (str, "a string"),
    "operationName": (str, "a string"),
    "variables": (dict, "an object"),
    "extensions": (dict, "an object"),
}


@dataclass(frozen=True, slots=True, kw_only=True)
class Parameters:
    """What was asked for. GraphQL over HTTP section 6; `query` is the document's text."""

    query: str
    operation_name: str | None = None
    variables: dict[str, Any] = field(default_factory=dict)
    extensions: dict[str, Any] = field(default_factory=dict)


class PersistedOnly(Exception):
    """The request names a document instead of bringing its text."""


def from_json(raw: bytes | str) -> dict[str, Any]:
    """One JSON object, strictly read. Raises: Fault."""
    try:
        value = strict_json.loads(raw)
    except strict_json.NotJson:
        raise bad_request("the body is not strict JSON in UTF-8") from None
    except strict_json.NotText:
        raise bad_text() from None
    if isinstance(value, list):
        raise bad_request("lists of operations are not taken: send them one by one")
    if not isinstance(value, dict):
        raise bad_request("the body is not a JSON object")
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
    """Raises: Fault, PersistedOnly."""
    for name, (kind, words) in KINDS.items():
        if found.get(name) is not None and not isinstance(found[name], kind):
            raise bad_request(f"{name} is not {words}")
    extensions = found.get("extensions") or {}
    if found.get("query") is None:
        if found.get("documentId") is not None or "persistedQuery" in extensions:
            raise PersistedOnly
        raise bad_request("there is no query")
    return Parameters(
        query=found["query"],
        operation_name=found.get("operationName"),
        variables=found.get("variables") or {},
        extensions=extensions,
    )


def _embedded(name: str, text: str) -> Any:
    try:
        return strict_json.loads(text)
    except strict_json.NotJson:
        raise bad_request(f"{name} is not strict JSON") from None
    except strict_json.NotText:
        raise bad_text() from None
