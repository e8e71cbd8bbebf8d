"""A small `dashtam up` for tests: the real tree and database around two stand-in children.

As `stand_in.py up DATA_DIR PORT [CHILD...]` it runs the tree; as `stand_in.py serve|worker|…` it is
a child. Each line on standard output is an event, for the test to read.
"""

import http.server
import os
import signal
import sys
import time
from pathlib import Path
from types import FrameType
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gateway.processes.instance import Instance


class Ready(http.server.BaseHTTPRequestHandler):
    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/readyz" else 404)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:
        """Nothing: standard output is for events."""


def tell(*words: object) -> None:
    # One write, so that lines of several processes never mix.
    os.write(1, (" ".join(map(str, words)) + "\n").encode())


def end(number: int, frame: FrameType | None) -> None:
    tell("ended", sys.argv[1])
    sys.exit(0)


def child(kind: str) -> None:
    signal.signal(signal.SIGTERM, signal.SIG_IGN if kind == "stubborn" else end)
    names = sorted(name for name in os.environ if name.startswith("DASHTAM_"))
    tell("child", kind, os.getpid(), *names)
    if kind == "short-lived":
        sys.exit(3)
    if kind == "serve":
        http.server.HTTPServer(
            ("127.0.0.1", int(os.environ["DASHTAM_PORT"])), Ready
        ).serve_forever()
    while True:
        time.sleep(60)


def before(instance: "Instance") -> None:
    tell("before", instance.database.replace(" ", "_"))
    if os.environ.get("DASHTAM_TEST_SLOW_MIGRATIONS"):
        time.sleep(60)


def main() -> None:
    if sys.argv[1] != "up":
        child(sys.argv[1])
    # Here, so that the children start quickly.
    from gateway.embedded import EmbeddedError
    from gateway.processes.instance import ProcessesError
    from gateway.processes.tree import up

    kinds = sys.argv[4:] or ["serve", "worker"]
    commands = {kind: (sys.executable, __file__, kind) for kind in kinds}
    try:
        up(
            data_dir=Path(sys.argv[2]),
            port=int(sys.argv[3]),
            before=before,
            ready=lambda instance: tell("ready", instance.url, instance.pid),
            say=lambda line: tell("say", line),
            children=commands,
        )
    except (ProcessesError, EmbeddedError) as error:
        sys.exit(str(error))
    tell("down")


if __name__ == "__main__":
    main()
