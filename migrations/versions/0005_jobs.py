"""The job queue: pgqueuer's own tables, in a schema of their own.

The text is the library's, so that its statements find what they expect. The worker uses the tables
as the runtime role, which changes rows and nothing else.
"""

from pgqueuer.adapters.persistence.qb import QueryBuilderEnvironment
from pgqueuer.domain.settings import DBSettings

from migrations.statements import run

revision = "0005"
down_revision = "0004"

GRANTS = """
REVOKE ALL ON ALL FUNCTIONS IN SCHEMA jobs FROM PUBLIC;
GRANT USAGE ON SCHEMA jobs TO dashtam_app;
GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA jobs TO dashtam_app;
GRANT USAGE, SELECT ON ALL SEQUENCES IN SCHEMA jobs TO dashtam_app;
"""


def upgrade() -> None:
    run(QueryBuilderEnvironment(DBSettings(db_schema="jobs")).build_install_query())
    run(GRANTS)
