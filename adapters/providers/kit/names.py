"""What providers are called where people read it."""

NAMES = {
    "alpaca": "Alpaca",
    "plaid": "Plaid",
    "sandbox": "Sandbox",
    "schwab": "Charles Schwab",
    "simplefin": "SimpleFIN",
}


def named(slug: str) -> str:
    return NAMES.get(slug, slug)
