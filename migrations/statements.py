"""Running a script of several statements."""

from collections.abc import Iterator

from alembic import op


def run(script: str) -> None:
    for statement in statements(script):
        op.execute(statement)


def statements(script: str) -> Iterator[str]:
    """Each statement of a script whose statements end with a line: everything is prepared, and
    PostgreSQL prepares one statement at a time."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if line.rstrip().endswith(";") and statement.count("$$") % 2 == 0:
            yield statement
            statement = ""
    if statement.strip():
        yield statement
