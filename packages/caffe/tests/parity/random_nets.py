"""Random nets in both engines: outputs, losses and all gradients must be the same.

    python -m tests.parity.random_nets --seed 0 --count 1000

A net depends on its seed alone. If real Caffe ends without a failed check (it frees memory twice in
about one net of 60), the net is not counted.
"""

import argparse
import sys
from collections import Counter
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

import caffe
from caffe.errors import RealCaffeRefused
from caffe.real import interpreter
from tests.parity.compare import Arrays, Differences, ours, parse
from tests.parity.random_layers import LAYERS, Draft
from tests.parity.real_caffe import RealCaffe

TOLERANCE = 1e-4
LARGEST = 1e4  # a net with larger values is redrawn
NOISE = 1e-6  # smaller differences may be rounding errors of larger values

LOSSES = (
    "EuclideanLoss",
    "SoftmaxWithLoss",
    "SigmoidCrossEntropyLoss",
    "HingeLoss",
    "ContrastiveLoss",
)


@dataclass
class RandomNet:
    """A net with its inputs, parameters and output gradients."""

    text: str
    phase: int
    inputs: dict[str, NDArray[np.float32]]
    params: dict[str, NDArray[np.float32]]
    diffs: dict[str, NDArray[np.float32]]

    def kinds(self) -> set[str]:
        return {layer.type for layer in parse(self.text).layer}


class Disagreement(AssertionError):
    """The engines differ; the message names the array."""


def generate(seed: int) -> RandomNet:
    """Return the net of a seed: the first one drawn whose values stay small."""
    for attempt in range(100):
        rng = np.random.default_rng((seed, attempt))
        net = _filled(_drawn(rng), rng)
        values = _run(net, torch.float32)
        if all(
            np.isfinite(v).all() and np.abs(v).max(initial=0) < LARGEST for v in values.values()
        ):
            return net
    raise RuntimeError(f"seed {seed}: no net of 100 keeps its values small")


def _drawn(rng: np.random.Generator) -> Draft:
    draft = Draft(rng, phase=int(rng.integers(2)), forced=bool(rng.integers(2)))
    if draft.forced:
        draft.layers.append("force_backward: true")
    n, c, h, w = (draft.integer(1, 4) for _ in range(4))
    draft.input(rng.normal(size=(n, c, h + 3, w + 3)))
    for _ in range(draft.integer(0, 2)):
        shape = [(n, c, h + 3, w + 3), (n, draft.integer(1, 6)), (n, c, 4)][draft.integer(0, 2)]
        draft.input(rng.normal(size=shape))
    for _ in range(draft.integer(4, 16)):
        LAYERS[draft.integer(0, len(LAYERS) - 1)](draft)
    for _ in range(draft.integer(0, 3)):
        _loss(draft)
    return draft


def _loss(draft: Draft) -> None:
    """Add a loss with its labels or targets."""
    bottom = draft.blob(2, 3, 4)
    if bottom is None:
        return
    shape = draft.shapes[bottom]
    weight = f"loss_weight: {draft.number(0.2, 2)}" if draft.chance(0.5) else ""
    kind = draft.one_of(
        "EuclideanLoss",
        "SoftmaxWithLoss",
        "SigmoidCrossEntropyLoss",
        "HingeLoss",
        "ContrastiveLoss",
    )
    if kind in ("SoftmaxWithLoss", "HingeLoss"):
        where = (shape[0], *shape[2:]) if kind == "SoftmaxWithLoss" else shape[:1]
        target = draft.rng.integers(0, shape[1], where).astype(float)
    elif kind == "SigmoidCrossEntropyLoss":
        target = draft.rng.random(shape)
    else:
        target = draft.rng.normal(size=shape)
    bottoms = [bottom, draft.input(target)]
    if kind == "ContrastiveLoss":
        bottoms.append(draft.input(draft.rng.integers(0, 2, shape[0]).astype(float)))
    for name in bottoms[1:]:
        draft.open.remove(name)
        del draft.shapes[name]
    tops = draft.add(kind, bottoms, weight)
    for top in tops:
        draft.open.remove(top)
        del draft.shapes[top]


def _filled(draft: Draft, rng: np.random.Generator) -> RandomNet:
    """Draw weights and, with force_backward, gradients of outputs that are not losses."""
    text = "\n".join(draft.layers)
    made = caffe.Net(parse(text), draft.phase)
    params = {}
    for name, blobs in made.params.items():
        for i, blob in enumerate(blobs):
            values = rng.normal(size=blob.shape) / max(1, np.prod(blob.shape[1:])) ** 0.5
            if made.layer_dict[name].type == "BatchNorm" and i:
                values = 0.5 + rng.random(blob.shape)  # a positive variance, and the sum of weights
            params[f"{name}/{i}"] = values.astype(np.float32)
    diffs = {
        name: rng.normal(size=made.blobs[name].shape).astype(np.float32)
        for name in made.outputs
        if draft.forced and not made.blob_loss_weights[name] and name not in draft.inputs
    }
    return RandomNet(text, draft.phase, draft.inputs, params, diffs)


def _run(net: RandomNet, precision: torch.dtype) -> Arrays:
    made = caffe.Net(parse(net.text), net.phase)
    for blob in [*made.blobs.values(), *(b for blobs in made.params.values() for b in blobs)]:
        blob.to(precision)
    for name, values in net.params.items():
        layer, index = name.rsplit("/", 1)
        made.params[layer][int(index)].data[...] = values
    return ours(made, net.inputs, net.diffs)


def compare(real: RealCaffe, net: RandomNet) -> Differences:
    """Run a net in both engines; return the largest relative differences.

    The tolerance grows with the change of our own result in double precision, times 20: sums with
    cancellation have no more correct digits than that in either engine.

    Raises
    ------
    Disagreement
        If they differ by more than the tolerance, or real Caffe's checks refuse the net.
    RealCaffeRefused
        If real Caffe ended without a failed check.
    """
    try:
        expected = real.forward_backward(
            net.text, net.inputs, net.params, net.diffs, phase=net.phase
        )
    except RealCaffeRefused as refused:
        if "Check failed" in str(refused):
            raise Disagreement(f"real Caffe refuses it: {refused}") from None
        raise
    found, exact = _run(net, torch.float32), _run(net, torch.float64)
    if set(found) != set(expected):
        raise Disagreement(f"other arrays: {sorted(set(found) ^ set(expected))}")
    largest = Differences()
    for name in set(found) - _not_computed(net):
        largest |= _difference(name, found[name], expected[name], exact[name])
    return largest


def _not_computed(net: RandomNet) -> set[str]:
    """Return the gradients that no layer computes, whose arrays keep their old contents."""
    made = caffe.Net(parse(net.text), net.phase)
    missing = {f"diff/{name}" for name in made.blobs}
    for step in reversed(made.steps):
        name = step.layer.name
        for bottom, wanted in zip(step.layer.param.bottom, step.propagate_down, strict=True):
            if step.need_backward and wanted:
                missing.discard(f"diff/{bottom}")
            elif step.need_backward and bottom in step.top_names:
                missing.add(f"diff/{bottom}")  # overwritten only partly
        if step.layer.type == "Parameter" and not step.need_backward:
            missing.add(f"param_diff/{name}/0")  # real Caffe shares it with the top
    for step in made.steps:
        if step.layer.type in ("Flatten", "Reshape"):
            # Real Caffe shares them with the bottom, which in-place layers below change.
            missing.update(f"diff/{name}" for name in step.top_names)
    return missing


def _difference(
    name: str, found: NDArray[Any], expected: NDArray[Any], exact: NDArray[Any]
) -> Differences:
    if found.shape != expected.shape:
        raise Disagreement(f"{name}: shapes {found.shape} and {expected.shape}")
    scale = float(np.abs(expected).max(initial=0)) or 1.0
    difference = float(np.abs(found - expected).max(initial=0)) / scale
    noise = float(np.abs(found - exact).max(initial=0)) / scale
    if not difference <= max(TOLERANCE, 20 * noise, NOISE / scale):
        raise Disagreement(f"{name}: relative difference {difference:.2g}, noise {noise:.2g}")
    if max(20 * noise, NOISE / scale) > TOLERANCE:
        return Differences()
    if name.startswith(("diff/", "param_diff/")):
        return Differences(backward=difference)
    return Differences(forward=difference)


def main() -> int:
    """Compare many nets; return 1 if any differs."""
    parser = argparse.ArgumentParser(description=__doc__, prog="python -m tests.parity.random_nets")
    parser.add_argument("--seed", type=int, default=0, help="of the first net")
    parser.add_argument("--count", type=int, default=100, help="how many seeds, from the first up")
    parser.add_argument("--show", action="store_true", help="print each net")
    given = parser.parse_args()
    real = RealCaffe(interpreter())
    largest, kinds, tally = Differences(), Counter[str](), Counter[str]()
    for seed in range(given.seed, given.seed + given.count):
        net = generate(seed)
        if given.show:
            print(f"# seed {seed}, phase {net.phase}\n{net.text}")
        kinds.update(net.kinds())
        try:
            largest |= compare(real, net)
            tally["equal"] += 1
        except Disagreement as disagreement:
            tally["different"] += 1
            print(f"seed {seed}: {disagreement}", flush=True)
        except RealCaffeRefused as refused:
            tally["not counted: real Caffe ended"] += 1
            print(f"seed {seed}: not counted: {refused}", flush=True)
    real.close()
    print(", ".join(f"{count} {what}" for what, count in tally.items()))
    print(f"largest relative differences: forward {largest.forward}, backward {largest.backward}")
    print("nets with each type:", ", ".join(f"{k} {n}" for k, n in kinds.most_common()))
    return int(bool(tally["different"]))


if __name__ == "__main__":
    sys.exit(main())
