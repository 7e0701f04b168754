"""`debug_info`: the mean absolute value of every blob in every pass, as Caffe logs it."""

import math
from collections.abc import Callable
from typing import TYPE_CHECKING

import torch

from caffe import glog
from caffe.build import Step

if TYPE_CHECKING:
    from caffe.net import Net


def watch(net: "Net", when: Callable[[], bool] = lambda: True) -> None:
    """Log each layer of a net as it runs, in the passes for which `when` returns True."""
    steps = net.steps

    def after_forward(index: int) -> None:
        if when():
            _forward(steps[index])

    def after_backward(index: int) -> None:
        if not when():
            return
        if steps[index].need_backward:
            _backward(steps[index])
        if index == 0:
            _totals(net)

    net.after_forward(after_forward)
    net.after_backward(after_backward)


def _forward(step: Step) -> None:
    name = step.layer.name
    for top, blob in zip(step.top_names, step.top, strict=True):
        line = "    [Forward] Layer %s, top blob %s data: %g"
        glog.info("net.cpp:593", line, name, top, _mean(blob.tensor))
    specs = step.layer.param.param
    for i, blob in enumerate(step.layer.blobs):
        shown = (specs[i].name if i < len(specs) else "") or i
        line = "    [Forward] Layer %s, param blob %s data: %g"
        glog.info("net.cpp:605", line, name, shown, _mean(blob.tensor))


def _backward(step: Step) -> None:
    name = step.layer.name
    for i, (bottom, blob) in enumerate(zip(step.layer.param.bottom, step.bottom, strict=True)):
        if step.propagate_down[i]:
            line = "    [Backward] Layer %s, bottom blob %s diff: %g"
            glog.info("net.cpp:621", line, name, bottom, _mean(blob.grad))
    for i, blob in enumerate(step.layer.blobs):
        if step.layer.param_propagate_down[i]:
            line = "    [Backward] Layer %s, param blob %d diff: %g"
            glog.info("net.cpp:632", line, name, i, _mean(blob.grad))


def _totals(net: "Net") -> None:
    blobs = [learnt.blob for learnt in net.learnable_params]

    def total(of: Callable[[torch.Tensor], torch.Tensor]) -> tuple[float, float]:
        values, gradients = ([of(b.tensor) for b in blobs], [of(b.grad) for b in blobs])
        return float(sum(values)), float(sum(gradients))

    absolute = total(lambda tensor: tensor.abs().sum())
    squares = total(lambda tensor: tensor.square().sum())
    glog.error(
        "net.cpp:721",
        "    [Backward] All net params (data, diff): L1 norm = (%g, %g); L2 norm = (%g, %g)",
        *absolute,
        *map(math.sqrt, squares),
    )


def _mean(tensor: torch.Tensor) -> float:
    return float(tensor.abs().sum()) / tensor.numel() if tensor.numel() else math.nan
