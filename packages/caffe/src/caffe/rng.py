"""The random numbers of fillers, dropout and shuffles: one generator, as in Caffe."""

from operator import index

import numpy as np
import torch

from caffe.device import current
from caffe.errors import SeedError

_generator = np.random.default_rng()
_torch_generator = torch.Generator()
_torch_generator.seed()
_on_devices: dict[str, torch.Generator] = {}


def set_random_seed(seed: int) -> None:
    """Seed the generators. The numbers differ from real Caffe's.

    Raises
    ------
    SeedError
        If the seed is negative or has more than 32 bits.
    """
    global _generator
    seed = index(seed)
    if not 0 <= seed < 2**32:
        raise SeedError(f"the seed is {seed}. Allowed: 0 to {2**32 - 1}")
    _generator = np.random.default_rng(seed)
    _torch_generator.manual_seed(seed)
    _on_devices.clear()


def generator() -> np.random.Generator:
    """Return the generator of fillers and shuffles."""
    return _generator


def torch_generator() -> torch.Generator:
    """Return the generator of numbers drawn in every pass, such as dropout masks."""
    device = current()
    if device is None:
        return _torch_generator
    if device.name not in _on_devices:
        _on_devices[device.name] = torch.Generator(device.name)
        _on_devices[device.name].manual_seed(_torch_generator.initial_seed())
    return _on_devices[device.name]
