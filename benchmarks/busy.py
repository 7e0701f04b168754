"""Two threads on a machine that is not idle: what waiting at a barrier costs.

python -m benchmarks.busy            (beside one busy process that it starts, about a minute)
python -m benchmarks.busy --idle     (without one)

OpenMP's threads spin where they wait for each other, and lose their turn to the other process.
"""

import argparse
import os
import subprocess
import sys
from collections.abc import Sequence

SETTINGS: dict[str, dict[str, str]] = {
    "one thread": {"OMP_NUM_THREADS": "1"},
    "two threads": {"OMP_NUM_THREADS": "2"},
    "two, OMP_WAIT_POLICY=passive": {"OMP_NUM_THREADS": "2", "OMP_WAIT_POLICY": "passive"},
    **{
        f"two, GOMP_SPINCOUNT={count}": {"OMP_NUM_THREADS": "2", "GOMP_SPINCOUNT": str(count)}
        for count in (1000, 10_000, 30_000, 100_000)
    },
}
BUSY = "while True: pass"
MEASURED = """
import logging, sys, time
import numpy as np
import caffe
from ripen.nets.zoo import DEFINITIONS
logging.getLogger("caffe").setLevel(logging.ERROR)
net = caffe.Net(DEFINITIONS["squeezenet"].deploy(), caffe.TEST)
data = np.ones((2, 3, 115, 115), np.float32)
net.blobs["data"].reshape(*data.shape)
net.forward(data=data)
count, began = 0, time.perf_counter()
while time.perf_counter() - began < float(sys.argv[1]):
    net.forward(data=data)
    count += len(data)
print(count / (time.perf_counter() - began))
"""


def rate(settings: dict[str, str], seconds: float) -> float:
    """Return SqueezeNet's images a second in a process with these variables."""
    command = [sys.executable, "-c", MEASURED, str(seconds)]
    done = subprocess.run(
        command, env=os.environ | settings, check=True, capture_output=True, text=True
    )
    return float(done.stdout)


def main(arguments: Sequence[str] | None = None) -> None:
    """Print images a second with each setting, the best of some rounds in turn."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--idle", action="store_true", help="start no busy process")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=4)
    given = parser.parse_args(arguments)
    beside = None
    if not given.idle:
        beside = subprocess.Popen(["nice", "-n", "19", sys.executable, "-c", BUSY])
    try:
        rounds = [
            [rate(settings, given.seconds) for settings in SETTINGS.values()]
            for _ in range(given.rounds)
        ]
    finally:
        if beside is not None:
            beside.kill()
    best = [max(rates) for rates in zip(*rounds, strict=True)]
    for name, found in zip(SETTINGS, best, strict=True):
        print(f"{name:32}{found:8.1f} images/s{found / best[1]:8.2f} of two threads")


if __name__ == "__main__":
    main()
