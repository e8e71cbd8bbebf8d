"""What an operation said to the database, for whoever develops against it: `Dashtam-SQL: report`.

In development alone. Statements are told as they are written, with names or numbers where the
values of their parameters go; of an operation over HTTP, since a browser's socket has no headers.
"""

from contextvars import ContextVar
from dataclasses import dataclass, field
from typing import Any

from starlette.requests import Request

from adapters import telemetry

REPORT = "dashtam-sql"
STATEMENTS_MAX = 200
CHARACTERS_MAX = 4_000


@dataclass(slots=True)
class SqlReport:
    """The first STATEMENTS_MAX, and how many more there were."""

    statements: list[dict[str, Any]] = field(default_factory=list)
    left_out: int = 0

    def tell(self, text: str, rows: int, took_s: float) -> None:
        if len(self.statements) >= STATEMENTS_MAX:
            self.left_out += 1
            return
        shown = text.strip()
        if len(shown) > CHARACTERS_MAX:
            shown = f"{shown[:CHARACTERS_MAX]} …"
        self.statements.append(
            {"statement": shown, "durationMs": round(took_s * 1_000, 3), "rows": max(rows, 0)}
        )


_report: ContextVar[SqlReport | None] = ContextVar("sql_report", default=None)


def begin(request: Request) -> None:
    """Whatever this task and those that it starts say from here on is told, where it was asked."""
    if request.headers.get(REPORT) != "report":
        return
    report = SqlReport()
    _report.set(report)
    telemetry.telling.set(report.tell)


def added(extensions: dict[str, Any], spent: int) -> dict[str, Any]:
    """`extensions` with what was told, and beside what an operation was priced at the points that
    it came to."""
    report = _report.get()
    if report is None:
        return extensions
    found = dict(extensions)
    if "cost" in found:
        found["cost"] = {**found["cost"], "actual": max(spent, 1)}
    found["sql"] = list(report.statements)
    if report.left_out:
        found["sqlLeftOut"] = report.left_out
    return found
