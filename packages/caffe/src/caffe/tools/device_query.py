"""`caffe device_query`: the devices that nets can run on."""

import platform
from collections.abc import Sequence

import torch

from caffe.errors import CaffeError
from caffe.tools.flags import Flags


def main(argv: Sequence[str]) -> int:
    """Print the CPU's line, then each CUDA device in `-gpu` (all if it is empty)."""
    flags = Flags("device_query", "Show the devices that nets can run on.")
    flags.add("gpu", "", "indexes of CUDA devices, separated by commas, or all")
    found = flags.parse(argv)
    print(f"{'PyTorch:':32}{torch.__version__}")
    print(f"{'CPU:':32}{platform.processor() or platform.machine()}")
    print(f"{'Vector instructions:':32}{torch.backends.cpu.get_cpu_capability()}")
    print(f"{'Threads:':32}{torch.get_num_threads()}")
    print(f"{'CUDA devices:':32}{torch.cuda.device_count()}")
    for device in _devices(found.gpu):
        print()
        _show(device)
    return 0


def _devices(gpu: str) -> list[int]:
    count = torch.cuda.device_count()
    if gpu in ("", "all"):
        return list(range(count))
    numbers = [part.strip() for part in gpu.split(",")]
    for number in numbers:
        if not number.isdecimal() or int(number) >= count:
            raise CaffeError(f"-gpu {gpu}: no device '{number}'. There are {count} CUDA devices")
    return [int(number) for number in numbers]


def _show(device: int) -> None:
    properties = torch.cuda.get_device_properties(device)
    for name, value in (
        ("Device id", device),
        ("Name", properties.name),
        ("Major revision number", properties.major),
        ("Minor revision number", properties.minor),
        ("Total global memory", properties.total_memory),
        ("Number of multiprocessors", properties.multi_processor_count),
    ):
        print(f"{name + ':':32}{value}")
