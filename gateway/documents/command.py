"""`dashtam documents`: what the shell's commands do, and what they say."""

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gateway.documents import publishing
from gateway.documents.limits import allowing
from gateway.documents.manifests import Complaint, Unreadable, read
from gateway.documents.publishing import NotPublished
from gateway.operations.clients import Client, shown
from gateway.settings import Settings

Say = Callable[[str], None]
LISTED = "{:<20} {:<12} {:<71} {:<28} {}"


def client_named(name: str, version: str) -> Client:
    """Raises: NotPublished."""
    client = Client(shown(name), shown(version))
    if not client.name or not client.version:
        raise NotPublished("a client's name and version are 1 to 100 printable characters of ASCII")
    return client


async def publish(settings: Settings, path: Path, client: Client, limits: Mapping[str, int]) -> str:
    """What was done. Raises: NotPublished, each complaint with its place; Unavailable."""
    # With them comes the schema, which is slow to import and of no use to the others.
    from gateway.documents.checking import checked  # noqa: PLC0415
    from gateway.documents.ours import documents_of  # noqa: PLC0415

    try:
        given, wrong = read(path)
    except Unreadable as unreadable:
        raise NotPublished(*map(str, unreadable.complaints)) from None
    documents = documents_of(settings, hide_suggestions=False)
    good, complaints = checked(given, documents, allowing(documents.limits, limits))
    if wrong or complaints:
        raise NotPublished(*_sorted([*wrong, *complaints]))
    if not good:
        raise NotPublished(f"there is no document in {path}")
    done = await publishing.publish(_owner(settings), client, good, limits)
    what = f"{client.name} {client.version}: {done.added} published"
    if done.unchanged:
        what += f", {done.unchanged} there already"
    return f"{what}, limits changed" if done.limits_changed else what


async def retire(settings: Settings, client: Client, ids: Sequence[str]) -> str:
    """What was done. Raises: NotPublished, Unavailable."""
    count = await publishing.retire(_owner(settings), client, ids, now=datetime.now(UTC))
    return f"{client.name} {client.version}: {count} retired"


async def show(settings: Settings, client_name: str | None, say: Say, *, as_json: bool) -> None:
    """A line for every document of every version. Raises: NotPublished, Unavailable."""
    rows = await publishing.listed(_owner(settings), client_name)
    if as_json:
        say(json.dumps([_plain(row) for row in rows], indent=2))
        return
    say(LISTED.format("client", "version", "id", "name", "last used").rstrip())
    for row in rows:
        said = (row["client_name"], row["client_version"], _id(row), row["name"] or "")
        say(LISTED.format(*said, _when(row["last_used_at"])).rstrip())


def _owner(settings: Settings) -> str:
    """Raises: NotPublished."""
    if settings.migrations_url is None:
        raise NotPublished("there is no database: set DASHTAM_MIGRATIONS_URL")
    return settings.migrations_url


def _sorted(complaints: Iterable[Complaint]) -> list[str]:
    return [str(each) for each in sorted(complaints, key=lambda c: (c.place, c.message))]


def _id(row: Mapping[str, Any]) -> str:
    return f"sha256:{row['id']}" if row["id"] == row["sha256"] else str(row["id"])


def _when(at: datetime | None) -> str:
    return "never" if at is None else at.strftime("%Y-%m-%d %H:%MZ")


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    last = row["last_used_at"]
    return {
        "client": row["client_name"],
        "version": row["client_version"],
        "id": _id(row),
        "sha256": row["sha256"],
        "name": row["name"],
        "lastUsedAt": None if last is None else last.isoformat(),
        "uses": row["uses"],
    }
