"""LSTM, and LSTMUnit, a single step of it."""

from collections.abc import Sequence
from typing import NamedTuple

import torch

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.recurrent import Recurrent, Tensors


class Unit(NamedTuple):
    """The values of an LSTM's step that backward needs; each of shape (N, num_output)."""

    i: torch.Tensor
    f: torch.Tensor
    o: torch.Tensor
    g: torch.Tensor
    before: torch.Tensor  # the cells' previous values
    after: torch.Tensor  # tanh of the new ones


def unit(
    gates: torch.Tensor, cell: torch.Tensor, cont: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor, Unit]:
    """Return the cells' new values, the output, and the values that backward needs.

    Parameters
    ----------
    gates : Tensor of shape (N, 4 num_output)
        Inputs of the gates i, f, o and g, in this order.
    cell : Tensor of shape (N, num_output)
    cont : Tensor of shape (N, 1)
    """
    size = cell.shape[1]
    i, f, o = torch.sigmoid(gates[:, : 3 * size]).chunk(3, 1)
    g = torch.tanh(gates[:, 3 * size :])
    f = f * cont
    new = torch.addcmul(i * g, f, cell)
    squashed = torch.tanh(new)
    return new, o * squashed, Unit(i, f, o, g, cell, squashed)


def unit_back(
    step: Unit, cell_grad: torch.Tensor, grad: torch.Tensor
) -> tuple[torch.Tensor, torch.Tensor]:
    """Return the gradients of the gates' inputs and of the cells' previous values.

    The derivative of the forget gate is f (1 - f) with cont in f, as in Caffe: the same for a cont
    of 0 or 1.
    """
    i, f, o, g, before, after = step
    total = cell_grad + grad * o * (1 - after * after)
    gates = (
        total * g * i * (1 - i),
        total * before * f * (1 - f),
        grad * after * o * (1 - o),
        total * i * (1 - g * g),
    )
    return torch.cat(gates, 1), total * f


@register("LSTM")
class LSTM(Recurrent):
    """Zaremba and Sutskever, 2014: gates i, f, o and g, from W_h (cont_t h_{t-1}) + W_x x_t + b.

    c_t = cont_t f c_{t-1} + i g, h_t = o tanh(c_t). The states are h and c.
    """

    states = 2
    rows = 4

    def run(
        self, projected: torch.Tensor, cont: torch.Tensor, states: Tensors
    ) -> tuple[torch.Tensor, Tensors]:
        weight = self.blobs[self._hidden].tensor.t()
        h, c = states
        before, after = [], []
        self._units: list[Unit] = []
        for t in range(self._steps):
            before.append(h * cont[t])
            c, h, step = unit(torch.addmm(projected[t], before[t], weight), c, cont[t])
            self._units.append(step)
            after.append(h)
        self._before = torch.stack(before)
        return torch.stack(after), [h, c]

    def run_back(self, grad: torch.Tensor, cont: torch.Tensor) -> torch.Tensor:
        weight = self.blobs[self._hidden].tensor
        h_grad = c_grad = torch.zeros_like(self._before[0])
        gates = []
        for t in reversed(range(self._steps)):
            gate, c_grad = unit_back(self._units[t], c_grad, grad[t] + h_grad)
            h_grad = gate.mm(weight) * cont[t]
            gates.append(gate)
        result = torch.stack(gates[::-1])
        rows, size = weight.shape
        self._learn_from(self._hidden, result.reshape(-1, rows), self._before.reshape(-1, size))
        return result


@register("LSTMUnit")
class LSTMUnit(Layer):
    """One step of an LSTM.

    Bottoms: c_{t-1} of shape (1, N, D), the gates' inputs of shape (1, N, 4 D), cont of shape
    (1, N). Tops: c_t and h_t.
    """

    bottoms = (3, 3)
    tops = (2, 2)
    no_backward = frozenset({2})

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        cell, gates, cont = (blob.shape for blob in bottom)
        if len(cell) != 3 or cell[0] != 1:
            raise self.error(f"bottom 0 has shape {cell}. Needed: (1, streams, units)")
        if gates != (1, cell[1], 4 * cell[2]) or cont != cell[:2]:
            raise self.error(
                f"bottom 1 has shape {gates}, bottom 2 has {cont}. Needed, as bottom 0 has "
                f"{cell}: {(1, cell[1], 4 * cell[2])}, {cell[:2]}"
            )
        for blob in top:
            blob.reshape(*cell)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        cell, gates, cont = (blob.tensor[0] for blob in bottom)
        new, output, self._unit = unit(gates, cell, cont.unsqueeze(1))
        top[0].set_data(new.unsqueeze(0))
        top[1].set_data(output.unsqueeze(0))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[2]:
            raise self.error("has no gradient for cont, its bottom 2")
        gates, cell = unit_back(self._unit, top[0].grad[0], top[1].grad[0])
        for blob, grad, wanted in zip(bottom, (cell, gates), propagate_down, strict=False):
            if wanted:
                blob.set_diff(grad.unsqueeze(0))
