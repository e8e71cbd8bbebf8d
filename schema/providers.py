"""Providers: who can be linked, and how."""

from collections.abc import Sequence
from typing import Any

import strawberry

import domain.links
from domain.links import AuthMethod, Capability, ProviderCategory
from domain.queries import links as queries
from schema.context import Info
from schema.fields import NOT_GIVEN, described, field, given, query

strawberry.enum(ProviderCategory, description="What kind of institution a provider is.")
strawberry.enum(AuthMethod, description="A way in which a provider lets its customers connect.")
strawberry.enum(Capability, description="What a provider can tell us.")


@strawberry.type(description="A credential that `connectProvider` takes for a provider.")
class CredentialField:
    name: str = described("What `CredentialInput.name` says.")
    label: str = described("For a form, in English.")
    secret: bool = described("Whether a form hides what is typed.")
    required: bool


@strawberry.type(description="An institution, or a way to read institutions, that can be linked.")
class Provider:
    slug: str = described("What inputs name it by.")
    name: str
    category: ProviderCategory
    auth_methods: list[AuthMethod]
    capabilities: list[Capability]
    credential_fields: list[CredentialField]
    documentation_url: str | None
    enabled: bool = described("Whether it can be linked now.")


@strawberry.type(description="A kind of statement file that `importStatement` reads.")
class ImportFormat:
    extension: str = described("Of the file's name, without the dot.")
    name: str
    max_bytes: int

    @field(Provider)
    def provider(self: Any, info: Info) -> domain.links.ProviderInfo:
        return info.context.provider(self.provider_slug)


@strawberry.type
class ProviderQuery:
    @query(list[Provider], "Who can be linked, by name. Works signed out.", permits=None)
    def providers(
        self, info: Info, category: ProviderCategory | None = NOT_GIVEN
    ) -> Sequence[domain.links.ProviderInfo]:
        return queries.providers(info.context.app.providers, given(category))

    @query(
        list[ImportFormat], "The statement files that can be read. Works signed out.", permits=None
    )
    def import_formats(self, info: Info) -> Sequence[domain.links.ImportFormat]:
        return queries.import_formats(info.context.app.providers)
