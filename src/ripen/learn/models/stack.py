"""Small nets of one depth side by side: one matrix product a layer for all of them.

Each net's arithmetic is that of Caffe's layers and of SGDSolver, and no net depends on another: one
that overflows does not change the rest.

Matrix products are numpy's, over the tensors' memory. In portable mode its OpenBLAS is twice as
fast on such small matrices as torch's MKL (`docs/explanations/portability.md`). All else is
torch's.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

Activation = Literal["sigmoid", "tanh", "relu"]
# Of each InnerProduct layer, first to last: weight of shape (outputs, inputs), bias (outputs,).
Layers = Sequence[tuple[NDArray[np.float32], NDArray[np.float32]]]

_FORWARD: dict[Activation, Callable[..., Any]] = {
    "sigmoid": torch.sigmoid,
    "tanh": torch.tanh,
    "relu": partial(torch.clamp_min, min=0.0),
}
_BACKWARD: dict[Activation, Callable[..., Any]] = {
    "sigmoid": torch.ops.aten.sigmoid_backward.grad_input,
    "tanh": torch.ops.aten.tanh_backward.grad_input,
    "relu": partial(torch.ops.aten.threshold_backward.grad_input, threshold=0.0),
}


@dataclass(frozen=True)
class Batch:
    """Labelled rows as a stack takes them, one a column.

    Attributes
    ----------
    data : float32 ndarray of shape (features + 1, n)
        The last row is ones, which multiply the first layer's bias.
    labels : int64 Tensor of shape (n,)
    places : int64 Tensor of shape (n,)
        Of each label's score among those of a net, shape (classes, n) made flat.
    target : float32 Tensor of shape (classes, n)
        -1 / n at the label and 0 elsewhere. Probability / n + target is the gradient of the mean
        loss with respect to the scores.
    """

    data: NDArray[np.float32]
    labels: torch.Tensor
    places: torch.Tensor
    target: torch.Tensor

    @classmethod
    def of(cls, x: NDArray[np.float32], y: NDArray[np.int64], classes: int) -> "Batch":
        """Take rows `x` of shape (n, features) with labels `y` of shape (n,)."""
        data = np.ones((x.shape[1] + 1, len(x)), np.float32)
        data[:-1] = x.T
        return cls.labelled(data, torch.tensor(y), classes)

    @classmethod
    def labelled(cls, data: NDArray[np.float32], labels: torch.Tensor, classes: int) -> "Batch":
        """Add what the loss needs to data of shape (features + 1, n)."""
        n = len(labels)
        target = torch.zeros(classes, n).scatter_(0, labels[None], -1 / n)
        return cls(data, labels, labels * n + torch.arange(n), target)


class Batches:
    """The batches of HDF5Data: the rows in their order, starting over after the last.

    Parameters
    ----------
    rows : Batch
        All training rows.
    size : int
        At most as many as there are rows.
    """

    def __init__(self, rows: Batch, size: int) -> None:
        self.size, self._n, self._classes = size, len(rows.labels), len(rows.target)
        # The first rows once more at the end, so that a batch past the last row is one slice.
        self._data = np.concatenate([rows.data, rows.data[:, :size]], 1)
        self._labels = torch.cat([rows.labels, rows.labels[:size]])
        # There are n / gcd(n, size) different batches: too many to keep if size divides n badly.
        self._few = size // math.gcd(self._n, size) <= 8
        self._kept: dict[int, Batch] = {}

    def __getitem__(self, iteration: int) -> Batch:
        """Return the batch of an iteration, counted from 0."""
        start = iteration * self.size % self._n
        if start in self._kept:
            return self._kept[start]
        rows = slice(start, start + self.size)
        batch = Batch.labelled(self._data[:, rows], self._labels[rows], self._classes)
        if self._few:
            self._kept[start] = batch
        return batch


class Stack:
    """The parameters of all nets, their gradients and the solver's velocities.

    Each is a flat tensor, layer after layer. A layer's block has shape (nets, outputs, inputs + 1);
    its last column is the bias. The entries that a narrower net lacks are zero and stay zero:
    `mask` is 0 there and 1 elsewhere, and a node with zero outgoing weights passes nothing on.

    Parameters
    ----------
    nets : sequence of Layers
        First weights; all have as many layers, features and classes.

    Attributes
    ----------
    values, gradient, velocity, mask : flat Tensor
    """

    def __init__(self, nets: Sequence[Layers]) -> None:
        self._shapes = [[weight.shape for weight, _ in net] for net in nets]
        widest = [max(net[i][0] for net in self._shapes) for i in range(len(nets[0]))]
        self.outputs, self._inputs = widest, [self._shapes[0][0][1], *widest[:-1]]
        self._index()
        self.values, self.mask = torch.zeros(len(self._owner)), torch.zeros(len(self._owner))
        self._fill(nets)
        self.gradient, self.velocity = torch.zeros_like(self.values), torch.zeros_like(self.values)

    def __len__(self) -> int:
        return len(self._shapes)

    def blocks(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Return each layer's block of a flat tensor, of shape (nets, outputs, inputs + 1)."""
        shapes = [(len(self), o, i + 1) for o, i in zip(self.outputs, self._inputs, strict=True)]
        parts = torch.split(flat, [math.prod(shape) for shape in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def spread(self, numbers: Sequence[float]) -> torch.Tensor:
        """Give each parameter the number of its net, as a flat tensor."""
        return torch.tensor(numbers)[self._owner]

    def update(self, rate: torch.Tensor, momentum: torch.Tensor, decay: torch.Tensor) -> None:
        """Update once, as SGDSolver does: v = momentum v + rate (g + decay w); w = w - v.

        All three are flat. The rate must be 0 where the mask is, so that padding stays zero.
        """
        self.gradient.addcmul_(self.values, decay)
        self.velocity.mul_(momentum).addcmul_(self.gradient, rate)
        self.values.sub_(self.velocity)

    def gradient_norms(self) -> torch.Tensor:
        """Return the Euclidean norm of each net's gradient, float64 of shape (nets,)."""
        squares = [
            block.flatten(1).double().square().sum(1)
            for block in self.blocks(torch.where(self.mask > 0, self.gradient, 0.0))
        ]
        return torch.stack(squares).sum(0).sqrt()

    def keep(self, nets: Sequence[int]) -> None:
        """Drop the other nets. Flat tensors and passes made before are no longer valid."""
        chosen = torch.tensor(nets)
        kept = {
            name: torch.cat([block[chosen].flatten() for block in self.blocks(getattr(self, name))])
            for name in ("values", "gradient", "velocity", "mask")
        }
        self._shapes = [self._shapes[net] for net in nets]
        for name, flat in kept.items():
            setattr(self, name, flat)
        self._index()

    def _index(self) -> None:
        """Record the net of each parameter."""
        sizes = [o * (i + 1) for o, i in zip(self.outputs, self._inputs, strict=True)]
        own = torch.arange(len(self))
        self._owner = torch.cat([own.repeat_interleave(size) for size in sizes])

    def _fill(self, nets: Sequence[Layers]) -> None:
        pairs = zip(self.blocks(self.values), self.blocks(self.mask), strict=True)
        for layer, (values, mask) in enumerate(pairs):
            for net, layers in enumerate(nets):
                weight, bias = layers[layer]
                outputs, inputs = weight.shape
                for into, w, b in ((values, weight, bias), (mask, 1.0, 1.0)):
                    into[net, :outputs, :inputs] = torch.as_tensor(w)
                    into[net, :outputs, -1] = torch.as_tensor(b)


class Pass:
    """The forward and backward pass of a stack over a fixed number of rows.

    Parameters
    ----------
    stack : Stack
        After `Stack.keep` a new pass is needed.
    activation : "sigmoid", "tanh" or "relu"
        Of every layer but the last.
    rows : int
    """

    def __init__(self, stack: Stack, activation: Activation, rows: int) -> None:
        nets = len(stack)
        self._activate, self._back = _FORWARD[activation], _BACKWARD[activation]
        self._weights, self._gradients = stack.blocks(stack.values), stack.blocks(stack.gradient)
        # Each layer's output before its activation; the backward pass puts the gradient there.
        self._z = [torch.empty(nets, outputs, rows) for outputs in stack.outputs]
        # The activations, with a last row of ones, which multiply the next layer's bias.
        self._y = [torch.ones(nets, outputs + 1, rows) for outputs in stack.outputs[:-1]]
        self._activated = [y[:, :-1] for y in self._y]
        self._view()

    def _view(self) -> None:
        """Make numpy views of the tensors' memory."""
        ys, zs = [y.numpy() for y in self._y], [z.numpy() for z in self._z]
        weights, gradients = (
            [part.numpy() for part in parts] for parts in (self._weights, self._gradients)
        )
        # All nets read the same rows, so their first layers are one matrix product.
        self._first, self._first_z, self._first_gradient = (
            parts[0].reshape(-1, parts[0].shape[-1]) for parts in (weights, zs, gradients)
        )
        self._up = list(zip(weights[1:], ys, zs[1:], strict=True))
        turned = [weight[..., :-1].swapaxes(1, 2) for weight in weights[1:]]
        self._down = list(zip(turned, zs[1:], zs[:-1], strict=True))
        self._gradients_of = list(
            zip(zs[1:], [y.swapaxes(1, 2) for y in ys], gradients[1:], strict=True)
        )

    def forward(self, x: NDArray[np.float32]) -> torch.Tensor:
        """Return the scores, shape (nets, classes, rows), valid until the next pass.

        Parameters
        ----------
        x : array of shape (features + 1, rows)
            The last row is ones.
        """
        np.matmul(self._first, x, out=self._first_z)
        for below, (weight, y, z) in enumerate(self._up):
            self._activate(self._z[below], out=self._activated[below])
            np.matmul(weight, y, out=z)
        return self._z[-1]

    def backward(self, x: NDArray[np.float32]) -> None:
        """Compute the stack's gradient, from that of the scores in place of the scores."""
        for below in range(len(self._y) - 1, -1, -1):
            above, y, gradient = self._gradients_of[below]
            np.matmul(above, y, out=gradient)
            weight, above, into = self._down[below]
            np.matmul(weight, above, out=into)
            self._back(self._z[below], self._activated[below], grad_input=self._z[below])
        np.matmul(self._first_z, x.T, out=self._first_gradient)
