"""What has changed, by data version: keys alone, of each table no more than a page of them."""

from adapters.postgres.reads.statements import Statements
from domain.changes import GONE, Changed, Kind, Position

TABLES = {
    Kind.LINK: "links",
    Kind.ACCOUNT: "accounts",
    Kind.SECURITY: "securities",
    Kind.HOLDING: "holdings",
    Kind.TRANSACTION: "transactions",
}
PLACES = {kind: place for place, kind in enumerate(Kind, start=1)}
# Named by what tombstones call them.
NAMES = {kind.name.lower(): kind for kind in Kind}

# $1 viewer, $2 limit, $3 version, then by place the id after which to go on; $10 since when.
OF_TABLE = """
(SELECT data_version, {place} AS place, {kind} AS kind, id FROM {table}
WHERE user_id = $1 AND data_version >= $3 AND (data_version, id) > ($3, ${after}::uuid){more}
ORDER BY data_version, id LIMIT $2)"""
BRANCHES = [
    *(
        OF_TABLE.format(
            place=PLACES[kind],
            kind=f"'{kind.name.lower()}'::text",
            table=table,
            after=3 + PLACES[kind],
            more="",
        )
        for kind, table in TABLES.items()
    ),
    OF_TABLE.format(
        place=GONE, kind="kind", table="tombstones", after=3 + GONE, more=" AND data_version > $10"
    ),
]
CHANGED = f"""
SELECT data_version, place, kind, id FROM ({" UNION ALL ".join(BRANCHES)}
) AS changed ORDER BY data_version, place, id LIMIT $2"""


class ChangeReads(Statements):
    async def changed(self, after: Position, *, limit: int) -> list[Changed]:
        """By version, place and id."""
        ids = [after.of(place) for place in (*PLACES.values(), GONE)]
        rows = await self.fetch(CHANGED, self._viewer, limit, after.version, *ids, after.since)
        return [
            Changed(version=version, place=place, kind=NAMES[kind], id=id)
            for version, place, kind, id in rows
        ]
