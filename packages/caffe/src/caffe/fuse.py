"""Layers that run as one: the fused forms of neighbouring layers.

`Clamp` is here, `Folded` and `Normalized` in files of their names. The values of the blobs in
between are computed only when something reads them.
"""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import torch

from caffe.blob import Blob
from caffe.build import Step
from caffe.folded import folded
from caffe.normalized import normalized


class Group(Protocol):
    """Neighbouring steps that can run as one."""

    @property
    def steps(self) -> Sequence[Step]:
        """The steps, in order."""

    @property
    def losses(self) -> Sequence[tuple[Blob, float]]:
        """No losses, but named as those of a step."""

    @property
    def unseen(self) -> bool:
        """Whether they may run as one: a view of a blob in between, for instance, forbids it."""

    @property
    def learns(self) -> bool:
        """Whether they can run backward as one."""

    def forward(self) -> None:
        """Run the steps."""

    def backward(self) -> None:
        """Run the steps backward."""


@dataclass(frozen=True)
class Clamp:
    """relu(s - relu(s - x)), four layers that clamp `x` between 0 and `bound` into `top`.

    Caffe 1.0 has no such layer; nets with ReLU6 write it as Power, ReLU, Power, ReLU, with the
    ReLUs in place. One clamp takes a quarter of the time and is exact, while the four layers round
    x to the precision of numbers of the size of s.
    """

    steps: Sequence[Step]
    bound: float
    losses: Sequence[tuple[Blob, float]] = ()

    @property
    def _blobs(self) -> tuple[Blob, Blob, Blob]:
        first, _, third, _ = self.steps
        return first.bottom[0], first.top[0], third.top[0]

    @property
    def unseen(self) -> bool:
        """Whether there is no view of its blobs, which would have to be kept up to date."""
        return all(blob.deferrable for blob in self._blobs)

    @property
    def learns(self) -> bool:
        """Whether the gradient passes through all four layers."""
        return all(step.need_backward and all(step.propagate_down) for step in self.steps)

    def forward(self) -> None:
        for step in self.steps:
            step.reshape()
        below, middle, top = self._blobs
        x, bound = below.tensor, self.bound
        # Rarely read: computed only if a script looks at the blob in between.
        middle.defer_data(lambda: torch.relu(bound - x))
        top.set_data(x.clamp(0, bound))

    def backward(self) -> None:
        below, middle, top = self._blobs
        x, grad = below.tensor, top.grad
        passed = torch.ops.aten.hardtanh_backward(grad, x, 0, self.bound)
        below.set_diff(passed)
        middle.defer_diff(lambda: -passed)
        top.defer_diff(lambda: torch.ops.aten.threshold_backward(grad, x, 0))


def clamps(steps: Sequence[Step]) -> dict[int, Clamp]:
    """Return a net's clamps by the index of their first layer."""
    found = ((i, _clamp(steps[i : i + 4])) for i in range(len(steps) - 3))
    return {i: clamp for i, clamp in found if clamp is not None}


def both_ways(steps: Sequence[Step]) -> dict[int, Group]:
    """Return the groups that run as one in both directions, by the index of the first layer."""
    pairs = {i: normalized(steps, i) for i in range(len(steps))}
    return clamps(steps) | {i: pair for i, pair in pairs.items() if pair is not None}


def groups(steps: Sequence[Step], known: Mapping[int, Group]) -> dict[int, Group]:
    """Return the groups that run as one forward, by the index of the first layer."""
    found = dict(known)
    bounds = {i: group.bound for i, group in known.items() if isinstance(group, Clamp)}
    for i in range(len(steps)):
        if (group := folded(steps, i, bounds)) is not None:
            found[i] = group
    return found


def upward(
    steps: Sequence[Step], fused: Mapping[int, Group], first: int, last: int
) -> Iterator[tuple[int, Step | Group]]:
    """Yield the steps from first to last with their indexes, fused where possible."""
    i = first
    while i <= last:
        group = fused.get(i)
        if group is not None and i + len(group.steps) - 1 <= last and group.unseen:
            yield i, group
            i += len(group.steps)
        else:
            yield i, steps[i]
            i += 1


def downward(
    steps: Sequence[Step], fused: Mapping[int, Group], first: int, last: int
) -> Iterator[tuple[int, Step | Group]]:
    """Yield the steps from first down to last, in the order of the backward pass."""
    by_end = {begin + len(group.steps) - 1: (begin, group) for begin, group in fused.items()}
    i = first
    while i >= last:
        begin, group = by_end.get(i, (i, None))
        if group is not None and begin >= last and group.unseen and group.learns:
            yield i, group
            i = begin - 1
        else:
            yield i, steps[i]
            i -= 1


def _clamp(steps: Sequence[Step]) -> Clamp | None:
    if [step.layer.type for step in steps] != ["Power", "ReLU"] * 2:
        return None
    first, inner, second, outer = steps
    bound = first.layer.param.power_param.shift
    chained = (
        first.top[0] is inner.bottom[0] is inner.top[0] is second.bottom[0]
        and second.top[0] is outer.bottom[0] is outer.top[0]
        and len({id(first.bottom[0]), id(first.top[0]), id(second.top[0])}) == 3
    )
    mirrors = all(
        (power.power, power.scale, power.shift) == (1, -1, bound)
        for power in (step.layer.param.power_param for step in (first, second))
    )
    straight = not any(step.layer.param.relu_param.negative_slope for step in (inner, outer))
    silent = not any(weight for step in steps for weight in step.loss_weights)
    return (
        Clamp(steps, bound) if bound > 0 and chained and mirrors and straight and silent else None
    )
