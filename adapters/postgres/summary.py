"""A statement in a few words of ours, for telemetry: SELECT accounts links.

https://opentelemetry.io/docs/specs/semconv/db/database-spans/#generating-a-summary-of-the-query
Statements are composed of our own constants, so there are few summaries, and none has a value in
it; they are not parsed, only looked through for what follows FROM, JOIN, INTO and UPDATE.
"""

import re
from functools import lru_cache

from sqlalchemy import Delete, Executable, Insert, Select, TextClause, Update

VERBS = ("SELECT", "INSERT", "UPDATE", "DELETE")
_VERB = re.compile(rf"\b({'|'.join(VERBS)}|BEGIN|COMMIT)\b")
_TABLE = re.compile(r"\b(?:FROM|JOIN|INTO|UPDATE)\s+(?:ONLY\s+)?([a-z_][a-z_0-9.]*)")
_FUNCTION = re.compile(r"^\s*SELECT\s+([a-z_]+)\(")
_NOT_TABLES = frozenset({"unnest", "generate_series", "jsonb_to_recordset", "json_to_recordset"})
CHARACTERS_MAX = 255


@lru_cache(maxsize=2048)
def summary_of_sql(sql: str) -> str:
    verb = _verb(sql)
    called = _FUNCTION.match(sql)
    tables = [name for name in _TABLE.findall(sql) if name not in _NOT_TABLES]
    if called and not tables:
        tables = [called[1]]
    return " ".join([verb, *dict.fromkeys(tables)])[:CHARACTERS_MAX]


def summary_of(statement: Executable) -> str:
    """The same of a statement of SQLAlchemy's."""
    match statement:
        case Insert():
            return f"INSERT {statement.table.description}"
        case Update():
            return f"UPDATE {statement.table.description}"
        case Delete():
            return f"DELETE {statement.table.description}"
        case Select():
            names = [getattr(of, "name", "") or "" for of in statement.get_final_froms()]
            return " ".join(["SELECT", *filter(None, names)])[:CHARACTERS_MAX]
        case TextClause():
            return summary_of_sql(statement.text)
    return "OTHER"


def _verb(sql: str) -> str:
    """What it does; of WITH, what is done in it or with it."""
    verbs = _VERB.findall(sql)
    if sql.lstrip()[:4].upper() == "WITH":
        return next((verb for verb in verbs if verb in VERBS[1:]), "SELECT")
    return verbs[0] if verbs else "OTHER"
