"""Run any number of items through a net in batches: pycaffe's `forward_all` and the like."""

from collections.abc import Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from caffe.arguments import listed
from caffe.errors import BatchError

if TYPE_CHECKING:
    from caffe.net import Net

Arrays = dict[str, NDArray[Any]]


def forward_all(net: "Net", blobs: Iterable[str] | None, inputs: Arrays) -> Arrays:
    """Return copies of the outputs, and of `blobs`, for all items."""
    wanted, count = listed(blobs), _count(inputs)
    parts = [_copied(net.forward(wanted, None, None, **batch)) for batch in batches(net, inputs)]
    return _joined(parts, count, [*net.outputs, *wanted])


def forward_backward_all(
    net: "Net", blobs: Iterable[str] | None, diffs: Iterable[str] | None, given: Arrays
) -> tuple[Arrays, Arrays]:
    """Return copies of the outputs and of the inputs' gradients, for all items.

    `given` holds values of inputs, and gradients of outputs that are not losses; other names are
    ignored, as in pycaffe.
    """
    inputs = {name: values for name, values in given.items() if name in net.inputs}
    grads = {name: values for name, values in given.items() if name in net.outputs}
    wanted, wanted_diffs, count = listed(blobs), listed(diffs), _count(inputs)
    values, gradients = [], []
    none: Arrays = {}
    pairs = zip_longest(batches(net, inputs), batches(net, grads), fillvalue=none)
    for inputs_batch, grads_batch in pairs:
        values.append(_copied(net.forward(wanted, None, None, **inputs_batch)))
        gradients.append(_copied(net.backward(wanted_diffs, None, None, **grads_batch)))
    return (
        _joined(values, count, [*net.outputs, *wanted]),
        _joined(gradients, count, [*net.inputs, *wanted_diffs]),
    )


def batches(net: "Net", arrays: Arrays) -> Iterator[Arrays]:
    """Split arrays into the net's batches; zeros fill up the last one."""
    count = _count(arrays) if arrays else 0
    first = next(iter(net.blobs.values()))
    size = first.shape[0] if first.shape else 1
    for at in range(0, count, size):
        yield {name: _padded(values[at : at + size], size) for name, values in arrays.items()}


def _count(inputs: Arrays) -> int:
    """Return the number of items, the same in all inputs."""
    counts = {len(values) for values in inputs.values()}
    if len(counts) != 1:
        raise BatchError(
            f"inputs have {sorted(counts)} items. Needed: the same number in each, at least 1"
        )
    return counts.pop()


def _padded(values: NDArray[Any], size: int) -> NDArray[Any]:
    padding = np.zeros((size - len(values), *np.shape(values)[1:]))
    return np.concatenate([values, padding]) if len(padding) else values


def _copied(arrays: Arrays) -> Arrays:
    return {name: values.copy() for name, values in arrays.items()}


def _joined(parts: list[Arrays], count: int, names: list[str]) -> Arrays:
    """Join the batches' results; a scalar, such as a loss, counts as one item a batch."""
    if not parts:
        return {name: np.array([]) for name in names}
    return {
        name: np.concatenate([np.atleast_1d(part[name]) for part in parts])[:count]
        for name in parts[0]
    }
