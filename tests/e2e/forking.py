"""The program, imported once; whoever asks at its socket gets a fork of it that runs a command.

Importing takes a second of CPU time, which some hundred starts of a test session would each pay. A
fork differs from a fresh process only in what was imported. It ends with whoever asked for it, and
all of them with the test session.
"""

import gc
import json
import os
import resource
import select
import signal
import socket
import sys
from pathlib import Path
from typing import Any, NoReturn

import gateway.asgi
import gateway.audit.command
import gateway.documents.command
import gateway.keys.command
import gateway.processes.serving
import gateway.shell.people
import gateway.shell.runs
import gateway.shell.schema_check
import gateway.worker.process  # noqa: F401 - all of them for the forks
from gateway.__main__ import main

ASKED_MAX = 1 << 20


def serve(listening: socket.socket) -> None:
    """Until the session ends, whose end of our standard input is closed then."""
    assert len([*Path("/proc/self/task").iterdir()]) == 1  # forks have no threads but the first
    while True:
        ready, _, _ = select.select([listening, sys.stdin], [], [])
        if sys.stdin in ready:
            return
        asking, _ = listening.accept()
        if os.fork() == 0:
            listening.close()
            _attend(asking)
        asking.close()


def _attend(asking: socket.socket) -> NoReturn:
    """Start one, tell who it is and how it ended; end it where nobody waits for it."""
    signal.signal(signal.SIGCHLD, signal.SIG_DFL)
    with asking.makefile("rb") as lines:
        asked = json.loads(lines.readline(ASKED_MAX))
    pid = os.fork()
    if pid == 0:
        asking.close()
        _run(asked)
    asking.sendall(b"%d\n" % pid)
    ended = os.pidfd_open(pid)
    ready, _, _ = select.select([ended, asking.fileno()], [], [])
    if ended not in ready:
        os.kill(pid, signal.SIGKILL)
    _, status = os.waitpid(pid, 0)
    if ended in ready:
        asking.sendall(b"%d\n" % os.waitstatus_to_exitcode(status))
    os._exit(0)


def _run(asked: dict[str, Any]) -> NoReturn:
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(asked["environ"])
    os.chdir(asked["folder"])
    ways = os.O_WRONLY | os.O_APPEND | os.O_CREAT
    os.dup2(os.open(asked["stdin"], os.O_RDONLY), 0)
    os.dup2(os.open(asked["stdout"], ways), 1)
    os.dup2(os.open(asked["stderr"], ways), 2)
    os.closerange(3, min(resource.getrlimit(resource.RLIMIT_NOFILE)[0], 1_024))
    sys.argv[1:] = asked["words"]
    main(asked["words"], prog_name="dashtam")
    sys.exit()  # as a process of its own ends, with all that it does at its end


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for who attends
    gc.collect()
    gc.freeze()  # what is not looked at is not copied
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(sys.argv[1])
        listening.listen(64)
        serve(listening)
