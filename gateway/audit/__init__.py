"""Sealing the audit log, and telling whether it is what was written."""
