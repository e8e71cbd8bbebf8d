"""The process tree of `dashtam up`: the database, the gateway and the worker, under one parent.

Whatever ends the parent ends the tree: a signal in order (children first, database last), kill -9
through the kernel (PR_SET_PDEATHSIG). What a child was doing is in a transaction or in a job.
"""

import ctypes
import http.client
import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import FrameType

from gateway import embedded
from gateway.processes.instance import Instance, ProcessesError, alone, announced

HOST = "127.0.0.1"
# -P: a folder called `schema` or `domain` where the user stands must not shadow ours.
GATEWAY = (sys.executable, "-P", "-m", "gateway")
CHILDREN: Mapping[str, tuple[str, ...]] = {
    "gateway": (*GATEWAY, "serve"),
    "worker": (*GATEWAY, "worker"),
}
POLL_S = 0.05
PORT_MAX = 65_535
PORT_WAIT_S_MAX = 1.0  # a tree that was just killed may still hold it
DRAIN_S_MAX = 35.0  # a request lives 30 s
BACK_OFF_S_MIN, BACK_OFF_S_MAX = 0.5, 30.0
LONG_LIVED_S = 60.0  # who lived so long starts with the shortest back-off again
DEATHS_MAX = 5  # in a row, without a long life between them: it will not get better by itself


def up(
    *,
    data_dir: Path,
    port: int,
    before: Callable[[Instance], None],
    ready: Callable[[Instance], None],
    say: Callable[[str], None],
    environ: Mapping[str, str] | None = None,
    children: Mapping[str, tuple[str, ...]] = CHILDREN,
) -> None:
    """Run the tree until a signal ends it; from the main thread, outside of an event loop.

    Args:
        port: where the gateway listens; 0 takes a free one.
        before: runs once the database answers and before any child starts: migrations.
        ready: runs once, when the gateway's /readyz is green.
        say: one line for the user: what died and is started again.
        environ: what the children inherit; with a DASHTAM_DATABASE_URL that database is used.
        children: name → command; the one called "gateway" answers /readyz.

    Raises:
        ProcessesError: it runs already, the port is taken, or a child keeps dying.
        EmbeddedError: the database cannot run here.
    """
    environ = os.environ if environ is None else environ
    data_dir = data_dir.resolve()
    with ExitStack() as stack:
        stack.enter_context(alone(data_dir))
        signals = stack.enter_context(_signals())
        try:
            port = _free(port)  # before anything is started for nothing
            _check_ops_ports(port, environ, len(children))
            database = stack.enter_context(_database(data_dir, environ, signals))
            instance = _instance(data_dir, port, database)
            stack.enter_context(announced(instance))
            before(instance)
            tree = Tree({**environ, **instance.environ()}, children, signals, database, say)
            signals.interrupt = False
            stack.callback(tree.stop)
            tree.run(instance, ready)
        except KeyboardInterrupt:  # asked to end before the children ran
            return


@dataclass(slots=True)
class Signals:
    """How often we were asked to end: once is in order, twice at once."""

    asked: int = 0
    interrupt: bool = True  # raise KeyboardInterrupt at the first: nobody looks at `asked` yet
    at_once: list[Callable[[], None]] = field(default_factory=list)

    def __call__(self, number: int, frame: FrameType | None) -> None:
        self.asked += 1
        if self.asked > 1:
            for end in self.at_once:
                end()
        elif self.interrupt:
            raise KeyboardInterrupt


@dataclass(slots=True)
class Database:
    """Where the data is: an embedded server, or the operator's own."""

    data_dir: Path
    server: embedded.Server | None
    database_url: str
    migrations_url: str

    def end(self, word: signal.Signals) -> None:
        if self.server and self.server.process:
            self.server.process.send_signal(word)


class Lives:
    """The lives of one process: how long to wait after a death, and when to give up."""

    def __init__(self, name: str) -> None:
        self._name, self._deaths, self._born = name, 0, time.monotonic()

    def begin(self) -> None:
        self._born = time.monotonic()

    def end(self) -> float:
        """Seconds to wait before the next life.

        Raises:
            ProcessesError: it died too often.
        """
        long_lived = time.monotonic() - self._born > LONG_LIVED_S
        self._deaths = 1 if long_lived else self._deaths + 1
        if self._deaths >= DEATHS_MAX:
            raise ProcessesError(
                f"The {self._name} ended {self._deaths} times in a row: mend what it says above "
                "and start again."
            )
        return float(min(BACK_OFF_S_MAX, BACK_OFF_S_MIN * 2 ** (self._deaths - 1)))


class Child:
    """A process that is started again when it ends unasked."""

    def __init__(self, name: str, command: tuple[str, ...], environ: Mapping[str, str]) -> None:
        self.name, self._command, self._environ = name, command, environ
        self._lives = Lives(name)
        self._process: subprocess.Popen[bytes] | None = None
        self._start_at = 0.0

    def look(self, say: Callable[[str], None]) -> None:
        """Start it when its time has come; notice its death."""
        if self._process is None:
            if time.monotonic() >= self._start_at:
                self._start()
        elif (code := self._process.poll()) is not None:
            self._process = None
            wait_s = self._lives.end()
            self._start_at = time.monotonic() + wait_s
            how = f"signal {-code}" if code < 0 else f"exit code {code}"
            say(f"The {self.name} ended unasked ({how}); it is started again in {wait_s:g} s.")

    def signal(self, word: signal.Signals) -> None:
        if self._process and self._process.poll() is None:
            with suppress(ProcessLookupError):
                os.killpg(self._process.pid, word)

    def wait(self, until: float) -> None:
        """Until it ended; at `until`, in monotonic seconds, it is ended."""
        if self._process:
            try:
                self._process.wait(max(0.0, until - time.monotonic()))
            except subprocess.TimeoutExpired:
                self.signal(signal.SIGKILL)
                self._process.wait()

    def _start(self) -> None:
        self._lives.begin()
        self._process = subprocess.Popen(  # noqa: S603 - our own commands
            self._command,
            env=self._environ,
            stdin=subprocess.DEVNULL,
            start_new_session=True,  # Ctrl-C is for the parent, who ends everyone in order
            preexec_fn=tied_to(os.getpid()),  # noqa: PLW1509 - the parent has no other thread
        )


class Tree:
    def __init__(
        self,
        environ: Mapping[str, str],
        children: Mapping[str, tuple[str, ...]],
        signals: Signals,
        database: Database,
        say: Callable[[str], None],
    ) -> None:
        self._children = [
            Child(name, command, {**environ, **_of_its_own(number, environ)})
            for number, (name, command) in enumerate(children.items())
        ]
        self._signals, self._database, self._say = signals, database, say
        self._database_lives = Lives("database")
        signals.at_once += [self.kill]

    def run(self, instance: Instance, ready: Callable[[Instance], None]) -> None:
        waiting = True
        while not self._signals.asked:
            self._look_at_the_database()
            for child in self._children:
                child.look(self._say)
            if waiting and is_ready(instance.port):
                waiting = False
                ready(instance)
            time.sleep(POLL_S)

    def stop(self) -> None:
        for child in self._children:
            child.signal(signal.SIGTERM)
        until = time.monotonic() + DRAIN_S_MAX
        for child in self._children:
            child.wait(until)

    def kill(self) -> None:
        for child in self._children:
            child.signal(signal.SIGKILL)

    def _look_at_the_database(self) -> None:
        server = self._database.server
        if server and not embedded.is_running(server):
            wait_s = self._database_lives.end()
            self._say(f"The database ended unasked; it is started again in {wait_s:g} s.")
            time.sleep(wait_s)
            self._database_lives.begin()
            self._database.server = embedded.start(self._database.data_dir)


@contextmanager
def _signals() -> Iterator[Signals]:
    signals = Signals()
    kinds = [signal.SIGINT, signal.SIGTERM]
    if signal.getsignal(signal.SIGHUP) != signal.SIG_IGN:  # nohup means it
        kinds.append(signal.SIGHUP)
    before = {kind: signal.signal(kind, signals) for kind in kinds}
    try:
        yield signals
    finally:
        for kind, handler in before.items():
            signal.signal(kind, handler)


@contextmanager
def _database(data_dir: Path, environ: Mapping[str, str], signals: Signals) -> Iterator[Database]:
    if given := environ.get("DASHTAM_DATABASE_URL"):
        owner = environ.get("DASHTAM_MIGRATIONS_URL") or given
        yield Database(data_dir, None, given, owner)
        return
    server = embedded.start(data_dir)
    database = Database(data_dir, server, server.app_url, server.owner_url)
    signals.at_once.append(lambda: database.end(signal.SIGQUIT))  # recovery loses nothing
    try:
        yield database
    finally:
        signals.interrupt = False
        if database.server:
            embedded.stop(database.server)


def _instance(data_dir: Path, port: int, database: Database) -> Instance:
    server = database.server
    return Instance(
        url=f"http://{HOST}:{port}",
        pid=os.getpid(),
        port=port,
        data_dir=str(data_dir),
        database=f"PostgreSQL {server.version}, embedded" if server else "DASHTAM_DATABASE_URL",
        database_url=database.database_url,
        migrations_url=database.migrations_url,
    )


def _of_its_own(number: int, environ: Mapping[str, str]) -> dict[str, str]:
    """The first child has the port for operators that is set, each other the one after it."""
    first = environ.get("DASHTAM_OPS_PORT", "")
    return {"DASHTAM_OPS_PORT": str(int(first) + number)} if first.isdecimal() else {}


def _check_ops_ports(port: int, environ: Mapping[str, str], children: int) -> None:
    for number in range(children):
        for name, ops_port in _of_its_own(number, environ).items():
            # Both could be bound, and who asks the gateway would be answered by the other.
            if int(ops_port) == port:
                raise ProcessesError(
                    f"{name} would take port {port}, which is the gateway's: choose another, with "
                    "the next one free too."
                )
            _free(int(ops_port), by=name)


def _free(port: int, *, by: str = "--port") -> int:
    """That port, or any for 0, if nobody listens on it."""
    if port > PORT_MAX:
        raise ProcessesError(f"There is no port {port}: choose one up to {PORT_MAX} with {by}.")
    until = time.monotonic() + PORT_WAIT_S_MAX
    while True:
        with socket.socket() as probe:
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            try:
                probe.bind((HOST, port))
            except PermissionError as error:
                raise ProcessesError(
                    f"Port {port} is not yours to open: choose one above 1023 with {by}."
                ) from error
            except OSError as error:
                if time.monotonic() > until:
                    raise ProcessesError(
                        f"Port {port} is in use by another program: end that, or choose another "
                        f"port with {by}."
                    ) from error
            else:
                return int(probe.getsockname()[1])
        time.sleep(POLL_S)


def is_ready(port: int) -> bool:
    """Whether what answers on this port of this machine may receive traffic."""
    asked = http.client.HTTPConnection(HOST, port, timeout=1)
    try:
        asked.request("GET", "/readyz")
        return asked.getresponse().status == http.client.OK
    except (OSError, http.client.HTTPException):
        return False
    finally:
        asked.close()


def tied_to(parent: int) -> Callable[[], None]:
    """What a new child does first: ask the kernel to end it with its parent."""
    libc = ctypes.CDLL(None)
    prctl = getattr(libc, "prctl", None)  # Linux only

    def tie() -> None:
        if prctl:
            prctl(1, signal.SIGKILL)  # PR_SET_PDEATHSIG
            if os.getppid() != parent:
                os._exit(0)  # it died before we asked

    return tie
