"""MLflow's own pages on the runs: the server, and the addresses of the saved views."""

import os
import signal
import subprocess
import sys
import time
import urllib.request
import webbrowser
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

from ripen.core.errors import StoreError
from ripen.core.processes import check_port, end
from ripen.settings.schema import Run
from ripen.track import experiments, saved_views

HOST = "127.0.0.1"
# MLflow's assistant opens by itself, over a third of the page, at the address 127.0.0.1 and at
# localhost, and has no setting for that. Browsers resolve names below localhost themselves (RFC
# 6761), and at such a name it stays closed.
NAME = "ripen.localhost"
STARTING = 120.0  # seconds
ENDING = 10.0  # seconds
# One worker is enough for one user, and MLflow's jobs concern only what ripen does not log.
SERVER = ["-m", "mlflow", "ui", "--workers", "1", "--uvicorn-opts", "--log-level warning"]
QUIET = {"MLFLOW_SERVER_ENABLE_JOB_EXECUTION": "false", "PYTHONWARNINGS": "ignore"}


def run(settings: Run, port: int, *, browser: bool) -> int:
    """Show the runs until Ctrl-C; if `tracking.uri` is a server, name its pages and return.

    Parameters
    ----------
    settings : Run
        Sections `tracking` and `competitions`.
    port : int
        Of this machine.
    browser : bool
        Whether to open one, if there is a screen.

    Returns
    -------
    int
        Exit code.

    Raises
    ------
    UsageError
        If the port is not free.
    StoreError
        If the store cannot be read, or the server does not start.
    """
    store = experiments.store_uri(settings)
    pages = experiment_pages(settings)
    if store.startswith(("http://", "https://")):
        show(store.rstrip("/"), pages, browser=browser)
        return 0
    check_port(HOST, port, "ripen ui", 5000)
    with server(store, port) as ended:
        show(f"http://{NAME}:{port}", pages, browser=browser)
        print(f"for programs, or a browser that does not know {NAME}: http://{HOST}:{port}")
        print("Ctrl-C ends it", flush=True)
        return ended()


def experiment_pages(settings: Run) -> dict[str, str]:
    """Return the pages of each competition's experiment, by name: paths below the server's address.

    These are its saved views, or its list of runs if it has none. The last run's competitions come
    first, then those of earlier runs, which have views.
    """
    pages: dict[str, str] = {}
    known = experiments.all_experiments(settings)
    for name in dict.fromkeys([*settings.competitions, *sorted(known)]):
        if found := known.get(name):
            views = saved_views.paths(found.experiment_id, found.tags)
            # Else MLflow's menu would be the one for language models.
            training = "workflowType=machine_learning"
            plain = {"runs": f"/#/experiments/{found.experiment_id}/runs?{training}"}
            shown = views or (plain if name in settings.competitions else {})
            pages |= {f"{name}, {view}": path for view, path in shown.items()}
    return pages


def show(address: str, pages: dict[str, str], *, browser: bool) -> None:
    """Print the pages' addresses, and open the first."""
    print(f"the runs are at {address}")
    for name, path in pages.items():
        print(f"  {name}: {address}{path}")
    if not pages:
        print("  there are none yet. Run: ripen run")
    if browser and _screen():
        webbrowser.open(address + next(iter(pages.values()), ""))


@contextmanager
def server(store: str, port: int) -> Iterator[Callable[[], int]]:
    """Run MLflow's server; yield a function that waits for its end.

    The server and its child processes end with the block.

    Raises
    ------
    StoreError
        If it does not start.
    """
    command = [sys.executable, *SERVER, "--host", HOST, "--port", str(port)]
    # SIGINT too: a shell script starts its background processes with SIGINT ignored.
    before = {one: signal.signal(one, _interrupt) for one in (signal.SIGINT, signal.SIGTERM)}
    process = subprocess.Popen(
        [*command, "--backend-store-uri", store, *_named(port)],
        env=os.environ | QUIET,
        stdout=subprocess.DEVNULL,
    )
    try:
        _wait_for(process, port)
        yield process.wait
    except KeyboardInterrupt:
        print()
    finally:
        end(process, signal.SIGTERM, ENDING)
        for one, handler in before.items():
            signal.signal(one, handler)


def _named(port: int) -> list[str]:
    """Return the options by which the server answers to its names, and to no other."""
    hosts = [f"{name}:{port}" for name in (NAME, HOST, "localhost")]
    origins = ",".join(f"http://{host}" for host in hosts)
    return ["--allowed-hosts", ",".join(hosts), "--cors-allowed-origins", origins]


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def _wait_for(process: "subprocess.Popen[bytes]", port: int) -> None:
    end = time.monotonic() + STARTING
    while True:
        try:
            urllib.request.urlopen(f"http://{HOST}:{port}/health", timeout=5).close()
            return
        except OSError:
            if process.poll() is not None or time.monotonic() > end:
                raise StoreError(
                    "MLflow's server did not start; its output is above. Try: mlflow ui"
                ) from None
            time.sleep(0.2)


def _screen() -> bool:
    """Whether a browser can open a window, and not only a page in this terminal."""
    if sys.platform in ("darwin", "win32"):
        return True
    return any(os.environ.get(name) for name in ("DISPLAY", "WAYLAND_DISPLAY", "BROWSER"))
