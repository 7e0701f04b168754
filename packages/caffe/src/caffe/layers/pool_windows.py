"""The windows of pooling, and the methods that reduce them: Max, Average, Stochastic.

Values and gradients are torch's if it supports the windows; otherwise the map is padded first.
"""

import math
from dataclasses import dataclass
from functools import cached_property

import torch

from caffe.rng import torch_generator

Pair = tuple[int, int]

LOWEST = torch.finfo(torch.float32).min  # of float64 too, as Caffe's -FLT_MAX

_ops = torch.ops.aten


@dataclass(frozen=True)
class Windows:
    """Windows over a map; each pair is (vertical, horizontal).

    With `ceil`, the last windows may extend beyond the lower and right edge. With padding, they
    must start before the padding at that edge.

    Parameters
    ----------
    size : (int, int)
        Of the map.
    kernel, stride, pad : (int, int)
    ceil : bool
        Whether a last window that fits only partly counts.
    """

    size: Pair
    kernel: Pair
    stride: Pair
    pad: Pair
    ceil: bool

    @cached_property
    def pooled(self) -> Pair:
        """The number of windows."""
        down, across = (self._count(axis) for axis in (0, 1))
        return down, across

    def _count(self, axis: int) -> int:
        size, pad, stride = self.size[axis], self.pad[axis], self.stride[axis]
        free = size + 2 * pad - self.kernel[axis]
        count = (-(-free // stride) if self.ceil else free // stride) + 1
        if any(self.pad) and (count - 1) * stride >= size + pad:
            count -= 1
        return count

    @property
    def whole(self) -> bool:
        """Whether the only window is the whole map."""
        return self.pooled == (1, 1) and self.kernel == self.size and not any(self.pad)

    @cached_property
    def plain(self) -> bool:
        """Whether torch supports these windows directly.

        torch pads by half a kernel at most, and has no windows entirely outside the map, which
        Caffe has if the stride is larger than the kernel.
        """
        return all(
            2 * self.pad[axis] <= self.kernel[axis]
            and (self.pooled[axis] - 1) * self.stride[axis] - self.pad[axis] < self.size[axis]
            and self.size[axis] + 2 * self.pad[axis] >= self.kernel[axis] - self.stride[axis] + 1
            for axis in (0, 1)
        )

    @property
    def wide(self) -> bool:
        """Whether to clip windows first: they exceed the map, and torch does not support them."""
        return not self.plain and any(k > s for k, s in zip(self.kernel, self.size, strict=True))

    def clipped(self, axis: int, like: torch.Tensor) -> tuple[torch.Tensor, torch.Tensor]:
        """Return the positions of each window within the map, and which of them it has.

        Returns
        -------
        Tensor of shape (n_windows, widest)
        bool Tensor of that shape
            False where a window is narrower than the widest.
        """
        starts = torch.arange(self.pooled[axis], device=like.device) * self.stride[axis]
        low = starts - self.pad[axis]
        high = (low + self.kernel[axis]).clamp(0, self.size[axis])
        low = low.clamp_min(0)
        widest = max(1, int((high - low).max()))
        places = low[:, None] + torch.arange(widest, device=like.device)
        return places.clamp_max(self.size[axis] - 1), places < high[:, None]

    def starts(self, axis: int) -> list[int]:
        """Return the starts of the windows, relative to the map's first value."""
        return [i * self.stride[axis] - self.pad[axis] for i in range(self.pooled[axis])]

    @cached_property
    def margins(self) -> tuple[int, int, int, int]:
        """The margins left, right, above and below; negative ones crop the map."""
        above, left = self.pad
        bottom, right = (self.starts(axis)[-1] + self.kernel[axis] for axis in (0, 1))
        return left, right - self.size[1], above, bottom - self.size[0]

    def padded(self, x: torch.Tensor, value: float) -> torch.Tensor:
        """Return the map padded to what the windows cover."""
        return torch.nn.functional.pad(x, self.margins, value=value)

    def cropped(self, x: torch.Tensor) -> torch.Tensor:
        """Return the map within a padded one, with 0 where no window was."""
        return torch.nn.functional.pad(x, [-margin for margin in self.margins])

    def inside(self, index: torch.Tensor) -> torch.Tensor:
        """Return indices of a padded map as those of the map; -1 for the padding."""
        left, right, above, _ = self.margins
        width = self.size[1] + left + right
        row, column = index // width - above, index % width - left
        within = (row >= 0) & (row < self.size[0]) & (column >= 0) & (column < self.size[1])
        return torch.where(within, row * self.size[1] + column, -1)

    def areas(self, like: torch.Tensor) -> torch.Tensor:
        """Return the area of each window within the map and its padding, at least 1."""
        down, across = (
            like.new_tensor(
                [
                    min(start + self.kernel[axis], self.size[axis] + self.pad[axis]) - start
                    for start in self.starts(axis)
                ]
            ).clamp_(min=1)
            for axis in (0, 1)
        )
        return torch.outer(down, across)


class Max:
    """The largest value of each window; the first one of a tie.

    A window outside the map gives the lowest float, index -1 and no gradient; real Caffe writes
    before the start of its array there.
    """

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        if w.plain:
            y, self._index = _ops.max_pool2d_with_indices(
                x, w.kernel, w.stride, w.pad, (1, 1), w.ceil
            )
        else:
            x = w.padded(x, LOWEST)  # below every value, so that padding never wins
            y, self._index = _ops.max_pool2d_with_indices(x, w.kernel, w.stride)
        self._shape = x.shape
        result: torch.Tensor = y
        return result

    def mask(self) -> torch.Tensor:
        """Return the index of each maximum within the map."""
        return self._index if self._windows.plain else self._windows.inside(self._index)

    def backward(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        back = _ops.max_pool2d_with_indices_backward
        if w.plain:
            result = back(grad, x, w.kernel, w.stride, w.pad, (1, 1), w.ceil, self._index)
        else:
            like, none = grad.new_empty(self._shape), (0, 0)
            result = back(grad, like, w.kernel, w.stride, none, (1, 1), False, self._index)
            result = w.cropped(result)
        given: torch.Tensor = result
        return given


class Average:
    """The mean of each window; padding counts as zeros, the area beyond it does not count."""

    def __init__(self, windows: Windows) -> None:
        self._windows = windows

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        if w.whole:
            return x.mean((2, 3), keepdim=True)
        if w.plain:
            y: torch.Tensor = _ops.avg_pool2d(x, w.kernel, w.stride, w.pad, w.ceil, True)
            return y
        x = w.padded(x, 0)
        self._shape = x.shape
        # With a divisor of 1 torch returns sums; Caffe's divisors differ near the edges.
        total: torch.Tensor = _ops.avg_pool2d(x, w.kernel, w.stride, (0, 0), False, True, 1)
        return total / w.areas(x)

    def backward(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        if w.whole:
            return torch.empty_like(x).copy_(grad / math.prod(w.size))
        back = _ops.avg_pool2d_backward
        if grad.is_cuda:  # torch 2.11's kernel for channels_last is wrong wherever there is padding
            grad, x = grad.contiguous(), x.contiguous()
        if w.plain:
            result = back(grad, x, w.kernel, w.stride, w.pad, w.ceil, True, None)
        else:
            like, none = grad.new_empty(self._shape), (0, 0)
            result = back(grad / w.areas(x), like, w.kernel, w.stride, none, False, True, 1)
            result = w.cropped(result)
        given: torch.Tensor = result
        return given


class Stochastic:
    """One value of each window, drawn with its share of the window's sum as probability.

    With `draw` false the values are averaged with these weights instead. Values should be at least
    0; a window of zeros gives 0.
    """

    def __init__(self, windows: Windows, draw: bool) -> None:
        self._windows = windows
        self._draw = draw

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        found = self._unfolded(x)
        if not self._draw:
            total = found.sum(-1) + torch.finfo(x.dtype).tiny
            return found.square().sum(-1) / total
        sums = found.cumsum(-1)
        drawn = x.new_empty((*found.shape[:-1], 1), dtype=torch.float32)
        share = drawn.uniform_(generator=torch_generator()).to(x)
        reached = sums >= share * sums[..., -1:]
        self._index = reached.to(torch.uint8).argmax(-1, keepdim=True)
        return found.gather(-1, self._index).squeeze(-1)

    def backward(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        found = self._unfolded(x)
        each = grad.unsqueeze(-1)
        if self._draw:
            spread = torch.zeros_like(found).scatter_(-1, self._index, each)
        else:
            total = found.sum(-1, keepdim=True) + torch.finfo(x.dtype).tiny
            mean = found.square().sum(-1, keepdim=True) / total
            spread = each * (2 * found - mean) / total
        n, c, rows, columns, area = spread.shape
        columned = spread.permute(0, 1, 4, 2, 3).reshape(n, c * area, rows * columns)
        left, right, above, below = w.margins
        size = (w.size[0] + above + below, w.size[1] + left + right)
        return w.cropped(torch.nn.functional.fold(columned, size, w.kernel, stride=w.stride))

    def _unfolded(self, x: torch.Tensor) -> torch.Tensor:
        """Return the windows, of shape (N, C, rows, columns, kernel area)."""
        w = self._windows
        x = w.padded(x, 0)
        for axis in (0, 1):
            x = x.unfold(2 + axis, w.kernel[axis], w.stride[axis])
        return x.flatten(-2)


def _along(x: torch.Tensor, axis: int, windows: Windows, empty: float) -> torch.Tensor:
    """Return an axis of maps as two: the windows, and the positions in each."""
    places, there = windows.clipped(axis - 2, x)
    shape = [*x.shape[:axis], *places.shape, *x.shape[axis + 1 :]]
    apart = x.index_select(axis, places.flatten()).reshape(shape)
    shape = [1] * apart.dim()
    shape[axis : axis + 2] = there.shape
    result: torch.Tensor = apart.masked_fill(~there.view(shape), empty)
    return result


class WideMax(Max):
    """As Max, for windows that exceed the map: those of each row, then of the columns."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        rows, column = _along(x, 3, w, LOWEST).max(4)
        y, row = _along(rows, 2, w, LOWEST).max(3)
        columns = w.clipped(1, x)[0][torch.arange(w.pooled[1], device=x.device), column]
        down = torch.arange(w.pooled[0], device=x.device)[:, None]
        row = w.clipped(0, x)[0][down, row]
        index = row * w.size[1] + columns.gather(2, row)
        empty = [~w.clipped(axis, x)[1].any(1) for axis in (0, 1)]
        self._index: torch.Tensor = index.masked_fill(empty[0][:, None] | empty[1], -1)
        result: torch.Tensor = y
        return result

    def mask(self) -> torch.Tensor:
        return self._index

    def backward(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        there = self._index >= 0
        total = torch.zeros_like(x, memory_format=torch.contiguous_format).flatten(2)
        total.scatter_add_(2, self._index.clamp_min(0).flatten(2), (grad * there).flatten(2))
        found: torch.Tensor = total.view(x.shape)
        return found


class WideAverage(Average):
    """As Average, for windows that exceed the map."""

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        sums: torch.Tensor = _along(_along(x, 3, w, 0).sum(4), 2, w, 0).sum(3)
        return sums.div_(w.areas(x))

    def backward(self, grad: torch.Tensor, x: torch.Tensor) -> torch.Tensor:
        w = self._windows
        grad = grad / w.areas(x)
        for axis in (2, 3):
            places, there = w.clipped(axis - 2, x)
            each = grad.movedim(axis, -1).unsqueeze(-1) * there
            total = each.new_zeros(*each.shape[:3], w.size[axis - 2])
            total.index_add_(3, places.flatten(), each.flatten(3))
            grad = torch.movedim(total, -1, axis)
        return grad
