"""The sandbox: a provider that needs no account anywhere, behind the port that all have."""

from adapters.providers.sandbox.adapter import INFO, SLUG, Sandbox

__all__ = ["INFO", "SLUG", "Sandbox"]
