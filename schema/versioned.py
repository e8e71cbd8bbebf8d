"""Which fields are versioned: whose values change only together with the viewer's data version.

Links without their bookkeeping, accounts, securities, holdings and transactions, and what the
program itself says of providers. An answer of nothing else is the same for as long as the version
is. What depends on the hour, on rates, on the viewer's settings, on runs or on sessions is not
versioned, nor is what any of these may be: `node` finds a session as well as an account.
"""

from collections.abc import Iterable, Mapping

from graphql import (
    DocumentNode,
    FieldNode,
    FragmentDefinitionNode,
    GraphQLNamedType,
    GraphQLSchema,
    InlineFragmentNode,
    OperationDefinitionNode,
    OperationType,
    SelectionSetNode,
    get_named_type,
    is_abstract_type,
    is_interface_type,
    is_object_type,
)

VERSIONED: Mapping[str, str] = {
    "Query": "account accounts changes holdings importFormats link links providers transactions",
    "Account": """
        id institution name nickname mask type group currency balance availableBalance creditLimit
        asOf isActive includedInNetWorth link holdings transactions provider
    """,
    "Link": """
        id alias status connectedAt credentialsExpireAt syncEverySeconds accounts error
        actionRequired provider
    """,
    "Security": "id symbol name assetType currency isin cusip figi multiplier option",
    "OptionTerms": "underlying side strike expiresOn",
    "Holding": """
        id security quantity averagePrice costBasis marketPrice marketValue unrealizedGain
        unrealizedGainPercent asOf isActive account
    """,
    "HoldingConnection": "nodes totalCount edges pageInfo",
    "HoldingEdge": "cursor node",
    "Transaction": """
        id type subtype status amount description merchant category notes date settlementDate
        removedAt security quantity unitPrice commission createdAt updatedAt account
    """,
    "TransactionConnection": "nodes totalCount edges pageInfo",
    "TransactionEdge": "cursor node",
    "Money": "amount currency",
    "PageInfo": "hasNextPage hasPreviousPage startCursor endCursor",
    "ChangeSet": "upserted deletedIds cursor hasMore",
    "Provider": """
        slug name category authMethods capabilities credentialFields documentationUrl enabled
    """,
    "CredentialField": "name label secret required",
    "ImportFormat": "extension name maxBytes provider",
    # What is wrong with a link, kept as it was told.
    "Conflict": "code message field existingId",
    "CredentialsRejected": "code message field provider",
    "InvalidInput": "code message field",
    "NotFound": "code message field",
    "NotPermitted": "code message field",
    "ProviderUnavailable": "code message field provider retryAfterSeconds",
    "RateLimited": "code message field retryAfterSeconds",
    "UnreadableFile": "code message field line",
}

EVERY = "*"
_WHOLE = """
    Admin AuditEntry AuditEntryConnection AuditEntryEdge AuditIntegrity BalancePoint
    ExchangeRate Finding GroupTotal JobsStatus NetWorth NetWorthPoint
    ProviderTotal QuarantinedRow Reconciliation SecurityConfig Session
    SyncCounts SyncRun SyncRunConnection SyncRunEdge User UserConnection UserEdge Viewer
"""
# Named as well, so that a new field is one or the other on purpose.
UNVERSIONED: Mapping[str, str] = {
    "Query": """
        admin balanceHistory netWorth netWorthHistory node nodes syncRun syncRuns viewer
    """,
    "Account": "balanceHistory latestBalance reconciliation",
    "Link": "lastSyncedAt nextSyncAt consecutiveFailures lastRun",
    **dict.fromkeys(_WHOLE.split(), EVERY),
}

_FIELDS = {name: frozenset(fields.split()) for name, fields in VERSIONED.items()}


def is_versioned(schema: GraphQLSchema, document: DocumentNode) -> bool:
    """Whether every field of a valid document is, whatever @skip leaves out of it: each fragment
    is looked at once. What holds a mutation or a subscription is not."""
    for definition in document.definitions:
        if isinstance(definition, OperationDefinitionNode):
            if definition.operation is not OperationType.QUERY:
                return False
            parent: GraphQLNamedType | None = schema.query_type
        elif isinstance(definition, FragmentDefinitionNode):
            parent = schema.get_type(definition.type_condition.name.value)
        else:
            return False
        if parent is None or not _all_versioned(schema, parent, definition.selection_set):
            return False
    return True


def _all_versioned(
    schema: GraphQLSchema, parent: GraphQLNamedType, selected: SelectionSetNode
) -> bool:
    """A fragment's own selections are looked at where it is defined."""
    for node in selected.selections:
        if isinstance(node, FieldNode) and node.name.value != "__typename":
            of, inside = _of_field(schema, parent, node.name.value), node.selection_set
        elif isinstance(node, InlineFragmentNode):
            condition, inside = node.type_condition, node.selection_set
            of = schema.get_type(condition.name.value) if condition else parent
        else:
            continue
        if of is None or (inside is not None and not _all_versioned(schema, of, inside)):
            return False
    return True


def _of_field(
    schema: GraphQLSchema, parent: GraphQLNamedType, field: str
) -> GraphQLNamedType | None:
    """What it is of, where the field is versioned of every type that the parent may be."""
    if not (is_object_type(parent) or is_interface_type(parent)) or field not in parent.fields:
        return None
    if any(field not in _FIELDS.get(kind.name, ()) for kind in _possible(schema, parent)):
        return None
    of: GraphQLNamedType = get_named_type(parent.fields[field].type)
    return of


def _possible(schema: GraphQLSchema, parent: GraphQLNamedType) -> Iterable[GraphQLNamedType]:
    return schema.get_possible_types(parent) if is_abstract_type(parent) else (parent,)
