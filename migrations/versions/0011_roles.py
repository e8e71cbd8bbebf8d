"""Roles and what an administrator may look at."""

revision = "0011"
down_revision = "0010"


def upgrade() -> None:
    """Nothing yet."""
