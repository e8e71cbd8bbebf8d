"""What Alpaca's description of its Trading API lets a client ask, in our own words.

test_alpaca_description compares it with the description itself, where that is at hand.
"""

import re
from collections.abc import Callable, Mapping
from datetime import date, datetime

from tests.providers.simulators.base import Received

ACCOUNT, POSITIONS = "/v2/account", "/v2/positions"
HISTORY, ACTIVITIES = "/v2/account/portfolio/history", "/v2/account/activities"
KEY_HEADER, SECRET_HEADER = "APCA-API-KEY-ID", "APCA-API-SECRET-KEY"


def _names(text: str) -> tuple[str, ...]:
    return tuple(text.split())


PAGE_SIZE_MAX = 100
CALLS_A_MINUTE = 200
SCOPES = ("account:write", "trading", "data")
TIMEFRAMES = ("1Min", "5Min", "15Min", "1H", "1D")
DIRECTIONS = ("asc", "desc")
ACTIVITY_TYPES = _names(
    "FILL TRANS MISC ACATC ACATS CSD CSW DIV DIVCGL DIVCGS DIVFEE DIVFT DIVNRA DIVROC DIVTW"
    " DIVTXEX INT INTNRA INTTW JNL JNLC JNLS MA NC OPASN OPEXP OPXRC PTC PTR REORG SC SSO SSP"
    " CFEE FEE"
)
# What Alpaca's own client for Python knows beyond those: 37 with those that both know.
OF_ITS_CLIENT = _names(
    "FILL ACATC ACATS CFEE CIL CSD CSW DIV DIVCGL DIVCGS DIVNRA DIVROC DIVTXEX DIVWH EXTRD FEE"
    " FXTRD INT INTPNL JNLC JNLS MA MEM NC OCT OPASN OPCSH OPEXC OPEXP OPTRD PTC REORG SPIN"
    " SPLIT SWP VOF WH"
)
ACCOUNT_FIELDS = _names(
    "id account_number status currency cash portfolio_value equity last_equity long_market_value"
    " short_market_value created_at multiplier buying_power"
)
POSITION_FIELDS = _names(
    "asset_id symbol exchange asset_class avg_entry_price qty qty_available side market_value"
    " cost_basis unrealized_pl unrealized_plpc unrealized_intraday_pl unrealized_intraday_plpc"
    " current_price lastday_price change_today asset_marginable"
)
FILL_FIELDS = _names(
    "activity_type id cum_qty leaves_qty price qty side symbol transaction_time order_id type"
    " order_status"
)
ENTRY_FIELDS = _names("activity_type id date net_amount symbol qty per_share_amount")
HISTORY_FIELDS = _names("timestamp equity profit_loss profit_loss_pct base_value timeframe")

_DAY = re.compile(r"\d{4}-\d{2}-\d{2}")
_PERIOD = re.compile(r"[1-9]\d*[DWMA]")
_TOKEN = re.compile(r"\d{17}::[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}")


def _is_day(said: str) -> bool:
    try:
        return bool(_DAY.fullmatch(said)) and date.fromisoformat(said) is not None
    except ValueError:
        return False


def _is_time(said: str) -> bool:
    try:
        return _is_day(said) or datetime.fromisoformat(said).tzinfo is not None
    except ValueError:
        return False


def _is_size(said: str) -> bool:
    return said.isdigit() and 1 <= int(said) <= PAGE_SIZE_MAX


PARAMETERS: Mapping[str, Mapping[str, Callable[[str], bool]]] = {
    ACCOUNT: {},
    POSITIONS: {},
    HISTORY: {
        "period": lambda said: bool(_PERIOD.fullmatch(said)),
        "timeframe": lambda said: said in TIMEFRAMES,
        "date_end": _is_day,
        "extended_hours": lambda said: said in ("true", "false"),
    },
    ACTIVITIES: {
        "date": _is_time,
        "until": _is_time,
        "after": _is_time,
        "direction": lambda said: said in DIRECTIONS,
        "page_size": _is_size,
        "page_token": lambda said: bool(_TOKEN.fullmatch(said)),
        "activity_types": lambda said: set(said.split(",")) <= {*ACTIVITY_TYPES},
    },
}


def wrong_with(request: Received) -> str | None:
    """Of its parameters: the sentence that Alpaca would answer."""
    known = PARAMETERS[request.path]
    for name, values in request.query.items():
        if name not in known:
            return f"unknown parameter: {name}"
        if len(values) != 1 or not known[name](values[0]):
            return f"invalid {name}: {','.join(values)}"
    if "date" in request.query and {"after", "until"} & request.query.keys():
        return "date cannot be used with after or until"
    return None
