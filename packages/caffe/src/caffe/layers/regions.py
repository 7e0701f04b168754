"""Regions of interest, from the forks of Fast R-CNN, Faster R-CNN and R-FCN.

A region is a row (item, x1, y1, x2, y2) in the image's pixels, its last column and row included.
"""

import math
from collections.abc import Sequence
from typing import SupportsFloat

import numpy as np
import torch
from numpy.typing import NDArray

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors

Array = NDArray[np.float64]
Single = np.float32
Cell = tuple[int, int, slice, slice]


def rounded(value: SupportsFloat) -> int:
    """Round as C does: halves away from 0. Python rounds them to even."""
    exact = float(value)
    return int(math.copysign(math.floor(abs(exact) + 0.5), exact))


def _spans(start: Single, length: Single, count: int, size: int, whole: bool) -> list[slice]:
    """Return the rows or columns of each of a region's bins, within the map.

    In single precision, as in the forks: it decides which pixels a bin has where edges meet.
    """
    edges = np.arange(count + 1, dtype=np.float32) * (length / np.float32(count))
    if whole:  # an integer start: Fast R-CNN, which rounds the bins relative to the region
        low, high = start + np.floor(edges[:-1]), start + np.ceil(edges[1:])
    else:
        low, high = np.floor(edges[:-1] + start), np.ceil(edges[1:] + start)
    limits = (np.clip(edge, 0, size).astype(int).tolist() for edge in (low, high))
    return [slice(*ends) for ends in zip(*limits, strict=True)]


class _Regions(Layer):
    """A layer of maps (N, C, H, W) and regions (R, 5)."""

    bottoms = (2, 2)
    no_backward = frozenset({1})

    def check(self, bottom: Blobs) -> None:
        maps, regions = bottom[0].shape, bottom[1].shape
        if len(maps) != 4 or regions[1:2] != (5,) or math.prod(regions[2:]) != 1:
            raise self.error(f"bottoms have shapes {maps}, {regions}. Needed: (N, C, H, W), (R, 5)")

    def regions(self, bottom: Blobs) -> list[tuple[int, list[float]]]:
        """Return each region's item and corners.

        Raises
        ------
        LayerError
            If a region names an item beyond the batch, or a corner is not finite.
        """
        rows = bottom[1].tensor.reshape(-1, 5).tolist()
        items = bottom[0].shape[0]
        for row in rows:
            if not all(map(math.isfinite, row)) or not 0 <= row[0] < items:
                raise self.error(f"region {row}. Needed: an item from 0 to {items - 1}, 4 numbers")
        return [(int(row[0]), row[1:]) for row in rows]

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        if propagate_down[1]:
            raise self.error("has no gradient for its regions (bottom 1)")
        if propagate_down[0]:
            bottom[0].set_diff(self.gradient(top, bottom))

    def gradient(self, top: Blobs, bottom: Blobs) -> torch.Tensor:
        """Return the gradient of the maps."""
        raise NotImplementedError


@register("ROIPooling")
class ROIPooling(_Regions):
    """The maximum of each of pooled_h x pooled_w bins of each region (Girshick, 2015).

    The gradient goes to the first maximum; a bin without a pixel gives 0.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.check(bottom)
        self._param = self.extra().roi_pooling_param
        if not self._param.pooled_h or not self._param.pooled_w:
            raise self.error("pooled_h and pooled_w must be 1 or more")
        regions, channels = bottom[1].shape[0], bottom[0].shape[1]
        top[0].reshape(regions, channels, self._param.pooled_h, self._param.pooled_w)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        width = x.shape[3]
        result = x.new_zeros(top[0].shape)
        self._at = torch.full(top[0].shape, -1, dtype=torch.long, device=x.device)
        regions = self.regions(bottom)
        self._items = [item for item, _ in regions]
        for r, (item, corners) in enumerate(regions):
            for i, j, rows, columns in self._cells(corners, x.shape[2:]):
                part = x[item, :, rows, columns]
                if not part[0].numel():
                    continue
                result[r, :, i, j], at = part.flatten(1).max(1)
                across = columns.stop - columns.start
                place = (rows.start + at // across) * width + columns.start + at % across
                self._at[r, :, i, j] = place
        top[0].set_data(result)

    def _cells(self, corners: list[float], size: Sequence[int]) -> list[Cell]:
        bins, scale = (
            (self._param.pooled_h, self._param.pooled_w),
            Single(self._param.spatial_scale),
        )
        x1, y1, x2, y2 = (rounded(Single(corner) * scale) for corner in corners)
        spans = [
            _spans(Single(start), Single(max(end - start + 1, 1)), count, limit, whole=True)
            for start, end, count, limit in zip((y1, x1), (y2, x2), bins, size, strict=True)
        ]
        return [(i, j, r, c) for i, r in enumerate(spans[0]) for j, c in enumerate(spans[1])]

    def gradient(self, top: Blobs, bottom: Blobs) -> torch.Tensor:
        total = torch.zeros_like(bottom[0].tensor, memory_format=torch.contiguous_format)
        for item, at, grad in zip(self._items, self._at, top[0].grad, strict=True):
            found = at >= 0
            flat = total[item].flatten(1)
            flat.scatter_add_(1, at.clamp_min(0).flatten(1), (grad * found).flatten(1))
        return total


@register("PSROIPooling")
class PSROIPooling(_Regions):
    """The mean of each of group_size x group_size bins, each from its own channels.

    Position-sensitive pooling (Dai et al., 2016); the maps have output_dim * group_size^2 channels.
    """

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        self.check(bottom)
        self._param = param = self.extra().psroi_pooling_param
        if param.output_dim < 1 or param.group_size < 1:
            raise self.error("output_dim and group_size must be 1 or more")
        needed = param.output_dim * param.group_size**2
        if bottom[0].shape[1] != needed:
            raise self.error(f"bottom has shape {bottom[0].shape}. Needed: {needed} channels")
        top[0].reshape(bottom[1].shape[0], param.output_dim, param.group_size, param.group_size)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        x = bottom[0].tensor
        result = x.new_zeros(top[0].shape)
        self._bins = []
        for r, (item, corners) in enumerate(self.regions(bottom)):
            for i, j, rows, columns in self._cells(corners, x.shape[2:]):
                channels = slice(i * self._param.group_size + j, None, self._param.group_size**2)
                part = x[item, channels, rows, columns]
                if part[0].numel():
                    self._bins.append((r, i, j, (item, channels, rows, columns), part[0].numel()))
                    result[r, :, i, j] = part.mean((1, 2))
        top[0].set_data(result)

    def _cells(self, corners: list[float], size: Sequence[int]) -> list[Cell]:
        scale, count = Single(self._param.spatial_scale), self._param.group_size
        x1, y1 = (Single(rounded(corner)) * scale for corner in corners[:2])
        x2, y2 = (Single(rounded(corner) + 1) * scale for corner in corners[2:])
        spans = [
            _spans(start, max(end - start, Single(0.1)), count, limit, whole=False)
            for start, end, limit in ((y1, y2, size[0]), (x1, x2, size[1]))
        ]
        return [(i, j, r, c) for i, r in enumerate(spans[0]) for j, c in enumerate(spans[1])]

    def gradient(self, top: Blobs, bottom: Blobs) -> torch.Tensor:
        total, grad = torch.zeros_like(bottom[0].tensor), top[0].grad
        for r, i, j, place, area in self._bins:
            total[place] += (grad[r, :, i, j] / area)[:, None, None]
        return total


def anchors(base: int, ratios: Sequence[float], scales: Sequence[float]) -> Array:
    """Return Faster R-CNN's anchors (x1, y1, x2, y2) around the first cell, by ratio, then scale.

    >>> anchors(16, [0.5], [8]).tolist()
    [[-84.0, -40.0, 99.0, 55.0]]
    """
    boxes, centre = [], (base - 1) / 2
    for ratio in ratios:
        width = rounded(np.sqrt(base * base / ratio))
        height = rounded(width * ratio)
        for scale in scales:
            half = np.array([width * scale - 1, height * scale - 1]) / 2
            boxes.append([centre - half[0], centre - half[1], centre + half[0], centre + half[1]])
    return np.array(boxes)


def suppressed(
    boxes: Array, threshold: float, most: int, extent: float = 1, eta: float = 1
) -> list[int]:
    """Return the boxes that non-maximum suppression keeps; the input is sorted, best first.

    Parameters
    ----------
    boxes : ndarray of shape (n, 4)
        (x1, y1, x2, y2).
    threshold : float
        A box whose overlap (intersection over union) with a kept one exceeds this is dropped.
    most : int
        Number of boxes to keep.
    extent : float
        1 for boxes in pixels, whose last column and row are inside; 0 for fractions.
    eta : float
        Factor of the threshold after each kept box, while it is above 0.5.
    """
    size = np.maximum(boxes[:, 2:] - boxes[:, :2] + extent, 0)
    areas, order, worst = size.prod(1), np.arange(len(boxes)), np.zeros(len(boxes))
    kept: list[int] = []
    while len(order) and len(kept) < most:
        best, order = int(order[0]), order[1:]
        if worst[best] > threshold:
            continue
        kept.append(best)
        low = np.maximum(boxes[best, :2], boxes[order, :2])
        high = np.minimum(boxes[best, 2:], boxes[order, 2:])
        shared = np.maximum(high - low + extent, 0).prod(1)
        union = areas[best] + areas[order] - shared
        overlap = np.divide(shared, union, out=np.zeros_like(shared), where=shared > 0)
        worst[order] = np.maximum(worst[order], overlap)
        order = order[overlap <= threshold]
        threshold *= eta if threshold > 0.5 else 1
    return kept


@register("Proposal")
class Proposal(Layer):
    """Regions from the scores and boxes of a region proposal network (Ren et al., 2015).

    Bottoms: scores (1, 2 A, H, W), whose second half is the objects'; boxes relative to the A
    anchors (1, 4 A, H, W); the image's (height, width, scale), or the scales of height and width.
    Tops: regions (R, 5), and their scores if there is a second. A box that is narrower or lower
    than `min_size` times the scale gets the score 0.
    """

    bottoms = (3, 3)
    tops = (1, 2)
    no_backward = frozenset({0, 1, 2})

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._param = param = self.extra().proposal_param
        ratios, scales = list(param.ratio) or [0.5, 1, 2], list(param.scale) or [8, 16, 32]
        if min(*ratios, *scales) <= 0 or not param.base_size or not param.post_nms_topn:
            raise self.error("ratio, scale, base_size and post_nms_topn must be above 0")
        self._anchors = anchors(param.base_size, ratios, scales)

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        scores, boxes, count = bottom[0].shape, bottom[1].shape, len(self._anchors)
        n, _, h, w = scores if len(scores) == 4 else (0, 0, 0, 0)
        if scores != (1, 2 * count, h, w) or boxes != (1, 4 * count, h, w) or bottom[2].count < 3:
            raise self.error(
                f"bottoms have shapes {scores}, {boxes}, {bottom[2].shape}. Needed for {count} "
                f"anchors: (1, {2 * count}, H, W), (1, {4 * count}, H, W), (1, 3)"
            )
        top[0].reshape(self._param.post_nms_topn, 5)
        for blob in top[1:]:
            blob.reshape(self._param.post_nms_topn, 1)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param, count = self._param, len(self._anchors)
        height, width, *scales = bottom[2].tensor.flatten()[:4].double().tolist()
        scores = bottom[0].tensor[0, count:].permute(1, 2, 0).flatten().double().cpu().numpy()
        deltas = bottom[1].tensor[0].permute(1, 2, 0).reshape(-1, 4).double().cpu().numpy()
        boxes = self._placed(deltas, *bottom[0].shape[2:])
        limits = np.array([width - 1, height - 1] * 2)
        boxes = np.clip(boxes, 0, limits)
        least = param.min_size * np.array([scales[-1], scales[0]])  # of width and height
        scores *= (boxes[:, 2:] - boxes[:, :2] + 1 >= least).all(1)
        order = np.argsort(-scores, kind="stable")[: param.pre_nms_topn]
        boxes, scores = boxes[order], scores[order]
        kept = suppressed(boxes, param.nms_thresh, param.post_nms_topn)
        rows = np.concatenate([np.zeros((len(kept), 1)), boxes[kept]], 1)
        for blob, values in zip(top, (rows, scores[kept, None]), strict=False):
            blob.reshape(*values.shape)
            blob.set_data(torch.from_numpy(values).to(bottom[0].tensor))

    def _placed(self, deltas: Array, rows: int, columns: int) -> Array:
        """Return the anchors of each cell, moved and scaled by their deltas."""
        x, y = np.meshgrid(np.arange(columns), np.arange(rows))
        shift = np.stack([x, y, x, y], -1).reshape(-1, 1, 4) * self._param.feat_stride
        boxes = (shift + self._anchors).reshape(-1, 4)
        size = boxes[:, 2:] - boxes[:, :2] + 1
        centre = boxes[:, :2] + size / 2 + deltas[:, :2] * size
        half = np.exp(np.minimum(deltas[:, 2:], 50)) * size / 2
        return np.concatenate([centre - half, centre + half], 1)


@register("SmoothL1Loss")
class SmoothL1Loss(Differentiable):
    """sum(outside * s(inside * (x - target))) / N, with s quadratic up to 1 / sigma^2, then linear.

    The weights `inside` and `outside` are the third and fourth bottom, each 1 if absent
    (Girshick, 2015; sigma: Ren et al., 2015).
    """

    bottoms = (2, 4)
    is_loss = True
    no_backward = frozenset({2, 3})

    def shapes(self, given: list[Shape]) -> list[Shape]:
        if any(shape != given[0] for shape in given):
            raise self.error(f"bottoms have shapes {given}. Needed: 2 to 4 of one shape")
        return [()]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        sharp = self.extra().smooth_l1_loss_param.sigma ** 2
        one = x[0].new_ones(())
        inside, outside = [*x[2:], one, one][:2]
        far = (inside * (x[0] - x[1])).abs()
        losses = torch.where(far < 1 / sharp, far * far * (sharp / 2), far - 0.5 / sharp)
        return [(losses * outside).sum() / max(1, x[0].shape[0] if x[0].dim() else 1)]
