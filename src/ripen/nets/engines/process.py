"""A script on another Python, asked over a pipe: one JSON request a line, one answer a line."""

import json
import os
import re
import subprocess
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from ripen.core.errors import EngineRefused


class Process:
    """Started when first asked, and again after it ended because of what it was asked.

    Parameters
    ----------
    python, script : Path
    environment : mapping of str to str
        What is set besides our own environment.
    """

    def __init__(
        self, python: Path, script: Path, environment: Mapping[str, str] | None = None
    ) -> None:
        # Isolated: neither PYTHONPATH nor the script's folder may put a package before its own.
        self._command = [str(python), "-I", str(script)]
        self._environment = {"GLOG_minloglevel": "2", **(environment or {})}
        self._process: subprocess.Popen[str] | None = None
        self._log = tempfile.TemporaryFile("w+", errors="replace")  # noqa: SIM115 - as long as this

    def ask(self, call: str, **request: Any) -> dict[str, Any]:
        """Return the answer to a request.

        Raises
        ------
        EngineRefused
            With the error that was the answer, or the last words of a process that ended.
        """
        process = self._started()
        assert process.stdin is not None
        assert process.stdout is not None
        try:
            process.stdin.write(json.dumps({"call": call, **request}) + "\n")
            process.stdin.flush()
            line = process.stdout.readline()
        except BrokenPipeError:
            line = ""
        if not line:
            raise EngineRefused(self._ended(process))
        answer: dict[str, Any] = json.loads(line)
        if "error" in answer:
            raise EngineRefused(answer["error"])
        return answer

    def close(self) -> None:
        """End the process."""
        if self._process is not None:
            self._ended(self._process)
        self._log.close()

    def _started(self) -> subprocess.Popen[str]:
        if self._process is None:
            self._log.seek(0)
            self._log.truncate()
            self._process = subprocess.Popen(
                self._command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=self._log,
                text=True,
                env=os.environ | self._environment,
            )
        return self._process

    def _ended(self, process: subprocess.Popen[str]) -> str:
        """Wait for its end; return its last fatal line, or its last line, or its exit status."""
        assert process.stdin is not None
        assert process.stdout is not None
        with suppress(BrokenPipeError):  # a request that it ended before reading
            process.stdin.close()
        process.stdout.close()
        status = process.wait()
        self._process = None
        self._log.seek(0)
        said = [line.strip() for line in self._log if line.strip()]
        fatal = [line for line in said if re.match(r"F(\d{4}){1,2} ", line)]
        return (fatal or said or [f"ended with status {status}"])[-1]
