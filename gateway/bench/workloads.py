"""What is asked: the three documents, the same words for all three servers."""

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import date, timedelta

OURS, RAW, STOCK = "ours", "raw", "stock"
SERVERS = (OURS, RAW, STOCK)

# Of each person: 6 accounts, and of each account these.
HOLDINGS, TRANSACTIONS, BALANCES = 25, 400, 365

DASHBOARD = """\
query Dashboard {
  accounts {
    id name type institution mask currency balance { amount } availableBalance { amount } asOf
    holdings(first: 25) {
      nodes { id security { symbol name } quantity marketPrice { amount } marketValue { amount } }
    }
    transactions(first: 10) {
      nodes { id date amount { amount } description category status }
    }
  }
}"""
TRANSACTION_LIST = """\
query Transactions {
  transactions(first: 100) {
    nodes {
      id type subtype status amount { amount currency } description merchant category date
      settlementDate createdAt
    }
  }
}"""
HISTORY = """\
query History($from: Date!, $to: Date!) {
  accounts {
    id name
    balanceHistory(from: $from, to: $to) {
      at balance { amount currency } availableBalance { amount }
    }
  }
}"""


@dataclass(frozen=True, slots=True, kw_only=True)
class Workload:
    name: str
    operation: str
    document: str
    variables: Mapping[str, str] = field(default_factory=dict)

    def body(self) -> bytes:
        asked = {
            "operationName": self.operation,
            "query": self.document,
            "variables": {**self.variables},
        }
        return json.dumps(asked).encode()


def workloads(last_day: date) -> dict[str, Workload]:
    """By name. `last_day` is the last of which the database holds balances."""
    since = last_day - timedelta(days=BALANCES - 1)
    span = {"from": since.isoformat(), "to": last_day.isoformat()}
    found = (
        Workload(name="dashboard", operation="Dashboard", document=DASHBOARD),
        Workload(name="transactions", operation="Transactions", document=TRANSACTION_LIST),
        Workload(name="history", operation="History", document=HISTORY, variables=span),
    )
    return {workload.name: workload for workload in found}
