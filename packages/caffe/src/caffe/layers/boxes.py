"""SSD's layers (Liu et al., 2016): PriorBox, DetectionOutput, MultiBoxLoss.

Boxes are (xmin, ymin, xmax, ymax) in fractions of the image. Priors have shape (1, 2, 4 P): the P
boxes, then the four variances of each.
"""

import math

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn.functional import cross_entropy, smooth_l1_loss

from caffe.layers.base import Blobs, Layer, register
from caffe.layers.differentiable import Differentiable, Shape, Tensors
from caffe.layers.loss import divisor
from caffe.layers.regions import suppressed
from caffe.proto.forks_pb2 import MultiBoxLossParameter, PriorBoxParameter

Array = NDArray[np.float64]


@register("PriorBox")
class PriorBox(Layer):
    """Boxes around each position of a map, of given sizes and aspect ratios (prior_box_layer.cpp).

    Bottoms: the map, and the net's input image (for its size).
    """

    bottoms = (2, 2)
    no_backward = frozenset({0, 1})

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._param = param = self.extra().prior_box_param
        least, most = list(param.min_size), list(param.max_size)
        if not least or min(least) <= 0 or (most and len(most) != len(least)):
            raise self.error("needs min_size, above 0, and max_size for none or each of them")
        if any(high <= low for low, high in zip(least, most, strict=False)):
            raise self.error("each max_size must be above its min_size")
        if len(param.variance) not in (0, 1, 4) or min(param.variance, default=1) <= 0:
            raise self.error("variance: 0, 1 or 4 numbers above 0 are allowed")
        ratios = [1.0]
        for ratio in param.aspect_ratio:
            if ratio <= 0:
                raise self.error(f"aspect_ratio is {ratio:g}. Allowed: above 0")
            if all(abs(ratio - known) >= 1e-6 for known in ratios):
                ratios += [ratio, 1 / ratio] if param.flip else [ratio]
        self._sizes = [
            size
            for i, small in enumerate(map(int, least))  # whole numbers, as in the fork
            for size in self._of(small, int(most[i]) if most else None, ratios[1:])
        ]

    @staticmethod
    def _of(small: int, large: int | None, ratios: list[float]) -> list[tuple[float, float]]:
        """Return widths and heights in pixels, in the fork's order."""
        middle = [] if large is None else [math.sqrt(small * large)]
        return [
            (small, small),
            *[(m, m) for m in middle],
            *[(small * math.sqrt(ratio), small / math.sqrt(ratio)) for ratio in ratios],
        ]

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        if any(len(blob.shape) != 4 for blob in bottom):
            raise self.error("bottoms must have 4 axes, (N, C, H, W)")
        h, w = bottom[0].shape[2:]
        top[0].reshape(1, 2, h * w * len(self._sizes) * 4)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param, (h, w), image = self._param, bottom[0].shape[2:], bottom[1].shape[2:]
        height = param.img_size or param.img_h or image[0]
        width = param.img_size or param.img_w or image[1]
        step_h = param.step or param.step_h or height / h
        step_w = param.step or param.step_w or width / w
        y, x = np.meshgrid(
            (np.arange(h) + param.offset) * step_h,
            (np.arange(w) + param.offset) * step_w,
            indexing="ij",
        )
        centre = np.stack([x, y], -1)[:, :, None]
        half = np.array(self._sizes) / 2
        boxes = np.concatenate([centre - half, centre + half], -1) / [width, height, width, height]
        boxes = np.clip(boxes, 0, 1) if param.clip else boxes
        given = list(param.variance) or [0.1]
        variances = np.resize(given, boxes.shape)
        both = np.stack([boxes.ravel(), variances.ravel()])[None]
        top[0].set_data(torch.from_numpy(both).to(bottom[0].tensor))


def decoded(deltas: Array, priors: Array, variances: Array, code: int) -> Array:
    """Decode a net's boxes; its variances are 1 if the training targets included them."""
    scaled: Array = deltas * variances
    size = priors[:, 2:] - priors[:, :2]
    if code == PriorBoxParameter.CORNER:
        boxes: Array = priors + scaled
    elif code == PriorBoxParameter.CORNER_SIZE:
        boxes = priors + scaled * np.concatenate([size, size], -1)
    else:
        centre = (priors[:, :2] + priors[:, 2:]) / 2 + scaled[..., :2] * size
        half = np.exp(np.minimum(scaled[..., 2:], 50)) * size / 2
        boxes = np.concatenate([centre - half, centre + half], -1)
    return boxes


@register("DetectionOutput")
class DetectionOutput(Layer):
    """The detections: rows (item, class, score, xmin, ymin, xmax, ymax), shape (1, 1, D, 7).

    Bottoms: boxes (N, 4 P), scores (N, P * classes), priors. Non-maximum suppression runs for each
    class but the background; then the `keep_top_k` best of an image remain. An image without a
    detection has no row. If no image has one, each gets a row of -1 after its number.
    """

    bottoms = (3, 4)
    no_backward = frozenset({0, 1, 2})

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._param = self.extra().detection_output_param
        if not self._param.num_classes:
            raise self.error("num_classes is missing")
        if not 0 < self._param.nms_param.eta <= 1:
            raise self.error(
                f"nms_param's eta is {self._param.nms_param.eta:g}. Allowed: above 0, to 1"
            )

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        priors, param = bottom[2].count // 8, self._param
        self._kinds = 1 if param.share_location else param.num_classes
        needed = (priors * 4 * self._kinds, priors * param.num_classes)
        items = bottom[0].shape[0]
        found = tuple(blob.count // max(1, items) for blob in bottom[:2])
        if found != needed or bottom[1].shape[0] != items:
            raise self.error(
                f"has {found[0]} box numbers and {found[1]} scores an item. Needed for {priors} "
                f"priors and {param.num_classes} classes: {needed[0]} and {needed[1]}"
            )
        top[0].reshape(1, 1, 1, 7)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        param, items = self._param, bottom[0].shape[0]
        boxes, scores, priors = (b.tensor.detach().double().cpu().numpy() for b in bottom[:3])
        priors = priors.reshape(2, -1, 4)
        variances = np.ones_like(priors[1]) if param.variance_encoded_in_target else priors[1]
        boxes = boxes.reshape(items, -1, self._kinds, 4).transpose(0, 2, 1, 3)
        boxes = decoded(boxes, priors[0], variances, param.code_type)
        scores = scores.reshape(items, -1, param.num_classes)
        rows = [row for i in range(items) for row in self._detections(i, boxes[i], scores[i])]
        none = [[i, *[-1.0] * 6] for i in range(items)]
        found = torch.tensor(rows or none, dtype=top[0].dtype).to(bottom[0].tensor)
        top[0].reshape(1, 1, len(found), 7)
        top[0].set_data(found.reshape(1, 1, -1, 7))

    def _detections(self, item: int, boxes: Array, scores: Array) -> list[list[float]]:
        param = self._param
        found = []
        for kind in range(param.num_classes):
            if kind == param.background_label_id:
                continue
            of_kind, own = scores[:, kind], boxes[0 if self._kinds == 1 else kind]
            order = np.argsort(-of_kind, kind="stable")
            if param.HasField("confidence_threshold"):
                order = order[of_kind[order] > param.confidence_threshold]
            if param.nms_param.HasField("top_k") and param.nms_param.top_k >= 0:
                order = order[: param.nms_param.top_k]
            nms = param.nms_param
            kept = order[
                suppressed(own[order], nms.nms_threshold, len(order), extent=0, eta=nms.eta)
            ]
            found += [[item, kind, of_kind[i], *own[i]] for i in kept]
        if 0 <= param.keep_top_k < len(found):
            best = sorted(range(len(found)), key=lambda i: -found[i][2])[: param.keep_top_k]
            found = [found[i] for i in sorted(best)]
        return found


def overlaps(one: Array, other: Array) -> Array:
    """Return intersection over union of each of (n, 4) boxes with each of (m, 4)."""
    low = np.maximum(one[:, None, :2], other[None, :, :2])
    high = np.minimum(one[:, None, 2:], other[None, :, 2:])
    shared: Array = np.maximum(high - low, 0).prod(-1)
    areas = [np.maximum(boxes[:, 2:] - boxes[:, :2], 0).prod(-1) for boxes in (one, other)]
    union = areas[0][:, None] + areas[1][None] - shared
    found: Array = np.divide(shared, union, out=np.zeros_like(shared), where=union > 0)
    return found


def matched(found: Array, threshold: float, every: bool) -> NDArray[np.int64]:
    """Return for each prior the index of its object, or -1.

    Each object first takes the prior that overlaps it most, the best pair first. With `every`, each
    other prior then takes the object that it overlaps most, if by the threshold or more.

    Parameters
    ----------
    found : ndarray of shape (priors, objects)
        Overlaps.
    """
    match = np.full(len(found), -1)
    left = found.copy()
    for _ in range(found.shape[1]):
        prior, thing = np.unravel_index(np.argmax(left), left.shape)
        if left[prior, thing] <= 1e-6:
            break
        match[prior] = thing
        left[prior], left[:, thing] = -1, -1
    if every and found.shape[1]:
        best = found.argmax(1)
        free = (match == -1) & (found.max(1) >= max(threshold, 1e-6))
        match[free] = best[free]
    return match


@register("MultiBoxLoss")
class MultiBoxLoss(Differentiable):
    """Loss of boxes and of classes, each divided by the number of matched priors.

    Bottoms: boxes (N, 4 P), scores (N, P * classes), priors, objects (1, 1, G, 8): item, class,
    instance, box, difficult. Hard negative mining: of the priors without an object only those with
    the largest loss count, `neg_pos_ratio` for each matched prior.
    """

    bottoms = (4, 4)
    is_loss = True
    no_backward = frozenset({2, 3})

    def setup(self, bottom: Blobs, top: Blobs) -> None:
        self._param = param = self.extra().multibox_loss_param
        allowed = {
            "share_location": True,
            "use_prior_for_matching": True,
            "encode_variance_in_target": False,
            "map_object_to_agnostic": False,
            "ignore_cross_boundary_bbox": False,
            "bp_inside": False,
            "conf_loss_type": MultiBoxLossParameter.SOFTMAX,
        }
        for name, value in allowed.items():
            if getattr(param, name) != value:
                raise self.error(f"{name} is {getattr(param, name)}. Supported: {value}")
        self._mining: int = param.mining_type
        if param.HasField("do_neg_mining"):  # the older form
            self._mining = int(param.do_neg_mining)
        if self._mining == MultiBoxLossParameter.HARD_EXAMPLE or param.num_classes < 2:
            raise self.error("Supported: num_classes from 2, mining_type NONE and MAX_NEGATIVE")
        if param.code_type == PriorBoxParameter.CORNER_SIZE:
            raise self.error("code_type is CORNER_SIZE. Supported: CORNER, CENTER_SIZE")

    def shapes(self, given: list[Shape]) -> list[Shape]:
        boxes, scores, priors, objects = (math.prod(shape) for shape in given)
        n, count = given[0][0] if given[0] else 0, priors // 8
        if (boxes, scores) != (n * count * 4, n * count * self._param.num_classes) or objects % 8:
            raise self.error(f"bottoms have shapes {given}, which do not fit {count} priors")
        return [()]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        param, items = self._param, x[0].shape[0]
        priors, variances = x[2].detach().double().cpu().numpy().reshape(2, -1, 4)
        objects = x[3].detach().double().cpu().numpy().reshape(-1, 8)
        boxes = x[0].reshape(items, -1, 4)
        scores = x[1].reshape(items, -1, param.num_classes)
        loc, conf, matches = x[0].sum() * 0, x[1].sum() * 0, 0
        for i in range(items):
            own = objects[objects[:, 0] == i]
            if not param.use_difficult_gt:
                own = own[own[:, 7] == 0]
            if len(own) and not (0 <= own[:, 1].min() <= own[:, 1].max() < param.num_classes):
                raise self.error(f"a class is not from 0 to {param.num_classes - 1}")
            found = overlaps(priors, own[:, 3:7])
            every = param.match_type == MultiBoxLossParameter.PER_PREDICTION
            match = matched(found, param.overlap_threshold, every)
            positive = np.flatnonzero(match >= 0)
            matches += len(positive)
            truth = np.full(len(priors), param.background_label_id)
            truth[positive] = own[match[positive], 1]
            each = cross_entropy(
                scores[i], torch.tensor(truth, device=x[1].device), reduction="none"
            )
            negative = self._negative(each, match, found)
            conf = conf + each[np.concatenate([positive, negative])].sum()
            target = self._encoded(own[match[positive], 3:7], priors[positive], variances[positive])
            wanted = torch.from_numpy(target).to(x[0])
            loc = loc + self._loc(boxes[i, positive], wanted)
        total = divisor(self.param.loss_param, items, len(priors), matches)
        return [(param.loc_weight * loc + conf) / total]

    def _negative(
        self, each: torch.Tensor, match: NDArray[np.int64], found: Array
    ) -> NDArray[np.intp]:
        """Return the negative priors that mining selects."""
        closest = found.max(1) if found.shape[1] else np.zeros(len(found))
        if self._mining == MultiBoxLossParameter.NONE:
            return np.flatnonzero(match < 0)
        free = np.flatnonzero((match < 0) & (closest < self._param.neg_overlap))
        count = min(int((match >= 0).sum() * self._param.neg_pos_ratio), len(free))
        losses = each.detach().cpu().numpy()[free]
        return np.sort(free[np.argsort(-losses, kind="stable")[:count]])

    def _encoded(self, objects: Array, priors: Array, variances: Array) -> Array:
        if self._param.code_type == PriorBoxParameter.CORNER:
            return (objects - priors) / variances
        size, wanted = priors[:, 2:] - priors[:, :2], objects[:, 2:] - objects[:, :2]
        centre = (objects[:, :2] + objects[:, 2:] - priors[:, :2] - priors[:, 2:]) / 2 / size
        return np.concatenate([centre, np.log(np.maximum(wanted, 1e-12) / size)], 1) / variances

    def _loc(self, boxes: torch.Tensor, wanted: torch.Tensor) -> torch.Tensor:
        if self._param.loc_loss_type == MultiBoxLossParameter.L2:
            return ((boxes - wanted) ** 2).sum() / 2
        return smooth_l1_loss(boxes, wanted, reduction="sum")
