"""Each test starts a process, because the variables must be set before numpy is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from ripen.core.reproducibility import PORTABLE, THREADS, waiting

SOURCE = str(Path(__file__).parents[3] / "src")


def python(code: str, **environment: str) -> subprocess.CompletedProcess[str]:
    kept = {k: v for k, v in os.environ.items() if not k.endswith("_NUM_THREADS")}
    return subprocess.run(
        [
            sys.executable,
            "-W",
            "error",
            "-c",
            f"from ripen.core.reproducibility import hold\n{code}",
        ],
        env=kept | {"PYTHONPATH": SOURCE} | environment,
        capture_output=True,
        text=True,
    )


@pytest.mark.slow
@pytest.mark.parametrize(("choice", "threads"), [("portable", 1), ("fast", 1), ("fast", 2)])
def test_the_number_of_threads_is_the_setting(choice: str, threads: int) -> None:
    done = python(
        f"hold('{choice}', {threads})\n"
        "import numpy, sklearn, torch\n"
        "from threadpoolctl import threadpool_info\n"
        "numpy.ones((9, 9)) @ numpy.ones((9, 9))\n"
        "print(torch.get_num_threads(), {pool['num_threads'] for pool in threadpool_info()})"
    )
    assert (done.stdout, done.stderr) == (f"{threads} {{{threads}}}\n", "")


@pytest.mark.slow
def test_portable_limits_torch_to_avx2_and_numpy_to_its_baseline() -> None:
    done = python(
        "hold('portable', 1)\n"
        "import torch\n"
        "from numpy._core._multiarray_umath import __cpu_dispatch__, __cpu_features__\n"
        "print(torch.backends.cpu.get_cpu_capability(), "
        "any(__cpu_features__[name] for name in __cpu_dispatch__))"
    )
    assert (done.stdout, done.stderr) == ("AVX2 False\n", "")


def test_a_late_call_is_an_error() -> None:
    done = python("import numpy\nhold('portable', 1)")
    assert done.returncode == 1
    assert (
        "RuntimeError: hold() was called too late: numpy is already imported. Call it before"
        in done.stderr
    )


def test_numpys_enabled_features_are_unset() -> None:
    code = "hold('portable', 1)\nimport numpy\nprint('well')"
    assert python(code, NPY_ENABLE_CPU_FEATURES="X86_V3").stdout == "well\n"


@pytest.mark.slow
def test_hold_equals_variables_set_before_the_start() -> None:
    code = """import hashlib
import numpy as np, torch
x = np.random.default_rng(0).integers(-999, 999, (300, 6)) / 500
t = torch.sigmoid(torch.from_numpy(x).float())
w = torch.nn.functional.conv2d(t.reshape(1, 3, 20, 30), t[:9, :3].reshape(1, 3, 3, 3))
bytes_ = [np.exp(x), x.T @ x, np.linalg.inv(x.T @ x), (t.T @ t).numpy(), torch.exp(t), w]
print(hashlib.sha256(b"".join(np.asarray(b).tobytes() for b in bytes_)).hexdigest())"""
    inside = python("hold('portable', 1)\n" + code)
    before = python(code, **PORTABLE, **dict.fromkeys(THREADS, "1"))
    assert (inside.stdout, inside.stderr) == (before.stdout, "")
    assert len(inside.stdout) == 65


def test_a_late_call_with_the_same_values_is_fine() -> None:
    code = "hold('portable', 1)\nimport numpy\nhold('portable', 1)\nprint('well')"
    assert python(code).stdout == "well\n"


BUSY = "some avg10=97.43 avg60=97.53 avg300=98.06 total=22991494201\nfull avg10=0.00 total=0\n"


@pytest.mark.parametrize(
    ("pressure", "threads", "given", "count"),
    [
        (BUSY, 2, {}, "1000"),
        (BUSY.replace("97.43", "3.10"), 2, {}, None),  # free now
        (BUSY, 1, {}, None),  # waits for nobody
        (BUSY, 2, {"OMP_WAIT_POLICY": "active"}, None),  # the user's word
        (BUSY, 2, {"GOMP_SPINCOUNT": "7"}, None),
        ("", 2, {}, None),  # another system
    ],
)
def test_threads_spin_on_a_free_machine_only(
    pressure: str, threads: int, given: dict[str, str], count: str | None
) -> None:
    assert waiting(pressure, threads, given).get("GOMP_SPINCOUNT") == count
