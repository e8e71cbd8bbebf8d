"""Plaid: thousands of institutions behind one, as its description of 2020-09-14 has it."""

from adapters.providers.plaid.adapter import Plaid

__all__ = ["Plaid"]
