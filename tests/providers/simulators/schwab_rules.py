"""What Schwab's description of its Trader API lets a client ask, in our own words.

test_schwab_description compares it with the description itself, where that is at hand.
"""

import re
from datetime import UTC, datetime, timedelta

from tests.providers.simulators.base import Received


def _words(text: str) -> list[str]:
    return text.split()


BASE = "/trader/v1"
AUTHORIZE, TOKEN = "/v1/oauth/authorize", "/v1/oauth/token"
NUMBERS, ACCOUNTS = "/accounts/accountNumbers", "/accounts"
TRANSACTIONS, PREFERENCES = "/accounts/{accountNumber}/transactions", "/userPreference"

TYPES = _words(
    "TRADE RECEIVE_AND_DELIVER DIVIDEND_OR_INTEREST ACH_RECEIPT ACH_DISBURSEMENT CASH_RECEIPT"
    " CASH_DISBURSEMENT ELECTRONIC_FUND WIRE_OUT WIRE_IN JOURNAL MEMORANDUM MARGIN_CALL"
    " MONEY_MARKET SMA_ADJUSTMENT"
)
STATUSES = _words("VALID INVALID PENDING UNKNOWN")
ACCOUNT_TYPES = ("CASH", "MARGIN")
FEES = _words(
    "COMMISSION SEC_FEE STR_FEE R_FEE CDSC_FEE OPT_REG_FEE ADDITIONAL_FEE MISCELLANEOUS_FEE"
    " FUTURES_EXCHANGE_FEE LOW_PROCEEDS_COMMISSION BASE_CHARGE GENERAL_CHARGE GST_FEE TAF_FEE"
    " INDEX_OPTION_FEE UNKNOWN"
)
EFFECTS = _words("OPENING CLOSING AUTOMATIC UNKNOWN")
REQUIRED = ("startDate", "endDate", "types")
KNOWN = {ACCOUNTS: {"fields"}, NUMBERS: set[str](), PREFERENCES: set[str]()}
KNOWN[TRANSACTIONS] = {*REQUIRED, "symbol"}
SCOPES = ("readonly", "api")  # of its example, and what a token says

ROWS_MAX = 3_000
WINDOW_MAX = timedelta(days=366)  # "1 year", of which some have a day more
CODE_LIFETIME = timedelta(seconds=30)
TOKEN_LIFETIME = timedelta(minutes=30)
AUTHORIZED_FOR = timedelta(days=7)

TRANSACTION_FIELDS = _words(
    "activityId time accountNumber type status subAccount tradeDate settlementDate positionId"
    " orderId netAmount activityType description transferItems"
)
ITEM_FIELDS = _words("instrument amount cost price feeType positionEffect")
POSITION_FIELDS = _words(
    "shortQuantity longQuantity averagePrice marketValue currentDayProfitLoss longOpenProfitLoss"
    " shortOpenProfitLoss settledLongQuantity settledShortQuantity instrument"
)

_INSTANT = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}:\d{2}:\d{2}\.\d{3}Z")
_NUMBER = re.compile(r"\d{8}")  # an account's own, which may not stand in a path


def wrong_with(asked: Received, path: str) -> str | None:
    """`path` is that of the description, behind BASE."""
    unknown = asked.query.keys() - KNOWN[path]
    if unknown:
        return f"{path} has no parameter {min(unknown)}"
    if path == ACCOUNTS:
        fields = asked.param("fields")
        return None if fields in (None, "positions") else "fields is positions"
    return _window(asked) if path == TRANSACTIONS else None


def is_plain(account: str) -> bool:
    return bool(_NUMBER.fullmatch(account))


def _window(asked: Received) -> str | None:
    for name in REQUIRED:
        if not asked.param(name):
            return f"{name} is required, once"
    begins, ends = asked.param("startDate") or "", asked.param("endDate") or ""
    for said in (begins, ends):
        if not _INSTANT.fullmatch(said):
            return f"{said} is not yyyy-MM-dd'T'HH:mm:ss.SSSZ"
    if instant(ends) <= instant(begins):
        return "endDate is not after startDate"
    if instant(ends) - instant(begins) > WINDOW_MAX:
        return "more than a year"
    wrong = {*types_of(asked)} - {*TYPES}
    return f"there is no type {min(wrong)}" if wrong else None


def types_of(asked: Received) -> list[str]:
    return (asked.param("types") or "").split(",")


def instant(said: str) -> datetime:
    return datetime.strptime(said, "%Y-%m-%dT%H:%M:%S.%fZ").replace(tzinfo=UTC)
