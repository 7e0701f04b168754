"""SoftmaxWithLoss, SigmoidCrossEntropyLoss, and the base of all losses."""

import math

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, labels, run, values
from tests.caffe.net_case import net

SCORES, CLASSES = values(4, 3), labels(2, 0, 1, 2)
PLACES, MAP = values(2, 3, 2, 2), np.array([[[0, 1], [2, 1]], [[1, 1], [0, 2]]], np.float64)
TARGETS = np.array([[0, 1, 0.5], [1, 1, 0], [0.25, 0, 1], [1, 0, 0]])
MODES = ("FULL", "VALID", "BATCH_SIZE", "NONE")
CASES = [
    Case("SoftmaxWithLoss", bottoms=(SCORES, CLASSES)),
    Case("SoftmaxWithLoss", "softmax_param { axis: -1 }", (SCORES, CLASSES)),
    Case("SoftmaxWithLoss", "loss_param { ignore_label: 2 normalize: false }", (SCORES, CLASSES)),
    *(
        Case(
            "SoftmaxWithLoss", f"loss_param {{ ignore_label: 1 normalization: {m} }}", (PLACES, MAP)
        )
        for m in MODES
    ),
    Case("SigmoidCrossEntropyLoss", bottoms=(SCORES, TARGETS)),
    *(
        Case(
            "SigmoidCrossEntropyLoss",
            f"loss_param {{ ignore_label: -1 normalization: {m} }}",
            (SCORES, np.where(TARGETS == 1, -1, TARGETS)),
        )
        for m in MODES
    ),
]
EIGHTHS = np.log([[1.0, 2, 5]])


def test_softmax_with_loss_by_hand():
    scores, truth = np.repeat(EIGHTHS, 2, 0), labels(2, 0)
    tops, bottoms = run(Case("SoftmaxWithLoss", bottoms=(scores, truth)), np.array(2.0))
    assert tops[0] == pytest.approx((math.log(8 / 5) + math.log(8)) / 2)
    assert bottoms[0] == pytest.approx(np.array([[1, 2, -3], [-7, 2, 5]]) / 8)


def test_softmax_with_loss_gives_the_probabilities_too():
    tops, _ = run(Case("SoftmaxWithLoss", bottoms=(EIGHTHS, labels(1)), tops=2))
    assert tops[1] == pytest.approx(np.array([[1, 2, 5]]) / 8)


@pytest.mark.parametrize(
    # Two images of 2 x 2 places, of which 3 are ignored; every place's loss is log 3.
    ("mode", "divisor"),
    [("FULL", 8), ("VALID", 5), ("BATCH_SIZE", 2), ("NONE", 1)],
)
def test_softmax_with_loss_normalization(mode, divisor):
    truth = np.array([[[0, 9], [1, 2]], [[9, 9], [0, 0]]], np.float64)
    settings = f"loss_param {{ ignore_label: 9 normalization: {mode} }}"
    case = Case("SoftmaxWithLoss", settings, (np.zeros((2, 3, 2, 2)), truth))
    tops, bottoms = run(case, np.array(1.0))
    assert tops[0] == pytest.approx(5 * math.log(3) / divisor)
    assert bottoms[0][0, :, 0, 0] == pytest.approx(np.array([-2, 1, 1]) / 3 / divisor)
    assert bottoms[0][0, :, 0, 1].tolist() == [0, 0, 0]


def test_all_labels_ignored():
    settings = "loss_param { ignore_label: 1 }"
    case = Case("SoftmaxWithLoss", settings, (SCORES, labels(1, 1, 1, 1)))
    tops, bottoms = run(case, np.array(1.0))
    assert tops[0] == 0
    assert not bottoms[0].any()


def test_an_impossible_class_costs_the_smallest_float():
    scores = np.array([[0.0, 1000]])
    tops, _ = run(Case("SoftmaxWithLoss", bottoms=(scores, labels(0))))
    assert tops[0] == pytest.approx(-math.log(np.finfo(np.float32).tiny))


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "Accuracy"])
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(kind, label):
    with pytest.raises(LayerError, match=f"layer 'layer'.*label {label}. Allowed: 0 to 2"):
        run(Case(kind, bottoms=(SCORES, labels(0, 1, 2, label))))


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "Accuracy"])
def test_number_of_labels_must_equal_that_of_positions(kind):
    with pytest.raises(LayerError, match=r"layer 'layer'.*\(2, 3, 2, 2\).* 8 labels.*\(2,\)"):
        run(Case(kind, bottoms=(PLACES, labels(0, 1))))


def test_sigmoid_cross_entropy_by_hand():
    # sigmoid(log 3) = 3/4.
    x = np.array([[0, math.log(3)], [-math.log(3), math.log(3)]])
    case = Case("SigmoidCrossEntropyLoss", bottoms=(x, np.array([[1.0, 1], [0, 0]])))
    tops, bottoms = run(case, np.array(2.0))
    losses = math.log(2) + math.log(4 / 3) + math.log(4 / 3) + math.log(4)
    assert tops[0] == pytest.approx(losses / 2)
    assert bottoms[0] == pytest.approx(np.array([[-0.5, -0.25], [0.25, 0.75]]))


def test_sigmoid_cross_entropy_of_large_values_does_not_overflow():
    case = Case("SigmoidCrossEntropyLoss", bottoms=(np.array([[1e4, -1e4]]), np.zeros((1, 2))))
    assert run(case)[0][0] == 1e4


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss"])
def test_numbers_of_items_must_be_equal(kind):
    with pytest.raises(LayerError, match=r"layer 'layer'.*\(4, 3\).*\(3,"):
        Alone(Case(kind, bottoms=(SCORES, np.zeros((3, 4)))))


TRUTHS = {
    "SoftmaxWithLoss": CLASSES,
    "InfogainLoss": CLASSES,
    "MultinomialLogisticLoss": CLASSES,
    "HingeLoss": CLASSES,
    "SigmoidCrossEntropyLoss": TARGETS,
}


@pytest.mark.parametrize("kind", TRUTHS)
def test_labels_have_no_gradient(kind):
    more = (np.eye(3),) if kind == "InfogainLoss" else ()
    case = Case(kind, bottoms=(abs(SCORES), TRUTHS[kind], *more), learns=(0, 1))
    with pytest.raises(LayerError, match=f"layer 'layer' .{kind}.: cannot backpropagate to its la"):
        run(case, np.array(1.0))


def test_weights_of_loss_and_probabilities():
    """The probabilities count in the displayed loss, but have no gradient."""
    weighted = net(
        'layer { name: "x" type: "Input" top: "x" top: "t" '
        "input_param { shape { dim: 4 dim: 3 } shape { dim: 4 } } } "
        'layer { name: "l" type: "SoftmaxWithLoss" bottom: "x" bottom: "t" top: "l" top: "p" '
        "loss_weight: 2 loss_weight: 0.5 } force_backward: true"
    )
    for name, given in (("x", SCORES), ("t", CLASSES)):
        weighted.blobs[name].data[...] = given
    tops, bottoms = run(Case("SoftmaxWithLoss", bottoms=(SCORES, CLASSES)), np.array(2.0))
    assert weighted.run_forward() == pytest.approx(2 * tops[0] + 0.5 * 4)
    weighted.backward()
    assert weighted.blobs["x"].diff == pytest.approx(bottoms[0], rel=1e-6, abs=1e-7)
