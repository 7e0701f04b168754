"""Stages that start as copies of one process, which has imported their libraries already.

A short stage takes six seconds of processor time, five of them to import libraries. `ripen run`
opens one warm process for all its stages (`process`), and names it by `ADDRESS`. Under a plain
`dvc repro` the first stage opens one, which ends with DVC. A stage's command asks it for a copy
(`ask`); the copy takes over the command's folder, environment and output, and imports ripen's own
code itself, so that an edit between two stages counts as ever. Without a warm process, or where it
cannot serve, a stage imports everything itself, with the same result.

The two talk over a Unix socket: the command sends its three standard files and a line of JSON, the
copy answers with its process number, the warm process with the exit code. Each number is a line.
"""

import ctypes
import gc
import importlib
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path

ADDRESS = "RIPEN_WARM"
"""The variable that names the warm process's socket. Empty, it turns warm processes off."""
DVC_STAGE = "DVC_STAGE"
"""The variable in which DVC gives a command the name of its stage."""
OF_DVC = ".ripen/warm-{}"  # the socket below a clone, by the number of the DVC process
REFUSED = 75
"""The exit code of a copy that cannot give the command's result (EX_TEMPFAIL of sysexits.h)."""
HANDED_ON = (signal.SIGINT, signal.SIGTERM)
PR_SET_PDEATHSIG = 1  # of prctl(2): a process gets this signal when its parent ends
LIBRARIES = (
    "numpy",
    "pandas",
    "sklearn.ensemble",
    "sklearn.linear_model",
    "sklearn.compose",
    "mlflow.store.tracking.sqlalchemy_store",
    "torch",
    "matplotlib.pyplot",
    "sklearn.feature_extraction.text",
    "sklearn.naive_bayes",
    "sklearn.neighbors",
    "sklearn.svm",
    "h5py",
    "google.protobuf.text_format",
)
"""What most stages import and takes long, in the order in which a run needs it."""


@contextmanager
def process(command: Sequence[str], environment: Mapping[str, str]) -> Iterator[dict[str, str]]:
    """Open a warm process; yield the environment in which stages find it.

    Parameters
    ----------
    command : sequence of str
        Calls `serve` with the numbers of this process and of the socket, which are appended.
    environment : mapping of str to str
        Of the warm process and of the stages.
    """
    with tempfile.TemporaryDirectory(prefix="ripen-") as folder:
        address = str(Path(folder) / "warm")
        if (warm := _opened(address, os.getpid(), command, environment)) is None:
            yield dict(environment)
            return
        try:
            yield {**environment, ADDRESS: address}
        finally:
            warm.kill()
            warm.wait()


def _opened(
    address: str, owner: int, command: Sequence[str], environment: Mapping[str, str]
) -> "subprocess.Popen[bytes] | None":
    """Open a warm process that ends with the process `owner`; None where there can be none.

    Only Linux has one. Elsewhere libraries of the system are not safe to copy.
    """
    if sys.platform != "linux":
        return None
    with socket.socket(socket.AF_UNIX) as listener:
        try:
            os.makedirs(os.path.dirname(address), exist_ok=True)
            listener.bind(address)
        except OSError:  # a file system without sockets, or one to read only
            return None
        listener.listen()
        number = listener.fileno()
        # Its output is no stage's. An open end of DVC's would keep a reader of DVC waiting.
        return subprocess.Popen(
            [*command, str(owner), str(number)], env=environment, pass_fds=[number],
            stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL,
        )  # fmt: skip


def ask(arguments: Sequence[str], command: Sequence[str]) -> int | None:
    """Run a command in a copy of the warm process, and return its exit code.

    None if there is no such process, or it cannot give the command's result.

    Parameters
    ----------
    arguments : sequence of str
        Of the command.
    command : sequence of str
        As for `process`: opens a warm process under a DVC that has none yet.
    """
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(_address(command))
        except OSError:  # there is none, or it has ended: the run that opened it was killed
            return None
        # Signals wait until it is known where they go.
        signal.pthread_sigmask(signal.SIG_BLOCK, HANDED_ON)
        request = {"arguments": [*arguments], "folder": os.getcwd(), "environment": {**os.environ}}
        socket.send_fds(connection, [b"\n"], [0, 1, 2])
        connection.sendall(json.dumps(request).encode() + b"\n")
        answers = connection.makefile("rb")
        if not (copy := answers.readline()):
            signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
            return None
        code = _followed(int(copy), answers)
    return None if code == REFUSED else code


def _address(command: Sequence[str]) -> str:
    """Return the warm process's socket, that of DVC's warm process included; "" if none."""
    if ADDRESS in os.environ or (owner := _dvc()) is None:
        return os.environ.get(ADDRESS, "")
    # In the clone, where other users may not write; short, because a socket's name must be.
    address = OF_DVC.format(owner)
    if not os.path.exists(address):
        _opened(address, owner, command, os.environ)
    return address


def _dvc() -> int | None:
    """Return the number of the DVC process that runs this command; None if none does."""
    if sys.platform != "linux" or DVC_STAGE not in os.environ:
        return None
    import psutil  # takes longer than all else here

    with suppress(psutil.Error):  # somebody else's process, or one that has ended
        # A shell between the two has the variable, too.
        for parent in psutil.Process().parents():
            if DVC_STAGE not in parent.environ():
                return parent.pid
    return None


def _followed(copy: int, answers: Iterator[bytes]) -> int:
    """Wait for a copy's exit code, and hand on to it the signals that reach its command."""

    def hand_on(number: int, _: object) -> None:
        with suppress(ProcessLookupError):
            os.kill(copy, number)

    before = {number: signal.signal(number, hand_on) for number in HANDED_ON}
    signal.pthread_sigmask(signal.SIG_UNBLOCK, HANDED_ON)
    answer = next(answers, b"")
    for number, handler in before.items():
        signal.signal(number, handler)
    if not answer:  # the warm process was killed
        hand_on(signal.SIGKILL, None)
        return 128 + signal.SIGKILL
    return int(answer)


def serve(
    owner: int, number: int, kept: Sequence[str], libraries: Sequence[str] = LIBRARIES
) -> list[str]:
    """Serve copies of this process; return in each copy, with the command's arguments.

    The libraries are imported once a command has ended, one by one between commands: a run of one
    short stage does not need them. This process ends with its owner, and its copies end with it.

    Parameters
    ----------
    owner, number : int
        The process whose stages are served, and the socket.
    kept : sequence of str
        Variables whose values here hold in the copies too: libraries have read them.
    libraries : sequence of str, optional
    """
    for name in HANDED_ON:  # Ctrl-C, and what else ends a group of processes, is for the commands
        signal.signal(name, signal.SIG_IGN)
    listener = socket.socket(fileno=number)
    owners_end = os.pidfd_open(owner)
    copies = _Copies()
    copies.poll.register(listener, select.POLLIN)
    copies.poll.register(owners_end, select.POLLIN)
    left, importing = iter(libraries), False
    while True:
        for file, _ in copies.poll.poll(0 if importing else None):
            if file == owners_end:
                with suppress(OSError):
                    os.unlink(listener.getsockname())
                raise SystemExit
            if file != number:
                importing |= copies.settle(file)
                continue
            connection = listener.accept()[0]
            if not (copy := os.fork()):
                for other in (listener, *copies.forget()):
                    other.close()
                os.close(owners_end)
                return _taken_over(connection, kept)
            copies.add(copy, connection)
        if importing:
            importing = _imported(next(left, None))


class _Copies:
    """Copies at work, each with the connection to its command."""

    def __init__(self) -> None:
        self.poll = select.poll()
        self._at_work = dict[int, tuple[int, socket.socket]]()  # by the file that tells of the end

    def add(self, copy: int, connection: socket.socket) -> None:
        end = os.pidfd_open(copy)
        self.poll.register(end, select.POLLIN)
        self.poll.register(connection, 0)  # tells that the command was killed
        self._at_work[end] = copy, connection

    def settle(self, file: int) -> bool:
        """Answer a copy's command at its end, or kill the copy of a command that was killed.

        Return whether a copy has ended.
        """
        if file not in self._at_work:
            for copy, connection in self._at_work.values():
                if connection.fileno() == file:
                    os.kill(copy, signal.SIGKILL)
                    self.poll.unregister(file)
            return False
        copy, connection = self._at_work.pop(file)
        self.poll.unregister(file)
        with suppress(KeyError):
            self.poll.unregister(connection)
        os.close(file)
        code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
        with suppress(OSError), connection:
            connection.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
        return True

    def forget(self) -> list[socket.socket]:
        """Return the connections, which a new copy closes: they are not its own."""
        for end in self._at_work:
            os.close(end)
        return [connection for _, connection in self._at_work.values()]


def _imported(library: str | None) -> bool:
    """Import a library, if it is there; return whether there was one to import."""
    if library is None:
        gc.collect()
        gc.freeze()  # copies share its objects, as long as nothing writes to them
        return False
    with suppress(ImportError):
        importlib.import_module(library)
    return True


def _taken_over(connection: socket.socket, kept: Sequence[str]) -> list[str]:
    """Make this process what the command would have been; return its arguments."""
    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)
    # Ctrl-C reaches the processes of a group. This one gets it from its command, and so only once.
    os.setpgid(0, 0)
    signal.signal(signal.SIGINT, signal.default_int_handler)
    signal.signal(signal.SIGTERM, signal.SIG_DFL)
    _, files, *_ = socket.recv_fds(connection, 1, 3)
    for number, file in enumerate(files):
        os.dup2(file, number)
        os.close(file)
    request = json.loads(connection.makefile("rb").readline())
    own = {name: os.environ[name] for name in kept if name in os.environ}
    os.environ.update(request["environment"] | own)
    os.chdir(request["folder"])
    connection.sendall(b"%d\n" % os.getpid())
    connection.close()
    arguments: list[str] = request["arguments"]
    sys.argv[1:] = arguments
    return arguments
