"""What webhooks call a link, and which of them came."""

revision = "0017"
down_revision = "0016"


def upgrade() -> None:
    pass
