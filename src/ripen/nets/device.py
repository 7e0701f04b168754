"""The device of a competition's nets: the processor, or a GPU that torch finds."""

import os
import time
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
import torch
from numpy.typing import NDArray

import caffe
from caffe.blob import Blob
from caffe.device import current, use
from caffe.errors import CaffeError, MemoryExceeded
from ripen.core.errors import DeviceError

T = TypeVar("T")


def available() -> str:
    """Return "cuda" where torch finds a GPU, else "cpu"."""
    return "cuda" if torch.cuda.is_available() else "cpu"


@contextmanager
def on(device: str) -> Iterator[None]:
    """Let nets compute on a device within the block.

    Parameters
    ----------
    device : "cpu", "cuda" or "cuda:N"
        "cpu" leaves the mode as it is, which is the processor's unless a script changed it.

    Raises
    ------
    DeviceError
        If there is no such device, torch refuses its driver, it fails, or its memory does not
        suffice.
    """
    if device == "cpu":
        yield
        return
    if device == "auto":
        raise DeviceError("device 'auto' is resolved by the settings. Run: ripen compose")
    before = current()
    try:
        # torch counts devices without their driver: the first bytes there try it.
        caffe.set_device(int(device.partition(":")[2] or 0))
        caffe.set_mode_gpu()
        torch.zeros(1, device=current().name)  # type: ignore[union-attr]
    except (CaffeError, RuntimeError) as error:
        use(before)
        raise DeviceError(
            f"device '{device}': {_line(error)}. Choose device=cpu, or see docs/how-to/gpu.md"
        ) from None
    try:
        yield
    except MemoryExceeded as error:
        raise DeviceError(
            f"device '{device}': {error}: images.batch_size of features, batch_size of a model"
        ) from None
    except RuntimeError as error:
        if "CUDA" not in str(error):
            raise
        raise DeviceError(f"device '{device}' failed: {_line(error)}") from None
    finally:
        use(before)


def workers() -> int:
    """Return how many processes decode images: all cores ahead of a GPU, none for the processor.

    The processor decodes in threads, which share its cores with the net. The number changes no
    result.
    """
    return 0 if current() is None else len(os.sched_getaffinity(0))


def pin(array: NDArray[np.float32]) -> Callable[[], object]:
    """Lock an array into memory if the current device is a GPU of CUDA (`ripen.data.ahead.Pin`)."""
    where = current()
    if where is None or not where.name.startswith("cuda"):
        return lambda: None
    cudart = torch.cuda.cudart()  # type: ignore[no-untyped-call]
    place = array.ctypes.data
    cudart.cudaHostRegister(place, array.nbytes, 0)  # if it is refused, copies are slower
    return lambda: cudart.cudaHostUnregister(place)


def put(blob: Blob, values: NDArray[np.float32]) -> None:
    """Give a net's input its values; on a GPU by one copy, which the values need not outlive."""
    where = current()
    blob.reshape(*values.shape)
    if where is None:
        blob.data[...] = values
    else:
        blob.set_data(where.upload(torch.from_numpy(values)))


@dataclass
class Waits:
    """What a GPU's run waits for, in seconds: images to be decoded, and the net."""

    decoder: float = 0
    net: float = 0

    def drawn(self, batches: Iterable[T]) -> Iterator[T]:
        """Yield batches, and add up the time until each, and that of the work with it."""
        before = time.perf_counter()
        for batch in batches:
            now = time.perf_counter()
            self.decoder += now - before
            yield batch
            before = time.perf_counter()
            self.net += before - now

    def __str__(self) -> str:
        """Say which of both waits for the other."""
        total = self.decoder + self.net
        share = self.decoder / total if total else 0
        waits = "the net waits for the decoder" if share > 0.1 else "the decoder waits for the net"
        return f"{waits}: {share:.0%} of {total:.0f} s went by until images were decoded"


def _line(error: Exception) -> str:
    """Return the first line of an error, without what was on its way."""
    text = str(error).partition("\n")[0].removeprefix("set_mode_gpu(): ")
    return text.partition(". Allowed: set_mode_cpu")[0].rstrip(".")
