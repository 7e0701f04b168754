"""LRN across channels on a GPU, by kernels that torch compiles on first use.

Built from torch's own operations, LRN reads and writes the map some fifteen times. A kernel here
takes the map once for each channel of the window, each time shifted by one channel; the repeated
reads come from the GPU's cache.
"""

from collections.abc import Callable
from functools import cache

import torch

LARGEST = 5  # the largest window: torch's kernels take 8 inputs, and backward needs three more

Kernel = Callable[..., torch.Tensor]


def forward(
    x: torch.Tensor, size: int, alpha: float, beta: float, k: float
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return x / scale^beta and scale = k + alpha * the sum of x^2 over `size` channels.

    Parameters
    ----------
    x : Tensor of shape (N, C, H, W)
    """
    around = _shifted(x, size)
    return (
        _value(size)(*around, alpha=alpha, beta=beta, k=k),
        _scale(size)(*around, alpha=alpha, k=k),
    )


def backward(
    grad: torch.Tensor,
    x: torch.Tensor,
    y: torch.Tensor,
    scale: torch.Tensor,
    size: int,
    factor: float,
    beta: float,
) -> torch.Tensor:
    """Return grad / scale^beta - factor * x * the sum of grad * y / scale over `size` channels."""
    around = _shifted((grad * y).div_(scale), size)
    return _gradient(size)(*around, grad, x, scale, factor=factor, beta=beta)


def _shifted(x: torch.Tensor, size: int) -> list[torch.Tensor]:
    """Return the map shifted by each distance within a window, with zeros beyond its channels."""
    half = size // 2
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, half, half))
    return [padded.narrow(1, i, x.shape[1]) for i in range(size)]


_POWER = "(beta == T(0.75) ? T(1) / sqrt(scale * sqrt(scale)) : pow(scale, -beta))"


@cache
def _value(size: int) -> Kernel:
    return _compiled(
        f"T lrn({_maps(size)}, T alpha, T beta, T k)",
        f"T scale = {_scale_of(size)}; return x{size // 2} * {_POWER};",
        dict.fromkeys(("alpha", "beta", "k"), 1.0),
    )


@cache
def _scale(size: int) -> Kernel:
    return _compiled(
        f"T lrn_scale({_maps(size)}, T alpha, T k)",
        f"return {_scale_of(size)};",
        dict.fromkeys(("alpha", "k"), 1.0),
    )


@cache
def _gradient(size: int) -> Kernel:
    total = " + ".join(f"x{i}" for i in range(size))
    return _compiled(
        f"T lrn_back({_maps(size)}, T grad, T x, T scale, T factor, T beta)",
        f"return grad * {_POWER} - factor * x * ({total});",
        dict.fromkeys(("factor", "beta"), 1.0),
    )


def _maps(size: int) -> str:
    return ", ".join(f"T x{i}" for i in range(size))


def _scale_of(size: int) -> str:
    return f"k + alpha * ({' + '.join(f'x{i} * x{i}' for i in range(size))})"


def _compiled(signature: str, body: str, numbers: dict[str, float]) -> Kernel:
    code = f"template <typename T> {signature} {{ {body} }}"
    kernel: Kernel = torch.cuda.jiterator._create_jit_fn(code, **numbers)
    return kernel
