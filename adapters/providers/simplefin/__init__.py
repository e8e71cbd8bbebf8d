"""SimpleFIN: a person's own bridge to many banks, versions 1 and 2 of its protocol."""

from adapters.providers.simplefin.adapter import SimpleFin

__all__ = ["SimpleFin"]
