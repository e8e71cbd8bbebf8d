"""What answers of versioned data depend on, beside a document and its variables: who asks, what
they may see, which version their data is of, and the program that answers."""

from collections.abc import Awaitable, Callable
from functools import cache
from hashlib import sha256
from pathlib import Path

from domain.errors import Unauthenticated
from domain.identity import Permission
from domain.ports import App
from schema.context import Context

PACKAGES = ("adapters", "domain", "gateway", "schema")
PERMISSIONS = tuple(Permission)


def version_by(app: App) -> Callable[[Context], Awaitable[str | None]]:
    """None of nobody. The data version is that of the operation's own snapshot."""
    providers = sha256(repr(sorted((slug, p.info) for slug, p in app.providers.items())).encode())
    said = f"{program()} {providers.hexdigest()}"

    async def version(context: Context) -> str | None:
        viewer = context.viewer
        if viewer is None:
            return None
        may = "".join(str(int(app.policy.allows(viewer.role, each))) for each in PERMISSIONS)
        try:
            data = await context.reads.data_version()
        except Unauthenticated:  # who is there no more is told so by what they ask
            return None
        return f"{said} {viewer.user_id} {viewer.role.value} {may} {data}"

    return version


@cache
def program() -> str:
    """Of its source, since a release that mends an answer may change nothing else that shows."""
    root, found = Path(__file__).parents[1], sha256()
    for package in PACKAGES:
        for path in sorted((root / package).rglob("*.py")):
            found.update(f"{path.relative_to(root)}\0".encode() + path.read_bytes())
    return found.hexdigest()
