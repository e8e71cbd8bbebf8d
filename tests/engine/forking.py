"""A process that does each line of its standard input in a fork of itself, which may be killed."""

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Mapping
from typing import Any, TypeAlias

import structlog

Run: TypeAlias = Callable[[Mapping[str, Any]], Awaitable[None]]


def serve(run: Run) -> None:
    """Says each child's id, and "ended" with its code, or the signal's number below zero."""
    structlog.configure(logger_factory=structlog.ReturnLoggerFactory())
    child = 0
    for line in sys.stdin:
        if child:
            os.waitpid(child, 0)
        child = os.fork()
        if child == 0:
            asyncio.run(_done(run, json.loads(line)))
            os._exit(0)
        sys.stdout.write(f"{child}\n")
        sys.stdout.flush()
        # It is reaped with the next line: until then its id is nobody else's.
        ended = os.waitid(os.P_PID, child, os.WEXITED | os.WNOWAIT)
        assert ended is not None
        code = ended.si_status if ended.si_code == os.CLD_EXITED else -ended.si_status
        sys.stdout.write(f"ended {code}\n")
        sys.stdout.flush()


async def _done(run: Run, said: Mapping[str, Any]) -> None:
    await run(said)
