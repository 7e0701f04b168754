"""The random numbers of fillers, dropout and shuffles: one generator, as in Caffe."""

import numpy as np
import torch

_generator = np.random.default_rng()
_torch_generator = torch.Generator()
_torch_generator.seed()


def set_random_seed(seed: int) -> None:
    """Start the generators anew from a seed. The numbers are not real Caffe's."""
    global _generator
    _generator = np.random.default_rng(seed)
    _torch_generator.manual_seed(seed)


def generator() -> np.random.Generator:
    """Return the generator of fillers and shuffles."""
    return _generator


def torch_generator() -> torch.Generator:
    """Return the generator of what is drawn anew in every pass, such as dropout."""
    return _torch_generator
