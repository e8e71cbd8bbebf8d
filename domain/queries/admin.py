"""What administrators look at. Whoever asks has been permitted to."""

from collections.abc import Sequence

from domain.identity import Person, UserId
from domain.jobs import JobsStatus
from domain.queries.pages import Page
from domain.storage.reads import Reads


async def people(
    reads: Reads, search: str | None, *, limit: int, after: str | None
) -> Page[Person]:
    """By address, from the first one after `after`. `search` is a part of it, in any case."""
    sought = None if search is None else search.lower()  # as addresses are stored
    rows = await reads.people(sought, limit=limit + 1, after=after)
    return Page.of(rows, limit=limit, after=after)


async def people_by_id(reads: Reads, ids: Sequence[UserId]) -> list[Person | None]:
    asked = list(dict.fromkeys(ids))
    found = {person.id: person for person in (await reads.people_by_id(asked) if asked else ())}
    return [found.get(id) for id in ids]


async def jobs(reads: Reads) -> JobsStatus:
    return await reads.jobs()
