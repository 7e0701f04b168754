"""Processes: a free port for those that ripen starts, their end, and whether one still runs."""

import os
import signal
import socket
import subprocess
from contextlib import suppress
from typing import Any

import psutil

from ripen.core.errors import UsageError


def check_port(host: str, port: int, command: str, usual: int) -> None:
    """Make sure that an address is one of this machine's, and its port free.

    Parameters
    ----------
    host : str
    port : int
    command : str
        That of the server, for the error: "ripen ui".
    usual : int
        The port that the error suggests where the next one may not be free either.

    Raises
    ------
    UsageError
        If not.
    """
    try:
        family, kind, _, _, address = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)[0]
        with socket.socket(family, kind) as probe:
            # As servers do: without it a port stays busy for a minute after its server's end.
            probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            probe.bind(address)
    except OSError as error:
        reason = (error.strerror or str(error)).lower()
        other = port + 1 if 1024 <= port < 65535 else usual
        raise UsageError(
            f"{host}, port {port}, is not available: {reason}. If {command} is not running there: "
            f"{command} --port {other}"
        ) from None


def end(process: "subprocess.Popen[Any]", sent: signal.Signals, seconds: float) -> None:
    """End a process and its descendants, if it runs: by a signal, then by force.

    Parameters
    ----------
    process : Popen
    sent : Signals
    seconds : float
        How long to wait before the ones left are killed.
    """
    if process.poll() is not None:
        return
    with suppress(psutil.NoSuchProcess):
        found = psutil.Process(process.pid)
        family = [*found.children(recursive=True), found]
        for each in family:
            with suppress(psutil.NoSuchProcess):
                each.send_signal(sent)
        for each in psutil.wait_procs(family, seconds)[1]:
            with suppress(psutil.NoSuchProcess):
                each.kill()
    process.wait()


def identity() -> dict[str, Any]:
    """Return what identifies this process among those of all machines: host, pid and start."""
    started = psutil.Process().create_time()
    return {"host": socket.gethostname(), "pid": os.getpid(), "started": started}


def gone(host: str, pid: int, started: float) -> bool:
    """Whether a process ran on this machine and no longer exists (`identity`)."""
    if host != socket.gethostname():
        return False
    try:
        # The system uses a number again, but not its start.
        return psutil.Process(pid).create_time() != started
    except psutil.NoSuchProcess:
        return True
