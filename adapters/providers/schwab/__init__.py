"""Charles Schwab, by its Trader API."""

from adapters.providers.schwab.adapter import Schwab

__all__ = ["Schwab"]
