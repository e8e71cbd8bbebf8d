"""Alpaca: shares, options and coins, by a key of the owner's own or by their consent."""

from adapters.providers.alpaca.adapter import Alpaca

__all__ = ["Alpaca"]
