"""What the sandbox's household spends: bills, and what goes on the card."""

from dataclasses import dataclass
from datetime import date

from adapters.providers.sandbox.dice import Dice

# Due from this day of the month, lowest and highest amount in cents, payee, category.
BILLS = (
    (8, 84_00, 187_00, "City Power & Light", "Utilities"),
    (12, 69_99, 69_99, "Northwind Broadband", "Internet"),
    (14, 58_20, 58_20, "Tailspin Wireless", "Phone"),
    (16, 31_00, 74_00, "Municipal Water", "Utilities"),
    (18, 142_36, 142_36, "Contoso Insurance", "Insurance"),
)

# Merchant, category, lowest and highest amount in cents.
_SHOPS = (
    ("Blue Bottle Coffee", "Coffee", 4_25, 12_80),
    ("Whole Foods Market", "Groceries", 28_40, 164_20),
    ("Trader Joe's", "Groceries", 18_15, 96_75),
    ("Shell", "Fuel", 32_00, 71_50),
    ("Chipotle", "Restaurants", 11_35, 38_90),
    ("Amazon", "Shopping", 8_99, 142_00),
    ("Target", "Shopping", 12_49, 118_30),
    ("CVS Pharmacy", "Health", 6_79, 54_20),
    ("Lyft", "Transport", 9_15, 42_60),
    ("Powell's Books", "Shopping", 11_95, 64_00),
    ("Home Depot", "Home", 14_27, 155_80),
    ("Alaska Airlines", "Travel", 118_00, 396_40),
)
_RARE = 12  # the last shop is met in one draw of this many times the others
# On this day of the month, merchant, amount in cents.
_SUBSCRIPTIONS = ((3, "Netflix", 15_49), (11, "Spotify", 11_99), (19, "The New York Times", 17_00))


@dataclass(frozen=True, slots=True, kw_only=True)
class Purchase:
    """On the card; `id` is that of its pending row, `amount` in cents and negative."""

    id: str
    kind: str
    amount: int
    text: str
    merchant: str
    category: str


def authorized(day: date, dice: Dice) -> list[Purchase]:
    """One purchase at least, so that there is always something that settles tomorrow."""
    found = [_bought(day, number, dice) for number in range(1 + dice.below(2))]
    for due, merchant, amount in _SUBSCRIPTIONS:
        if day.day == due:
            found.append(
                Purchase(
                    id=f"auth-{day:%Y%m%d}-{due}s",
                    kind="purchase",
                    amount=-amount,
                    text=f"{merchant.upper()} SUBSCRIPTION",
                    merchant=merchant,
                    category="Subscriptions",
                )
            )
    if dice.one_in(45):
        found.append(
            Purchase(
                id=f"auth-{day:%Y%m%d}-r",
                kind="refund",
                amount=dice.between(9_00, 60_00),
                text="TARGET RETURN",
                merchant="Target",
                category="Shopping",
            )
        )
    return found


def is_held(day: date) -> bool:
    """On every seventh day a fuel pump's hold is seen, which never settles and is gone next day."""
    return day.toordinal() % 7 == 0


def hold_id(day: date) -> str:
    return f"auth-{day:%Y%m%d}-h"


def holds(day: date) -> list[Purchase]:
    if not is_held(day):
        return []
    return [
        Purchase(
            id=hold_id(day),
            kind="purchase",
            amount=-1_00,
            text="SHELL OIL PUMP AUTHORIZATION",
            merchant="Shell",
            category="Fuel",
        )
    ]


def _bought(day: date, number: int, dice: Dice) -> Purchase:
    drawn = dice.below((len(_SHOPS) - 1) * _RARE + 1)
    merchant, category, low, high = _SHOPS[drawn // _RARE]
    store = dice.between(100, 999)
    return Purchase(
        id=f"auth-{day:%Y%m%d}-{number}",
        kind="purchase",
        amount=-dice.between(low, high),
        text=f"{merchant.upper()} #{store} PORTLAND OR",
        merchant=merchant,
        category=category,
    )
