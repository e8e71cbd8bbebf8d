"""Statement files as a provider: nothing is asked for, what was uploaded is read."""

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from domain.errors import Conflict, UnreadableFile
from domain.imports import FILE_BYTES_MAX, pages_of
from domain.links import AuthMethod, Capability, ImportFormat, ProviderCategory, ProviderInfo
from domain.ports import ReadStatement
from domain.sync import Login, Page, PullRequest, QuarantinedRow

_FORMATS = (
    ("ofx", "Open Financial Exchange"),
    ("qfx", "Quicken Web Connect"),
    ("qbo", "QuickBooks Web Connect"),
    ("csv", "Comma-separated values"),
)


def _info(slug: str, name: str, category: ProviderCategory) -> ProviderInfo:
    return ProviderInfo(
        slug=slug,
        name=name,
        category=category,
        auth_methods=(AuthMethod.FILE_IMPORT,),
        capabilities=(
            Capability.FILE_IMPORT,
            Capability.ACCOUNTS,
            Capability.HOLDINGS,
            Capability.TRANSACTIONS,
        ),
        import_formats=tuple(
            ImportFormat(
                extension=extension, name=said, provider_slug=slug, max_bytes=FILE_BYTES_MAX
            )
            for extension, said in _FORMATS
        ),
    )


ANY = _info("file", "Statement file", ProviderCategory.OTHER)
CHASE = _info("chase", "Chase (statement files)", ProviderCategory.BANK)


@dataclass(slots=True)
class FileProvider:
    """`read` parses a whole file, which takes a processor's time: it runs in a thread."""

    info: ProviderInfo
    read: ReadStatement

    async def connect(self, credentials: Mapping[str, str], at: datetime) -> Login:
        """Raises Conflict, always: a file's link is made by importing one."""
        raise Conflict("files are not connected to: import one", field=("input", "providerSlug"))

    async def pull(self, request: PullRequest) -> AsyncIterator[Page]:
        """The pages of `request.file`. Raises UnreadableFile."""
        if request.file is None:
            raise UnreadableFile("there is no file to read")
        statement = await asyncio.to_thread(self.read, request.file, request.file_name)
        for page in pages_of(statement, cursor=request.cursor):
            yield page

    def replay(self, rows: Sequence[QuarantinedRow]) -> Mapping[UUID, Page]:
        """None: a record means nothing without its file, which is imported again instead."""
        return {}
