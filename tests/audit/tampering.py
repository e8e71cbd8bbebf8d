"""What a superuser could do to the log and its chain, at random, and what then is the first bad
row."""

import random
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import timedelta
from typing import Any

import asyncpg

from domain.audit import COLUMNS, START, chained
from domain.identity import new_id

ROWS = """
SELECT c.position, a.* FROM audit_log a LEFT JOIN audit_chain c ON c.seq = a.seq
ORDER BY c.position, a.seq"""
CHAIN = """
SELECT c.position, c.hash AS link_hash, a.* FROM audit_chain c JOIN audit_log a ON a.seq = c.seq
ORDER BY c.position"""
ALL = ("user_id", "seq", "mac", *(name for name in COLUMNS if name != "user_id"))


@dataclass(frozen=True, slots=True)
class Bad:
    """The place that has to be named: in the chain, or else by number."""

    position: int | None = None
    seq: int | None = None


@dataclass(slots=True)
class Tamper:
    """`checkpoints` are the positions of those that there are."""

    db: asyncpg.Connection
    dice: random.Random
    rows: Sequence[asyncpg.Record]
    checkpoints: Sequence[int]

    @property
    def sealed(self) -> list[asyncpg.Record]:
        return [row for row in self.rows if row["position"] is not None]

    @property
    def waiting(self) -> list[asyncpg.Record]:
        return [row for row in self.rows if row["position"] is None]

    @property
    def newest(self) -> int:
        return max(int(row["seq"]) for row in self.rows)

    def one(self) -> asyncpg.Record:
        return self.dice.choice(self.sealed)

    def two(self) -> list[asyncpg.Record]:
        """In the order of the chain."""
        return sorted(self.dice.sample(self.sealed, 2), key=lambda row: row["position"])

    def first_after(self, position: int) -> int:
        """The first checkpoint that is about a chain with that link."""
        return min(p for p in self.checkpoints if p >= position)

    def another(self, row: asyncpg.Record, column: str) -> Any:
        """A value that the column could have, and has not."""
        now = row[column]
        if column == "outcome":
            return self.dice.choice([o for o in ("ATTEMPTED", "SUCCEEDED", "FAILED") if o != now])
        if column == "at":
            return now + timedelta(microseconds=self.dice.choice([-1, 1, 10**6, 86_400 * 10**6]))
        if column == "mac":
            return self.dice.choice([None, self.dice.randbytes(32), b""]) if now else b"\0" * 32
        if column in {"id", "user_id", "actor_id", "session_id"}:
            values = [new_id(), new_id() if column == "user_id" or now is None else None]
            return self.dice.choice(values)
        if now is None:
            return self.dice.choice(["", "x", "203.0.113.9"])
        ends = [now + "x", now[:-1] or "y", now.upper() + " "]
        return self.dice.choice(ends if column == "action" else [*ends, None])

    async def put(self, row: dict[str, Any]) -> None:
        names = ", ".join(ALL)
        values = ", ".join(f"${n}" for n in range(1, len(ALL) + 1))
        await self.db.execute(
            f"INSERT INTO audit_log ({names}) OVERRIDING SYSTEM VALUE VALUES ({values})",
            *(row[name] for name in ALL),
        )

    async def chain_anew(self) -> None:
        """As the sealer would, for the rows as they are by now, in the order of the chain."""
        rows, before = await self.db.fetch(CHAIN), START
        await self.db.execute("DELETE FROM audit_chain")
        links = []
        for position, row in enumerate(rows, 1):
            before = chained(before, row["seq"], row)
            links.append((position, row["seq"], before))
        await self.db.executemany("INSERT INTO audit_chain VALUES ($1, $2, $3)", links)


Trick = Callable[[Tamper], Awaitable[Bad]]


async def edit(t: Tamper) -> Bad:
    row, column = t.one(), t.dice.choice([name for name in ALL if name != "seq"])
    await t.db.execute(
        f"UPDATE audit_log SET {column} = $2 WHERE seq = $1", row["seq"], t.another(row, column)
    )
    return Bad(position=row["position"], seq=row["seq"])


async def edit_what_waits(t: Tamper) -> Bad:
    row = t.dice.choice(t.waiting)
    column = t.dice.choice([name for name in ALL if name != "seq"])
    await t.db.execute(
        f"UPDATE audit_log SET {column} = $2 WHERE seq = $1", row["seq"], t.another(row, column)
    )
    return Bad(seq=row["seq"])


async def edit_and_chain_anew(t: Tamper) -> Bad:
    """Every row that has a MAC is found by it; one from before, by the checkpoints."""
    bad = await edit(t)
    assert bad.position
    await t.chain_anew()
    mac = await t.db.fetchval("SELECT mac FROM audit_log WHERE seq = $1", bad.seq)
    signed = [row["position"] for row in t.sealed if row["mac"]]
    if mac is None and bad.position <= min(signed):  # as rows from before are
        return Bad(position=t.first_after(bad.position))
    return bad


async def delete(t: Tamper) -> Bad:
    row = t.one()
    await t.db.execute("DELETE FROM audit_log WHERE seq = $1", row["seq"])
    return Bad(position=row["position"])


async def delete_with_its_link(t: Tamper) -> Bad:
    row = t.one()
    await t.db.execute("DELETE FROM audit_log WHERE seq = $1", row["seq"])
    await t.db.execute("DELETE FROM audit_chain WHERE seq = $1", row["seq"])
    return Bad(position=row["position"])


async def insert(t: Tamper) -> Bad:
    """Invented, at the end or in a gap, with no MAC, a random one or somebody else's."""
    like = dict(t.one())
    like |= {"seq": t.newest + t.dice.randint(1, 1000), "id": new_id()}
    like["mac"] = t.dice.choice([None, t.dice.randbytes(32), t.one()["mac"]])
    if t.dice.random() < 0.5:  # as any row comes, with the triggers: it waits to be sealed
        await t.db.execute("SET LOCAL session_replication_role = origin")
    await t.put(like)
    return Bad(seq=like["seq"])


async def insert_a_copy(t: Tamper) -> Bad:
    """To the last bit, which nothing but its number tells from the original."""
    row = t.dice.choice([row for row in t.sealed if row["mac"]])
    await t.db.execute("DROP INDEX ux_audit_log_id")
    await t.db.execute("SET LOCAL session_replication_role = origin")
    await t.put(dict(row) | {"seq": t.newest + 1})
    return Bad(seq=t.newest + 1)


async def insert_into_the_chain(t: Tamper) -> Bad:
    like = dict(t.one()) | {"seq": t.newest + 1, "id": new_id(), "mac": t.dice.randbytes(32)}
    await t.put(like)
    end = len(t.sealed)
    before = await t.db.fetchval("SELECT hash FROM audit_chain WHERE position = $1", end)
    await t.db.execute(
        "INSERT INTO audit_chain VALUES ($1, $2, $3)",
        end + 1,
        like["seq"],
        chained(before, like["seq"], like),
    )
    return Bad(position=end + 1, seq=like["seq"])


async def insert_before_the_chain(t: Tamper) -> Bad:
    like = dict(t.one()) | {"seq": t.newest + 1, "id": new_id(), "mac": t.dice.randbytes(32)}
    await t.put(like)
    place = t.dice.choice([0, -1, -(2**63)])
    await t.db.execute("INSERT INTO audit_chain VALUES ($1, $2, '')", place, like["seq"])
    return Bad(position=place, seq=like["seq"])


async def reorder(t: Tamper) -> Bad:
    first, second = t.two()
    await t.db.execute("ALTER TABLE audit_log ALTER COLUMN seq SET GENERATED BY DEFAULT")
    for was, now in ((first["seq"], -1), (second["seq"], first["seq"]), (-1, second["seq"])):
        await t.db.execute("UPDATE audit_log SET seq = $2 WHERE seq = $1", was, now)
    return Bad(position=first["position"])


async def reorder_the_chain(t: Tamper) -> Bad:
    first, second = t.two()
    for was, now in ((first["seq"], -1), (second["seq"], first["seq"]), (-1, second["seq"])):
        await t.db.execute("UPDATE audit_chain SET seq = $2 WHERE seq = $1", was, now)
    return Bad(position=first["position"])


async def reorder_and_chain_anew(t: Tamper) -> Bad:
    bad = await t.dice.choice([reorder, reorder_the_chain])(t)
    await t.chain_anew()
    assert bad.position
    first = next(row for row in t.sealed if row["position"] == bad.position)
    others = [row for row in t.sealed if row["mac"]]
    if first["mac"] or not others:
        return Bad(position=t.first_after(bad.position))
    # One without a MAC that comes after one with it is known by that.
    links = await t.db.fetch(CHAIN)
    signed = False
    for link in links:
        if signed and link["mac"] is None:
            return Bad(position=min(link["position"], t.first_after(bad.position)))
        signed = signed or link["mac"] is not None
    return Bad(position=t.first_after(bad.position))


async def cut_off(t: Tamper) -> Bad:
    """The end, of the log alone or with its links."""
    last = t.dice.randint(0, len(t.sealed) - 1)
    await t.db.execute(
        "DELETE FROM audit_log WHERE seq IN (SELECT seq FROM audit_chain WHERE position > $1)", last
    )
    if t.dice.random() < 0.7:
        await t.db.execute("DELETE FROM audit_chain WHERE position > $1", last)
    return Bad(position=last + 1)


async def truncate(t: Tamper) -> Bad:
    tables = t.dice.choice(
        ["audit_log", "audit_chain", "audit_log, audit_chain, audit_unsealed, audit_report"]
    )
    await t.db.execute(f"TRUNCATE {tables}")
    return Bad(position=1)


async def fork(t: Tamper) -> Bad:
    """From some row on another chain, which is right in itself: a row less, all others sealed."""
    row = t.one()
    await t.db.execute("DELETE FROM audit_log WHERE seq = $1", row["seq"])
    await t.chain_anew()
    return Bad(position=t.first_after(row["position"]))


async def edit_the_chain(t: Tamper) -> Bad:
    row, end = t.one(), len(t.sealed)
    column, value = t.dice.choice(
        [
            ("hash", t.dice.randbytes(32)),
            ("hash", row["mac"] or b""),
            ("seq", t.newest + 5),
            ("position", end + t.dice.randint(2, 99)),
            ("position", -1),
        ]
    )
    await t.db.execute(f"UPDATE audit_chain SET {column} = $2 WHERE seq = $1", row["seq"], value)
    return Bad(position=min(row["position"], value) if column == "position" else row["position"])


TRICKS: Sequence[Trick] = (
    *(edit, edit, edit, edit, edit_what_waits, edit_and_chain_anew),
    *(delete, delete_with_its_link),
    *(insert, insert, insert_a_copy, insert_into_the_chain, insert_before_the_chain),
    *(reorder, reorder_the_chain, reorder_and_chain_anew),
    *(cut_off, cut_off, truncate, fork, fork, edit_the_chain, edit_the_chain),
)
