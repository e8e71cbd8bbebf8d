"""How columns and keys are written, so that every table says them alike."""

from collections.abc import Iterable
from enum import Enum

from sqlalchemy import (
    BigInteger,
    CheckConstraint,
    Column,
    DateTime,
    ForeignKeyConstraint,
    MetaData,
    Numeric,
    Text,
    Uuid,
    text,
)

metadata = MetaData(
    naming_convention={
        "pk": "pk_%(table_name)s",
        "fk": "fk_%(table_name)s_%(column_0_name)s_%(referred_table_name)s",
        "uq": "uq_%(table_name)s_%(column_0_N_name)s",
        "ck": "ck_%(table_name)s_%(constraint_name)s",
        "ix": "ix_%(table_name)s_%(column_0_N_name)s",
    }
)

ZERO, FALSE, TRUE = text("0"), text("false"), text("true")


def id_of(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, Uuid(), nullable=null)


def words(name: str, *, null: bool = False) -> Column[object]:
    return Column(name, Text(), nullable=null)


def number(name: str, *, null: bool = True) -> Column[object]:
    return Column(name, Numeric(), nullable=null)


def instant(name: str, *, null: bool = True) -> Column[object]:
    return Column(name, DateTime(timezone=True), nullable=null)


def one_of(column: str, kinds: Iterable[Enum], *, null: bool = False) -> CheckConstraint:
    names = ", ".join(f"'{k.name}'" for k in kinds)
    rule = f"{column} IN ({names})"
    return CheckConstraint(f"{column} IS NULL OR {rule}" if null else rule, name=column)


def version() -> Column[object]:
    return Column("data_version", BigInteger(), nullable=False, server_default=ZERO)


def of_user() -> ForeignKeyConstraint:
    return ForeignKeyConstraint(["user_id"], ["users.user_id"], ondelete="CASCADE")


def of(table: str, column: str, *, cascade: bool = True) -> ForeignKeyConstraint:
    return ForeignKeyConstraint(
        ["user_id", column],
        [f"{table}.user_id", f"{table}.id"],
        ondelete="CASCADE" if cascade else None,
    )
