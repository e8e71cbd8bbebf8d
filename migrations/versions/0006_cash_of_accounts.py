"""What of an account's balance its provider says is cash.

A column that may be null and has no default only changes the catalogue: no row is rewritten, and
the lock is held for a moment. A gateway of the release before neither reads nor writes it; rows
have it from their next sync on. The table's privileges and policy hold for it as they are.
"""

from migrations.statements import run

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    run("ALTER TABLE accounts ADD COLUMN cash_balance numeric;")
