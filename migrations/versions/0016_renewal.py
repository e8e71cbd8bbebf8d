"""When credentials are renewed, and what is wrong with a link."""

revision = "0016"
down_revision = "0015"


def upgrade() -> None:
    pass
