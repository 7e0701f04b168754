"""The weights of a PyTorch network, from a file that runs nothing when it is read."""

import pickle
import re
from pathlib import Path

import torch
from torch import nn

from ripen.core.errors import DataError, UsageError

State = dict[str, torch.Tensor]
# How many batches a normalization has seen is of no use, and old files do not say.
COUNTER = "num_batches_tracked"
# Names that could not be a module's any more since PyTorch 0.4, in torchvision's DenseNets.
_OLD = re.compile(r"(denselayer\d+\.(?:norm|relu|conv))\.([12])\.")


def load(module: nn.Module, file: Path) -> None:
    """Fill a module's weights.

    Parameters
    ----------
    module : Module
    file : Path
        What `torch.save` wrote of a state, alone or under the name "state_dict" or "model"; or a
        `.safetensors` file.

    Raises
    ------
    DataError
        If the file is no such state, or another network's.
    UsageError
        If it is a `.safetensors` file, and the package that reads them is not installed.
    """
    state = {_OLD.sub(r"\1\2.", key): value for key, value in read(file).items()}
    own: State = module.state_dict()
    for key, value in own.items():
        if key not in state:
            if not key.endswith(COUNTER):
                raise DataError(f"{file}: has no '{key}'")
            state[key] = value
        if state[key].shape != value.shape:
            found, wanted = tuple(state[key].shape), tuple(value.shape)
            raise DataError(f"{file}: has {found} for '{key}', and {wanted} is needed")
    if more := sorted(set(state) - set(own)):
        raise DataError(f"{file}: has '{more[0]}', which is not of this network")
    module.load_state_dict(state)


def read(file: Path) -> State:
    """Return the tensors of a file by name."""
    found = _safetensors(file) if file.suffix == ".safetensors" else _saved(file)
    for key in ("state_dict", "model"):
        if isinstance(found, dict) and isinstance(found.get(key), dict):
            found = found[key]
    if not isinstance(found, dict) or not found or not all(map(torch.is_tensor, found.values())):
        raise DataError(f"{file}: holds no dict of tensors")
    # As torch.nn.DataParallel names what it wraps.
    return {str(key).removeprefix("module."): value for key, value in found.items()}


def _saved(file: Path) -> object:
    try:
        return torch.load(file, map_location="cpu", weights_only=True)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except (RuntimeError, pickle.UnpicklingError, EOFError, ValueError) as error:
        reason = str(error).partition("\n")[0]
        raise DataError(f"{file}: is no file of PyTorch weights: {reason}") from None


def _safetensors(file: Path) -> object:
    try:
        from safetensors import SafetensorError
        from safetensors.torch import load_file
    except ImportError:
        raise UsageError(
            f"{file}: the package that reads it is not installed. Run pip install 'ripen[import]'"
        ) from None
    try:
        return load_file(file)
    except OSError as error:
        raise DataError(f"{file}: cannot be read: {error.strerror or error}") from None
    except SafetensorError as error:
        raise DataError(f"{file}: is no .safetensors file: {error}") from None
