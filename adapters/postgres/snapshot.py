"""What a viewer reads: one snapshot of their own rows, a room each of `reads`."""

from adapters.postgres.reads.accounts import AccountReads
from adapters.postgres.reads.administration import AdministrationReads
from adapters.postgres.reads.audit import AuditReads
from adapters.postgres.reads.changes import ChangeReads
from adapters.postgres.reads.events import EventReads
from adapters.postgres.reads.history import HistoryReads
from adapters.postgres.reads.holdings import HoldingReads
from adapters.postgres.reads.identity import IdentityReads
from adapters.postgres.reads.links import LinkReads
from adapters.postgres.reads.rates import RateReads
from adapters.postgres.reads.reconciliation import ReconciliationReads
from adapters.postgres.reads.securities import SecurityReads
from adapters.postgres.reads.sessions import SessionReads
from adapters.postgres.reads.statements import Abandoned
from adapters.postgres.reads.sync import SyncReads
from adapters.postgres.reads.transactions import TransactionReads

__all__ = ["Abandoned", "Snapshot"]


class Snapshot(
    IdentityReads,
    SessionReads,
    LinkReads,
    AccountReads,
    SecurityReads,
    HoldingReads,
    TransactionReads,
    HistoryReads,
    RateReads,
    ReconciliationReads,
    ChangeReads,
    SyncReads,
    EventReads,
    AuditReads,
    AdministrationReads,
):
    """`domain.storage.reads.Reads` on PostgreSQL, for one operation.

    Made without a word to the server. Raises Unavailable while it is away, and Abandoned for what
    is still being read when the operation is closed.
    """
