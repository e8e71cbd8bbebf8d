"""The messages of a stream; lines end in LF, and JSON of ours has none."""

COMPLETE = b"event: complete\ndata:\n\n"  # without `data` EventSource would not show it
HEARTBEAT = b":\n\n"


def following(reply: bytes, cursor: str | None = None) -> bytes:
    """A result, in JSON; a browser that comes back sends the last cursor as Last-Event-ID."""
    id = b"" if cursor is None else b"id: %b\n" % cursor.encode()
    return b"event: next\n%bdata: %b\n\n" % (id, reply)


def only(reply: bytes) -> bytes:
    """All of an answer that is not a stream."""
    return following(reply) + COMPLETE


def retry(after_s: float) -> bytes:
    """For EventSource: how long to wait before it comes back."""
    return b"retry: %d\n\n" % round(after_s * 1000)
