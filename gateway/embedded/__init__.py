"""The PostgreSQL that `dashtam up` brings: a real server, private to one data directory."""

from gateway.embedded.binaries import EmbeddedError
from gateway.embedded.server import Server, is_running, start, stop

__all__ = ["EmbeddedError", "Server", "is_running", "start", "stop"]
