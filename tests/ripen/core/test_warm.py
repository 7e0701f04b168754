import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from ripen.core import warm

SERVES = """
import os, sys, time
from ripen.core import warm

words = warm.serve(*map(int, sys.argv[1:]), ["KEPT"], ["wave", "no_such_library"])
if words[0] == "sleep":
    try:
        print(os.getpid(), flush=True)
        time.sleep(60)
    except KeyboardInterrupt:
        print("interrupted", flush=True)
        sys.exit(130)
if words[0] == "raise":
    raise ValueError("no such stage")
if words[0] == "parent":
    print(os.getppid(), "wave" in sys.modules)
    sys.exit()
if words[0] == "exit":
    sys.exit(int(words[1]))
print(words, os.getcwd(), os.environ["KEPT"], os.environ["OWN"], "wave" in sys.modules)
print("to standard error", file=sys.stderr)
"""
ASKS = "import sys; from ripen.core import warm; print('code', warm.ask(sys.argv[1:], []))"
DVC = """
import os, subprocess, sys

serves, asks = sys.argv[1:]
command = [sys.executable, "-c", asks, serves]
for shell in (["sh", "-c", '"$@"; :', "sh"], []):
    subprocess.run([*shell, *command], env=os.environ | {"DVC_STAGE": "fetch"})
print(os.listdir(".ripen"), flush=True)
sys.stdin.read()
"""
ASKS_OF_DVC = """
import sys
from ripen.core import warm

print("code", warm.ask(["parent"], [sys.executable, "-c", sys.argv[1]]), flush=True)
"""

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="only Linux has a warm process")


@pytest.fixture
def environment() -> Iterator[dict[str, str]]:
    command = [sys.executable, "-c", SERVES]
    with warm.process(command, os.environ | {"KEPT": "kept"}) as found:
        yield found


def asked(
    environment: dict[str, str], *words: str, folder: Path | None = None
) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-c", ASKS, *words], env=environment, cwd=folder, text=True,
        stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def test_a_copy_is_what_its_command_would_have_been(
    environment: dict[str, str], tmp_path: Path
) -> None:
    own = environment | {"KEPT": "not this", "OWN": "its own"}
    imported = []
    for _ in range(2):
        out, errors = asked(own, "a", "b c", folder=tmp_path).communicate()
        first, code = out.splitlines()
        assert first.startswith(f"['a', 'b c'] {tmp_path} kept its own ")
        assert (code, errors) == ("code 0", "to standard error\n")
        imported.append(first.rpartition(" ")[2])
    assert imported == ["False", "True"]  # the first did not wait for the libraries


def test_exit_codes_and_tracebacks_are_those_of_the_command(environment: dict[str, str]) -> None:
    assert asked(environment, "exit", "3").communicate() == ("code 3\n", "")
    out, errors = asked(environment, "raise").communicate()
    assert out == "code 1\n"
    assert errors.endswith("ValueError: no such stage\n")


def test_commands_run_side_by_side(environment: dict[str, str]) -> None:
    sleeps = asked(environment, "sleep")
    assert asked(environment, "exit", "4").communicate()[0] == "code 4\n"
    sleeps.kill()
    sleeps.communicate()


@pytest.mark.parametrize(
    ("number", "said"), [(signal.SIGINT, "interrupted\ncode 130\n"), (signal.SIGTERM, "code 143\n")]
)
def test_a_signal_to_the_command_reaches_its_copy(
    environment: dict[str, str], number: signal.Signals, said: str
) -> None:
    command = asked(environment, "sleep")
    assert command.stdout is not None
    copy = psutil.Process(int(command.stdout.readline()))
    command.send_signal(number)
    assert command.communicate()[0] == said
    copy.wait(60)


def test_a_copy_ends_when_its_command_is_killed(environment: dict[str, str]) -> None:
    command = asked(environment, "sleep")
    assert command.stdout is not None
    copy = psutil.Process(int(command.stdout.readline()))
    command.kill()
    command.communicate()
    copy.wait(60)
    assert asked(environment, "exit", "5").communicate()[0] == "code 5\n"


def test_copies_end_with_the_run() -> None:
    with warm.process([sys.executable, "-c", SERVES], os.environ) as environment:
        command = asked(environment, "sleep")
        assert command.stdout is not None
        copy = psutil.Process(int(command.stdout.readline()))
    copy.wait(60)
    assert command.communicate()[0] == f"code {128 + signal.SIGKILL}\n"


def test_without_a_warm_process_nothing_is_asked(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.delenv(warm.ADDRESS, raising=False)
    assert warm.ask(["fetch"], []) is None
    monkeypatch.setenv(warm.ADDRESS, str(tmp_path / "ended"))
    assert warm.ask(["fetch"], []) is None


def test_a_refused_command_runs_by_itself(environment: dict[str, str]) -> None:
    out, _ = asked(environment, "exit", str(warm.REFUSED)).communicate()
    assert out == "code None\n"


def test_stages_of_a_plain_dvc_share_a_warm_process_that_ends_with_it(tmp_path: Path) -> None:
    environment = {k: v for k, v in os.environ.items() if k not in (warm.ADDRESS, warm.DVC_STAGE)}
    dvc = subprocess.Popen(
        [sys.executable, "-c", DVC, SERVES, ASKS_OF_DVC], env=environment, cwd=tmp_path, text=True,
        stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL,
    )  # fmt: skip
    assert dvc.stdout is not None
    first, code, second, again, sockets = (dvc.stdout.readline().split() for _ in range(5))
    assert code == again == ["code", "0"]
    assert [first[1], second[1]] == ["False", "True"]
    assert first[0] == second[0] != str(dvc.pid)
    assert sockets == [f"['warm-{dvc.pid}']"]
    process = psutil.Process(int(first[0]))
    process.terminate()  # as `timeout` ends a group
    dvc.kill()
    dvc.communicate()
    process.wait(60)
    assert not [*(tmp_path / ".ripen").iterdir()]
