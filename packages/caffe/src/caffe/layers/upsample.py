"""Layers of forks that resize maps: Upsample, Interp, SpatialTransformer, ImResize; and Nms."""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import grid_sample, interpolate

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors


class _Maps(Differentiable):
    """A layer on maps (N, C, H, W); `sizes` returns the size of the top."""

    def sizes(self, given: list[Shape]) -> tuple[int, int]:
        raise NotImplementedError

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if len(given[0]) != 4:
            raise self.error(f"bottom has shape {given[0]}. Allowed: 4 axes, (N, C, H, W)")
        height, width = self.sizes(given)
        if min(height, width) < 1:
            raise self.error(f"maps of {given[0][2:]} would become {height}x{width}")
        self._size = height, width
        return [(*given[0][:2], height, width)]


@register("Upsample")
class Upsample(_Maps):
    """Put values back where a pooling found its maxima, zeros elsewhere; from SegNet's fork.

    The second bottom is the second top of that Pooling. With one bottom each value fills a square
    of `scale`, as in Darknet's forks.
    """

    bottoms = (1, 2)
    no_backward = frozenset({1})

    def sizes(self, given: list[Shape]) -> tuple[int, int]:
        param = self.extra().upsample_param
        if len(given) == 1:
            scale = param.scale if param.HasField("scale") else 1
            return given[0][2] * scale, given[0][3] * scale
        if given[0] != given[1]:
            raise self.error(f"values have shape {given[0]} and positions {given[1]}: must agree")
        down = param.scale_h or param.scale
        across = param.scale_w or param.scale
        height = param.upsample_h or given[0][2] * down - param.pad_out_h
        width = param.upsample_w or given[0][3] * across - param.pad_out_w
        return height, width

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        if len(x) == 1:
            return [interpolate(x[0], self._size)]
        n, c, places = *x[0].shape[:2], self._size[0] * self._size[1]
        at = x[1].flatten(2).long()
        if at.numel() and (int(at.min()) < 0 or int(at.max()) >= places):
            raise self.error(
                f"a position is outside the map of {self._size}: upsample_h, upsample_w?"
            )
        empty = x[0].new_zeros(n, c, places)
        return [empty.scatter(2, at, x[0].flatten(2))]


@register("Interp")
class Interp(_Maps):
    """Bilinear interpolation with aligned corners, from DeepLab's and PSPNet's forks.

    `pad_beg` and `pad_end`, 0 or below, first crop the map. The size is that of a second bottom, or
    follows from `shrink_factor` and then `zoom_factor`, or is `height` and `width`, which count
    against both factors and not against one of them.
    """

    bottoms = (1, 2)
    no_backward = frozenset({1})

    def sizes(self, given: list[Shape]) -> tuple[int, int]:
        param = self.extra().interp_param
        if param.pad_beg > 0 or param.pad_end > 0:
            raise self.error(f"pad_beg is {param.pad_beg}, pad_end {param.pad_end}. Allowed: to 0")
        if param.shrink_factor < 1 or param.zoom_factor < 1:
            raise self.error("shrink_factor and zoom_factor must be 1 or more")
        cut = [size + param.pad_beg + param.pad_end for size in given[0][2:]]
        if min(cut) < 1:
            raise self.error(f"pad_beg and pad_end leave nothing of {given[0]}")
        if len(given) > 1:
            return given[1][2], given[1][3]
        factors = param.HasField("shrink_factor") + param.HasField("zoom_factor")
        if factors != 1 and (param.height or param.width):
            return param.height, param.width
        small = [(size - 1) // param.shrink_factor + 1 for size in cut]
        height, width = (size + (size - 1) * (param.zoom_factor - 1) for size in small)
        return height, width

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        param, (h, w) = self.extra().interp_param, x[0].shape[2:]
        first = -param.pad_beg
        cut = x[0][:, :, first : h + param.pad_end, first : w + param.pad_end]
        return [interpolate(cut, self._size, mode="bilinear", align_corners=True)]


@register("SpatialTransformer")
class SpatialTransformer(_Maps):
    """Maps sampled bilinearly at affinely transformed positions (Jaderberg et al., 2015).

    The second bottom holds for each item those of the six numbers, row by row, that the settings
    `theta_1_1` ... `theta_2_3` do not fix. Positions are (row, column), from -1 up to below 1, and
    what lies outside the map counts as 0, as in the layer that public nets use.
    """

    bottoms = (2, 2)

    def sizes(self, given: list[Shape]) -> tuple[int, int]:
        param = self.extra().st_param
        if (param.transform_type, param.sampler_type) != ("affine", "bilinear"):
            raise self.error(
                f"transform_type is '{param.transform_type}', sampler_type '{param.sampler_type}'. "
                "Supported: affine, bilinear"
            )
        names = [f"theta_{i}_{j}" for i in (1, 2) for j in (1, 2, 3)]
        self._fixed = [getattr(param, n) if param.HasField(n) else None for n in names]
        free = self._fixed.count(None)
        if given[1][:1] != given[0][:1] or given[1][1:2] != (free,):
            raise self.error(
                f"the second bottom has shape {given[1]}. Needed: ({given[0][0]}, {free})"
            )
        return param.output_H or given[0][2], param.output_W or given[0][3]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        maps, theta = x[0], x[1].flatten(1)
        if not self.extra().st_param.to_compute_dU:
            maps = maps.detach()
        free = iter(theta.unbind(1))
        numbers = [
            next(free) if value is None else theta.new_full((len(theta),), value)
            for value in self._fixed
        ]
        matrix = torch.stack(numbers, 1).reshape(-1, 2, 3)
        rows, columns = (torch.arange(size).to(maps) / size * 2 - 1 for size in self._size)
        grid = torch.stack(torch.meshgrid(rows, columns, indexing="ij"), -1)
        places = grid @ matrix[:, None, :, :2].transpose(2, 3) + matrix[:, None, None, :, 2]
        h, w = maps.shape[2:]
        row, column = (places[..., 0] + 1) / 2 * h, (places[..., 1] + 1) / 2 * w
        # grid_sample takes (column, row) with -1 and 1 at the outer edges of the outermost pixels.
        scaled = [(2 * column + 1) / w - 1, (2 * row + 1) / h - 1]
        return [grid_sample(maps, torch.stack(scaled, -1), align_corners=False)]


@register("ImResize")
class ImResize(_Maps):
    """Maps resized by bicubic interpolation, by `factor` or to a target, from OpenPose's fork.

    The items are one image at several scales, and the top is their mean. Item i is first cropped
    around its centre to start_scale - i * scale_gap of its size.
    """

    def shapes(self, given: list[Shape]) -> list[Shape]:
        ((_, *rest),) = super().shapes(given)
        param, self._crops = self.extra().imresize_param, []
        for i in range(given[0][0]):
            away = np.float32(1) - np.float32(param.start_scale) + i * np.float32(param.scale_gap)
            edges = [math.floor(np.float32(size) * away / 2) for size in given[0][2:]]
            if min(edges) < 0 or any(
                2 * edge >= size for edge, size in zip(edges, given[0][2:], strict=True)
            ):
                raise self.error(f"start_scale and scale_gap leave nothing of item {i}")
            self._crops.append(edges)
        return [(1, *rest)]

    def sizes(self, given: list[Shape]) -> tuple[int, int]:
        param = self.extra().imresize_param
        if param.factor:
            return int(given[0][2] * param.factor), int(given[0][3] * param.factor)
        return param.target_spatial_height, param.target_spatial_width

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        total = x[0].new_zeros(1, x[0].shape[1], *self._size)
        for maps, (down, across) in zip(x[0], self._crops, strict=True):
            h, w = maps.shape[1:]
            cut = maps[:, down : h - down, across : w - across]
            rows, columns = (
                torch.from_numpy(cubic(*sizes)).to(maps)
                for sizes in zip(cut.shape[1:], self._size, strict=True)
            )
            total = total + rows @ cut @ columns.T
        return [total / max(1, len(x[0]))]


def cubic(size: int, wanted: int) -> NDArray[np.float64]:
    """Return the weights of bicubic interpolation along an axis, of shape (wanted, size).

    Of Catmull-Rom, and beyond the first pixel's centre they extrapolate, as in OpenPose's kernel.
    """
    place = (np.arange(wanted) + 0.5) * (size / wanted) - 0.5
    first = np.maximum((place + 1e-5).astype(int), 0)
    t = place - first
    weights = (
        ((2 - t) * t - 1) * t / 2,
        ((3 * t - 5) * t * t + 2) / 2,
        ((4 - 3 * t) * t + 1) * t / 2,
        (t - 1) * t * t / 2,
    )
    result = np.zeros((wanted, size))
    for i, weight in enumerate(weights):
        np.add.at(result, (np.arange(wanted), np.clip(first + i - 1, 0, size - 1)), weight)
    return result


@register("Nms")
class Nms(Layer):
    """The peaks of each map, from OpenPose's fork.

    The top has shape (N, num_parts, max_peaks + 1, 3). The first row of a map holds the number of
    its peaks; each other row holds (x, y, score) of one, in row-major order. A peak exceeds
    `threshold` and its eight neighbours. Its position is refined to the centre of mass of the
    positive values within 3 pixels.
    """

    _REACH = 3

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self._param = self.extra().nms_param
        shape = bottom[0].shape
        if len(shape) != 4 or shape[1] < self._param.num_parts:
            raise self.error(f"bottom has shape {shape}. Needed: {self._param.num_parts} maps")
        top[0].reshape(shape[0], self._param.num_parts, self._param.max_peaks + 1, 3)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor[:, : self._param.num_parts]
        result = x.new_zeros(top[0].shape)
        for item, part, row, column in self._places(x):
            count = int(result[item, part, 0, 0])
            if count < self._param.max_peaks:
                result[item, part, count + 1] = self._refined(x[item, part], row, column)
                result[item, part, 0, 0] = count + 1
        top[0].set_data(result)

    def _places(self, x: torch.Tensor) -> list[list[int]]:
        """Return item, map, row and column of each peak: the only maximum of its window."""
        if min(x.shape[2:]) < 3:
            return []
        around = torch.nn.functional.unfold(x.flatten(0, 1).unsqueeze(1), 3)
        centre = around[:, 4]
        others = torch.cat([around[:, :4], around[:, 5:]], 1).amax(1)
        peaks = (centre > others) & (centre > self._param.threshold)
        places = peaks.reshape(*x.shape[:2], x.shape[2] - 2, x.shape[3] - 2).nonzero()
        found: list[list[int]] = (places + torch.tensor([0, 0, 1, 1], device=x.device)).tolist()
        return found

    def _refined(self, x: torch.Tensor, row: int, column: int) -> torch.Tensor:
        top, left = max(row - self._REACH, 0), max(column - self._REACH, 0)
        near = x[top : row + self._REACH + 1, left : column + self._REACH + 1].clamp_min(0)
        total = near.sum()
        down = (near.sum(1) * torch.arange(top, top + near.shape[0]).to(x)).sum() / total
        across = (near.sum(0) * torch.arange(left, left + near.shape[1]).to(x)).sum() / total
        return torch.stack([across, down, x[row, column]])
