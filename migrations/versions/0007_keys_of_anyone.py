"""No statistics of whose a transaction's key is: its lookup must be fast for who came last, too.

With them, somebody who is not among the commonest values counts as one row until the table is
analysed again. Every index that begins with user_id then looks as good as the right one, and a
first sync beside a large neighbour went through all of its own keys for each row that it stored.
Without them a person is taken for a two-hundredth of the table, and the index that names more
columns wins. Keys are only ever looked up; the tables that are read by ranges need to know how
much is whose. The setting changes the catalogue only. Statistics that were gathered before stay.
"""

from migrations.statements import run

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    run("ALTER TABLE transaction_keys ALTER COLUMN user_id SET STATISTICS 0;")
