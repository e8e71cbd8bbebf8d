"""The store of documents over our own schema, by the settings."""

from gateway.documents.store import Documents
from gateway.operations.guard import Limits
from gateway.settings import Settings
from schema.identity import STANDS_ALONE
from schema.schema import schema


def documents_of(settings: Settings, *, hide_suggestions: bool) -> Documents:
    figures = settings.limits
    return Documents(
        schema,
        limits=Limits(
            tokens=figures.tokens,
            fields=figures.fields,
            depth=figures.depth,
            aliases=figures.aliases,
            root_fields=figures.root_fields,
            directives=figures.directives,
            fragments=figures.fragments,
            introspection_depth=figures.introspection_depth,
            body=figures.body,
            cost=figures.cost,
        ),
        alone=STANDS_ALONE,
        hide_suggestions=hide_suggestions,
        mode=settings.documents,
    )
