"""Consent that was asked for, and links that wait for it."""

revision = "0015"
down_revision = "0014"


def upgrade() -> None:
    pass
