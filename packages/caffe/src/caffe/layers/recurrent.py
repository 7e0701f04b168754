"""RNN, and the base that it shares with LSTM: layers over time.

Real Caffe unrolls an inner net with small layers for each time step (recurrent_layer.cpp). Here the
inputs of all steps are multiplied at once, and only the recurrent part is a loop.
"""

import math
from abc import abstractmethod
from collections.abc import Sequence
from typing import ClassVar

import torch

from caffe.layers.base import Blobs, Layer, register

Tensors = Sequence[torch.Tensor]


class Recurrent(Layer):
    """The base of RNN and LSTM.

    Bottoms: x of shape (T, N, ...), for T steps of N streams; cont of shape (T, N), 0 where a
    sequence begins and 1 where it continues; then, if given, x_static of shape (N, ...), the same
    in every step; and with `expose_hidden` the states before the first step, each of shape
    (1, N, num_output). Tops: the output of shape (T, N, num_output); with `expose_hidden` the
    states after the last step.

    Blobs: W_x of shape (R, inputs), b of shape (R,), for x_static W_static of shape (R, inputs),
    W_h of shape (R, num_output), then the type's own.

    Without `expose_hidden` a forward pass continues from the final states of the previous one.
    Gradients stay within a pass, as in Caffe: neither incoming nor outgoing states take part.
    `debug_info` has no effect: there is no inner net.
    """

    no_backward = frozenset({1})
    states: ClassVar[int]  # number of states of the type
    rows: ClassVar[int]  # R / num_output

    def check_counts(self, bottom: Blobs, top: Blobs) -> None:
        states = self.states if self.param.recurrent_param.expose_hidden else 0
        if len(bottom) - states not in (2, 3):
            raise self.error(
                f"has {len(bottom)} bottom blobs. Allowed: x, cont, optionally x_static"
                f"{f', {states} states' if states else ''}"
            )
        if len(top) != 1 + states:
            raise self.error(f"has {len(top)} top blobs. Allowed: {1 + states}")

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        param = self.param.recurrent_param
        if not param.num_output:
            raise self.error("num_output is missing or 0. Allowed: 1 or more")
        x = bottom[0].shape
        if len(x) < 3 or not x[0]:
            raise self.error(f"x has shape {x}. Needed: (steps, streams, inputs)")
        exposed = self.states if param.expose_hidden else 0
        self._steps, self._inputs = x[0], math.prod(x[2:])
        self._static = len(bottom) - exposed == 3
        self._states: list[torch.Tensor] = []
        rows = self.rows * param.num_output
        self.learn((rows, self._inputs), param.weight_filler)
        self.learn((rows,), param.bias_filler)
        if self._static:
            self._check_static(bottom)
            self.learn((rows, math.prod(bottom[2].shape[1:])), param.weight_filler)
        self._hidden = len(self.blobs)  # index of W_h
        self.learn((rows, param.num_output), param.weight_filler)

    def _check_static(self, bottom: Blobs) -> None:
        static, streams = bottom[2].shape, bottom[0].shape[1]
        if len(static) < 2 or static[0] != streams:
            raise self.error(
                f"x_static has shape {static}, x has {bottom[0].shape}. Needed: ({streams}, inputs)"
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        x, cont = bottom[0].shape, bottom[1].shape
        if len(x) < 3 or x[0] != self._steps or math.prod(x[2:]) != self._inputs:
            raise self.error(
                f"x has shape {x}. Needed: {self._steps} steps, any number of streams, "
                f"{self._inputs} inputs, as when the net was built"
            )
        if cont != x[:2]:
            raise self.error(f"cont has shape {cont}. Needed: {x[:2]}, as x has shape {x}")
        if self._static:
            self._check_static(bottom)
        state = (1, x[1], self.param.recurrent_param.num_output)
        for i, blob in enumerate(bottom[2 + self._static :], 2 + self._static):
            if blob.shape != state:
                raise self.error(f"bottom {i} has shape {blob.shape}. Needed for a state: {state}")
        top[0].reshape(x[0], *state[1:])
        for blob in top[1:]:
            blob.reshape(*state)

    def reset(self) -> None:
        """Reset the states: the next forward pass starts from zeros."""
        self._states = []

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        steps, streams = bottom[1].shape
        x = bottom[0].tensor.reshape(steps * streams, self._inputs)
        projected = torch.addmm(self.blobs[1].tensor, x, self.blobs[0].tensor.t())
        projected = projected.reshape(steps, streams, -1)
        if self._static:
            static = bottom[2].tensor.reshape(streams, -1)
            projected = projected + static.mm(self.blobs[2].tensor.t())
        given = bottom[2 + self._static :]
        before = [b.tensor[0] for b in given] if given else self._kept(streams, projected)
        output, states = self.run(projected, bottom[1].tensor.unsqueeze(2), before)
        top[0].set_data(output)
        for blob, state in zip(top[1:], states, strict=False):
            blob.set_data(state.unsqueeze(0))
        if not given:
            for kept, state in zip(self._states, states, strict=True):
                kept[:streams] = state

    def _kept(self, streams: int, like: torch.Tensor) -> list[torch.Tensor]:
        """Return the initial states of a pass, each of shape (N, num_output).

        They are on the device of `like`, also if the previous pass ran on another.

        With fewer streams the states of the others are kept for later; with more than ever before
        all start from zeros, since Caffe reallocates its blobs then.
        """
        known = self._states[0] if self._states else None
        if known is None or known.shape[0] < streams or known.dtype != like.dtype:
            size = (streams, self.param.recurrent_param.num_output)
            self._states = [like.new_zeros(size) for _ in range(self.states)]
        self._states = [state.to(like) for state in self._states]
        return [state[:streams].clone() for state in self._states]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for cont, its bottom 1")
        steps, streams = bottom[1].shape
        gradient = self.run_back(top[0].grad, bottom[1].tensor.unsqueeze(2))
        flat = gradient.reshape(steps * streams, -1)
        self._learn_from(0, flat, bottom[0].tensor.reshape(steps * streams, self._inputs))
        if self.param_propagate_down[1]:
            self.blobs[1].grad.add_(flat.sum(0))
        if propagate_down[0]:
            bottom[0].set_diff(flat.mm(self.blobs[0].tensor).reshape(bottom[0].shape))
        if self._static:
            summed = gradient.sum(0)
            self._learn_from(2, summed, bottom[2].tensor.reshape(streams, -1))
            if propagate_down[2]:
                bottom[2].set_diff(summed.mm(self.blobs[2].tensor).reshape(bottom[2].shape))

    def _learn_from(self, index: int, gradient: torch.Tensor, inputs: torch.Tensor) -> None:
        """Add to a weight's gradient, from rows of its outputs' gradients and its inputs."""
        if self.param_propagate_down[index]:
            self.blobs[index].grad.addmm_(gradient.t(), inputs)

    @abstractmethod
    def run(
        self, projected: torch.Tensor, cont: torch.Tensor, states: Tensors
    ) -> tuple[torch.Tensor, Tensors]:
        """Run the steps.

        Parameters
        ----------
        projected : Tensor of shape (T, N, R)
            Contribution of x and x_static.
        cont : Tensor of shape (T, N, 1)
        states : sequence of Tensor of shape (N, num_output)

        Returns
        -------
        output : Tensor of shape (T, N, num_output)
        states : sequence of Tensor of shape (N, num_output)
            The states after the last step.
        """

    @abstractmethod
    def run_back(self, grad: torch.Tensor, cont: torch.Tensor) -> torch.Tensor:
        """Run the steps backward; return the gradient of `projected`."""


@register("RNN")
class RNN(Recurrent):
    """h_t = tanh(W_h (cont_t h_{t-1}) + W_x x_t + b), o_t = tanh(W_o h_t + b_o).

    Its own blobs: W_o of shape (num_output, num_output), b_o of shape (num_output,). The state
    is h.
    """

    states = 1
    rows = 1

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        super().setup(bottom, top)
        param = self.param.recurrent_param
        self.learn((param.num_output, param.num_output), param.weight_filler)
        self.learn((param.num_output,), param.bias_filler)

    def run(
        self, projected: torch.Tensor, cont: torch.Tensor, states: Tensors
    ) -> tuple[torch.Tensor, Tensors]:
        weight = self.blobs[self._hidden].tensor.t()
        h, before, after = states[0], [], []
        for t in range(self._steps):
            before.append(h * cont[t])
            h = torch.addmm(projected[t], before[t], weight).tanh_()
            after.append(h)
        self._before, self._after = torch.stack(before), torch.stack(after)
        out_weight, out_bias = (blob.tensor for blob in self.blobs[-2:])
        flat = self._after.reshape(-1, h.shape[1])
        output = torch.addmm(out_bias, flat, out_weight.t()).tanh_()
        self._output = output.reshape(self._after.shape)
        return self._output, [h]

    def run_back(self, grad: torch.Tensor, cont: torch.Tensor) -> torch.Tensor:
        size, out = self._after.shape[2], len(self.blobs) - 2
        out_grad = (grad * (1 - self._output * self._output)).reshape(-1, size)
        self._learn_from(out, out_grad, self._after.reshape(-1, size))
        if self.param_propagate_down[out + 1]:
            self.blobs[out + 1].grad.add_(out_grad.sum(0))
        from_output = out_grad.mm(self.blobs[out].tensor).reshape(self._after.shape)
        slope = 1 - self._after * self._after
        weight = self.blobs[self._hidden].tensor
        result = torch.empty_like(self._after)
        later = torch.zeros_like(slope[0])
        for t in reversed(range(self._steps)):
            torch.mul(from_output[t] + later, slope[t], out=result[t])
            later = result[t].mm(weight) * cont[t]
        self._learn_from(self._hidden, result.reshape(-1, size), self._before.reshape(-1, size))
        return result
