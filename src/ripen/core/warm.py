"""Stages that start as copies of one process, which has imported their libraries already.

A short stage takes six seconds of processor time, five of them to import libraries. `ripen run`
opens one warm process for all its stages. A stage's command finds it by `ADDRESS` and asks it for a
copy (`ask`); the copy takes over the command's folder, environment and output, and imports ripen's
own code itself, so that an edit between two stages counts as ever. Without a warm process, or
where it cannot serve, a stage imports everything itself, with the same result.

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
"""The variable that names the warm process's socket."""
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

    Only Linux has one. Elsewhere libraries of the system are not safe to copy.

    Parameters
    ----------
    command : sequence of str
        Calls `serve` with the number of the socket, which is appended.
    environment : mapping of str to str
        Of the warm process and of the stages.
    """
    if sys.platform != "linux":
        yield dict(environment)
        return
    with (
        tempfile.TemporaryDirectory(prefix="ripen-") as folder,
        socket.socket(socket.AF_UNIX) as listener,
    ):
        address = str(Path(folder) / "warm")
        listener.bind(address)
        listener.listen()
        number = listener.fileno()
        warm = subprocess.Popen(
            [*command, str(number)], env=environment, stdin=subprocess.PIPE, pass_fds=[number]
        )
        try:
            yield {**environment, ADDRESS: address}
        finally:
            warm.communicate()  # closes its standard input, which ends it


def ask(arguments: Sequence[str]) -> int | None:
    """Run a command in a copy of the warm process, and return its exit code.

    None if there is no such process, or it cannot give the command's result.
    """
    address = os.environ.get(ADDRESS)
    if address is None:
        return None
    with socket.socket(socket.AF_UNIX) as connection:
        try:
            connection.connect(address)
        except OSError:  # it has ended: the run that opened it was killed
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


def serve(number: int, kept: Sequence[str], libraries: Sequence[str] = LIBRARIES) -> list[str]:
    """Serve copies of this process; return in each copy, with the command's arguments.

    The libraries are imported once a command has come, one by one between commands. This process
    ends with the one that opened it, and its copies end with it.

    Parameters
    ----------
    number : int
        The socket.
    kept : sequence of str
        Variables whose values here hold in the copies too: libraries have read them.
    libraries : sequence of str, optional
    """
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C is for the commands
    listener = socket.socket(fileno=number)
    poll = select.poll()
    poll.register(listener, select.POLLIN)
    poll.register(0, 0)  # closes when the run ends
    left = iter(libraries)
    asked, importing = False, True
    copies = dict[int, tuple[int, socket.socket]]()  # by the file that tells of their end
    while True:
        for file, _ in poll.poll(0 if asked and importing else None):
            if file == 0:
                raise SystemExit
            if file == number:
                asked = True
                connection = listener.accept()[0]
                if not (copy := os.fork()):
                    listener.close()
                    for ended, (_, other) in copies.items():
                        os.close(ended)
                        other.close()
                    return _taken_over(connection, kept)
                ended = os.pidfd_open(copy)
                poll.register(ended, select.POLLIN)
                poll.register(connection, 0)  # closes when the command is killed
                copies[ended] = copy, connection
            elif file in copies:
                copy, connection = copies.pop(file)
                poll.unregister(file)
                with suppress(KeyError):
                    poll.unregister(connection)
                os.close(file)
                code = os.waitstatus_to_exitcode(os.waitpid(copy, 0)[1])
                with suppress(OSError), connection:
                    connection.sendall(b"%d\n" % (code if code >= 0 else 128 - code))
            else:
                for copy, connection in copies.values():
                    if connection.fileno() == file:
                        os.kill(copy, signal.SIGKILL)
                        poll.unregister(file)
        if asked and importing:
            importing = _imported(next(left, None))


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
