"""The GraphQL language over the domain; nothing is decided here."""

import strawberry
from graphql import GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from schema import errors, ids
from schema.accounts import AccountQuery
from schema.context import Info
from schema.history import HistoryQuery
from schema.holdings import HoldingQuery
from schema.identity import IdentityMutation, IdentityQuery
from schema.imports import ImportMutation
from schema.links import LinkMutation, LinkQuery
from schema.nodes import NodeQuery
from schema.portfolio import PortfolioQuery
from schema.providers import ProviderQuery
from schema.scalars import SCALARS
from schema.sync import SyncMutation, SyncQuery
from schema.transactions import TransactionQuery


@strawberry.type(
    description="Everything read in one operation is of one instant. Ids that are malformed, "
    "unknown or somebody else's are null, and in a filter match nothing."
)
class Query(
    SyncQuery,
    PortfolioQuery,
    HistoryQuery,
    TransactionQuery,
    HoldingQuery,
    AccountQuery,
    LinkQuery,
    ProviderQuery,
    NodeQuery,
    IdentityQuery,
):
    pass


@strawberry.type(
    description="Every payload has `errors`, empty on success. What a payload shows is read after "
    "the change was committed."
)
class Mutation(ImportMutation, SyncMutation, LinkMutation, IdentityMutation):
    pass


_strawberry = strawberry.Schema(
    Query,
    Mutation,
    types=list(errors.TYPES.values()),
    config=StrawberryConfig(info_class=Info, scalar_map=SCALARS),
)
schema: GraphQLSchema = _strawberry._schema  # noqa: SLF001 - what graphql-core executes
ids.install(schema)


def printed() -> str:
    """The SDL that `schema.graphql` holds."""
    return _strawberry.as_str() + "\n"
