"""Small nets of one depth side by side: one matrix product a layer for all of them.

The arithmetic is that of Caffe's layers and of its SGDSolver, net by net: what one of them computes
depends on no other, so that one that overflows leaves the rest alone.

Products are numpy's over the tensors' memory: held to what every processor has, its OpenBLAS is
twice as quick with such small matrices as torch's MKL (`docs/portability.md`). The rest is torch's.
"""

import math
from collections.abc import Callable, Sequence
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


class Stack:
    """The parameters of all nets, their gradients, and what the solver remembers of them.

    Each is a flat tensor, layer after layer; a layer's part has shape (nets, outputs, inputs + 1),
    the bias being its last column. What a narrower net lacks is zero and stays so: `mask` is 0
    there and 1 elsewhere, and nothing flows out of a node whose outgoing weights are zero.

    Parameters
    ----------
    nets : sequence of Layers
        First weights; all have as many layers, features and classes.

    Attributes
    ----------
    values, gradient, velocity, best, mask : flat Tensor
        `best` is a copy of values, for who trains to keep the best ones in.
    """

    def __init__(self, nets: Sequence[Layers]) -> None:
        self._shapes = [[weight.shape for weight, _ in net] for net in nets]
        widest = [max(net[i][0] for net in self._shapes) for i in range(len(nets[0]))]
        self.outputs, self._inputs = widest, [self._shapes[0][0][1], *widest[:-1]]
        self._index()
        self.values, self.mask = torch.zeros(len(self._owner)), torch.zeros(len(self._owner))
        self._fill(nets)
        self.gradient, self.velocity = torch.zeros_like(self.values), torch.zeros_like(self.values)
        self.best = self.values.clone()

    def __len__(self) -> int:
        return len(self._shapes)

    def blocks(self, flat: torch.Tensor) -> list[torch.Tensor]:
        """Return each layer's part of a flat tensor, of shape (nets, outputs, inputs + 1)."""
        shapes = [(len(self), o, i + 1) for o, i in zip(self.outputs, self._inputs, strict=True)]
        parts = torch.split(flat, [math.prod(shape) for shape in shapes])
        return [part.view(shape) for part, shape in zip(parts, shapes, strict=True)]

    def spread(self, numbers: torch.Tensor, of_biases: torch.Tensor | None = None) -> torch.Tensor:
        """Give each parameter the number of its net, as a flat tensor.

        Parameters
        ----------
        numbers : Tensor of shape (nets,)
        of_biases : Tensor of shape (nets,) or None
            What biases get instead, where that is something else.
        """
        spread = numbers[self._owner]
        if of_biases is None:
            return spread
        return torch.where(self._is_bias, of_biases[self._owner], spread)

    def update(self, rate: torch.Tensor, momentum: torch.Tensor, decay: torch.Tensor) -> None:
        """Move all once, as SGDSolver does: v = momentum v + rate (g + decay w); w = w - v.

        All three are flat; a rate that is 0 where the mask is leaves out what is not there.
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

    def best_of(self, net: int) -> Layers:
        """Return copies of a net's arrays in `best`, of the net's own sizes."""
        layers = []
        for block, (outputs, inputs) in zip(self.blocks(self.best), self._shapes[net], strict=True):
            own = block[net, :outputs].numpy()
            layers.append((own[:, :inputs].copy(), own[:, -1].copy()))
        return layers

    def keep(self, nets: Sequence[int]) -> None:
        """Go on with these nets only; flat tensors and passes from before are no longer its own."""
        chosen = torch.tensor(nets)
        kept = {
            name: torch.cat([block[chosen].flatten() for block in self.blocks(getattr(self, name))])
            for name in ("values", "gradient", "velocity", "best", "mask")
        }
        self._shapes = [self._shapes[net] for net in nets]
        for name, flat in kept.items():
            setattr(self, name, flat)
        self._index()

    def _index(self) -> None:
        """Note whose each parameter is, and whether it is a bias."""
        owners, biases = [], []
        for o, i in zip(self.outputs, self._inputs, strict=True):
            owners.append(torch.arange(len(self)).repeat_interleave(o * (i + 1)))
            biases.append((torch.arange(i + 1) == i).repeat(len(self) * o))
        self._owner, self._is_bias = torch.cat(owners), torch.cat(biases)

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
    """A stack's way over some number of rows, and back.

    Parameters
    ----------
    stack : Stack
        As it stands now; after `Stack.keep` another pass is needed.
    activation : "sigmoid", "tanh" or "relu"
        After every layer but the last.
    rows : int
    """

    def __init__(self, stack: Stack, activation: Activation, rows: int) -> None:
        nets = len(stack)
        self._activate, self._back = _FORWARD[activation], _BACKWARD[activation]
        self._weights, self._gradients = stack.blocks(stack.values), stack.blocks(stack.gradient)
        # What enters an activation, and on the way back the gradient there.
        self._z = [torch.empty(nets, outputs, rows) for outputs in stack.outputs]
        # What leaves it, and below that the ones that the next layer's bias is the weight of.
        self._y = [torch.ones(nets, outputs + 1, rows) for outputs in stack.outputs[:-1]]
        self._activated = [y[:, :-1] for y in self._y]
        self._view()

    def _view(self) -> None:
        """See the same memory as numpy does."""
        ys, zs = [y.numpy() for y in self._y], [z.numpy() for z in self._z]
        weights, gradients = (
            [part.numpy() for part in parts] for parts in (self._weights, self._gradients)
        )
        # The first layer sees the same rows in all nets: one product for all.
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
        """Return the scores, shape (nets, classes, rows), overwritten by the next pass.

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
        """Turn the gradient that stands where `forward` left the scores into the stack's."""
        for below in range(len(self._y) - 1, -1, -1):
            above, y, gradient = self._gradients_of[below]
            np.matmul(above, y, out=gradient)
            weight, above, into = self._down[below]
            np.matmul(weight, above, out=into)
            self._back(self._z[below], self._activated[below], grad_input=self._z[below])
        np.matmul(self._first_z, x.T, out=self._first_gradient)
