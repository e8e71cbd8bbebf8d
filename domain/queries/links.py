"""Links, and the providers that they lead to."""

from collections.abc import Mapping, Sequence

from domain.links import (
    ImportFormat,
    Link,
    LinkId,
    LinkStatus,
    ProviderCategory,
    ProviderInfo,
)
from domain.providers import Provider
from domain.storage.reads import OwnedReads


async def links(reads: OwnedReads, statuses: Sequence[LinkStatus] | None) -> list[Link]:
    """By `connected_at`, then id. None leaves out those that were disconnected."""
    return [
        link
        for link in await reads.links()
        if (
            link.status is not LinkStatus.DISCONNECTED
            if statuses is None
            else link.status in statuses
        )
    ]


async def links_by_id(reads: OwnedReads, ids: Sequence[LinkId | None]) -> list[Link | None]:
    """None for None, so that what has no link may ask for it."""
    asked = [id for id in dict.fromkeys(ids) if id is not None]
    found = {link.id: link for link in (await reads.links(asked) if asked else ())}
    return [None if id is None else found.get(id) for id in ids]


def provider(offered: Mapping[str, Provider], slug: str) -> ProviderInfo:
    """One that is no longer offered is disabled, so that what it gave still names it."""
    if slug in offered:
        return offered[slug].info
    return ProviderInfo(
        slug=slug,
        name=slug,
        category=ProviderCategory.OTHER,
        auth_methods=(),
        capabilities=(),
        enabled=False,
    )


def providers(
    offered: Mapping[str, Provider], category: ProviderCategory | None
) -> list[ProviderInfo]:
    """By name, then slug."""
    infos = [p.info for p in offered.values() if category in (None, p.info.category)]
    return sorted(infos, key=lambda info: (info.name.casefold(), info.slug))


def import_formats(offered: Mapping[str, Provider]) -> list[ImportFormat]:
    """Those of the providers that are enabled, by provider as they are listed."""
    return [f for info in providers(offered, None) if info.enabled for f in info.import_formats]
