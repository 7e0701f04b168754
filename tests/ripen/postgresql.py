"""A PostgreSQL server of a test's own, where Debian's package `postgresql` is installed."""

import os
import pwd
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

OPTIONS = "-c listen_addresses='' -c fsync=off -c unix_socket_directories={folder}"


def _programs() -> Path:
    """Return the folder of the server's programs, which Debian keeps out of PATH."""
    found = shutil.which("initdb") or max(
        map(str, Path("/usr/lib/postgresql").glob("*/bin/initdb")), default=None
    )
    if found is None:
        pytest.skip("PostgreSQL is not installed (Debian: apt-get install postgresql)")
    pytest.importorskip("psycopg", reason="PostgreSQL's driver is not installed")
    return Path(found).resolve().parent


@contextmanager
def server(*databases: str) -> Iterator[list[str]]:
    """Run a server while the block runs; yield the addresses of new, empty databases."""
    programs = _programs()
    # A socket's path has 107 characters at most, so not in pytest's folder.
    with tempfile.TemporaryDirectory(prefix="pg") as temporary:
        folder = Path(temporary)
        who: dict[str, str] = {}
        if os.geteuid() == 0:  # the server refuses to run as root
            known = {entry.pw_name for entry in pwd.getpwall()}
            who = {"user": "postgres" if "postgres" in known else "nobody"}
            shutil.chown(folder, **who)

        def run(program: str, *arguments: str) -> None:
            command = [str(programs / program), *arguments]
            subprocess.run(command, check=True, stdout=subprocess.DEVNULL, cwd=folder, **who)  # type: ignore[call-overload]

        # The name that clients take by default: an address in the settings holds none.
        me = pwd.getpwuid(os.geteuid()).pw_name
        data, log = str(folder / "data"), str(folder / "log")
        run("initdb", "-D", data, "-U", me, "-A", "trust", "--no-sync")
        run("pg_ctl", "-D", data, "-l", log, "-w", "-o", OPTIONS.format(folder=folder), "start")
        try:
            for name in databases:
                run("createdb", "-h", temporary, "-U", me, name)
            yield [f"postgresql+psycopg:///{name}?host={temporary}" for name in databases]
        finally:
            run("pg_ctl", "-D", data, "-m", "immediate", "stop")
