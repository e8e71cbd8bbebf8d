"""The GraphQL language over the domain; nothing is decided here."""

import strawberry
from graphql import GraphQLInputObjectType, GraphQLSchema
from strawberry.schema.config import StrawberryConfig

from schema import descriptions, errors, events, ids, plain
from schema.accounts import AccountMutation, AccountQuery
from schema.admin import AdminMutation, AdminQuery
from schema.changes import ChangeQuery
from schema.context import Info
from schema.events import EventSubscription
from schema.history import HistoryQuery
from schema.holdings import HoldingQuery
from schema.identity import IdentityMutation, IdentityQuery
from schema.imports import ImportMutation
from schema.links import LinkMutation, LinkQuery
from schema.manual_accounts import ManualAccountMutation
from schema.nodes import NodeQuery
from schema.passwords import PasswordMutation
from schema.portfolio import PortfolioQuery
from schema.providers import ProviderQuery
from schema.registration import RegistrationMutation
from schema.rotation import RotationMutation
from schema.scalars import SCALARS
from schema.second_factor import SecondFactorMutation
from schema.sessions import SessionMutation
from schema.signing_in import SigningInMutation
from schema.sync import SyncMutation, SyncQuery, SyncSubscription
from schema.transactions import TransactionMutation, TransactionQuery


@strawberry.type(
    description="Everything read in one operation is of one instant. Ids that are malformed, "
    "unknown or somebody else's are null, and in a filter match nothing."
)
class Query(
    AdminQuery,
    SyncQuery,
    ChangeQuery,
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
class Mutation(
    AdminMutation,
    ManualAccountMutation,
    AccountMutation,
    TransactionMutation,
    ImportMutation,
    SyncMutation,
    LinkMutation,
    IdentityMutation,
    RegistrationMutation,
    PasswordMutation,
    RotationMutation,
    SessionMutation,
    SigningInMutation,
    SecondFactorMutation,
):
    pass


@strawberry.type(
    description="What goes on as it happens, over a WebSocket or an event stream. Each event is of "
    "one instant."
)
class Subscription(EventSubscription, SyncSubscription):
    pass


_strawberry = strawberry.Schema(
    Query,
    Mutation,
    Subscription,
    types=[*errors.TYPES.values(), *events.TYPES],
    config=StrawberryConfig(info_class=Info, scalar_map=SCALARS),
)
schema: GraphQLSchema = _strawberry._schema  # noqa: SLF001 - what graphql-core executes
plain.install(schema)
ids.install(schema)
for _kind in schema.type_map.values():
    # Strawberry checks it for itself, as a literal is made a value: too late to be validated.
    if isinstance(_kind, GraphQLInputObjectType):
        _kind.is_one_of = _kind.extensions["strawberry-definition"].is_one_of
descriptions.install(schema)


def printed() -> str:
    """The SDL that `schema.graphql` holds."""
    return _strawberry.as_str() + "\n"
