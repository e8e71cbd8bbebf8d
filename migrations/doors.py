"""Giving a function to the role that alone may look across users."""

from migrations.statements import run

GIVE = """
REVOKE ALL ON FUNCTION {door} FROM PUBLIC;
GRANT EXECUTE ON FUNCTION {door} TO dashtam_app;
ALTER FUNCTION {door} OWNER TO dashtam_doors;
"""


def give(*doors: str) -> None:
    """The runtime role may call them, and nobody else. They are made with their search path pinned."""
    # A function is only given to a role that may create in its schema.
    run("GRANT CREATE ON SCHEMA public TO dashtam_doors")
    for door in doors:
        run(GIVE.format(door=door))
    run("REVOKE CREATE ON SCHEMA public FROM dashtam_doors")
