"""Softmax, SoftmaxWithLoss, SigmoidCrossEntropyLoss, EuclideanLoss, Accuracy."""

import math

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, labels, run, values

SCORES, CLASSES = values(4, 3), labels(2, 0, 1, 2)
PLACES, MAP = values(2, 3, 2, 2), np.array([[[0, 1], [2, 1]], [[1, 1], [0, 2]]], np.float64)
TARGETS = np.array([[0, 1, 0.5], [1, 1, 0], [0.25, 0, 1], [1, 0, 0]])
MODES = ("FULL", "VALID", "BATCH_SIZE", "NONE")
CASES = [
    Case("Softmax", bottoms=(SCORES,)),
    Case("Softmax", "softmax_param { axis: 2 }", (PLACES,)),
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
    Case("EuclideanLoss", bottoms=(SCORES, values(4, 3, seed=1)), learns=(0, 1)),
    Case("Accuracy", bottoms=(SCORES, CLASSES), learns=()),
    Case("Accuracy", "accuracy_param { top_k: 2 ignore_label: 1 }", (PLACES, MAP), 2, ()),
]
EIGHTHS = np.log([[1.0, 2, 5]])


def test_softmax_by_hand():
    tops, bottoms = run(Case("Softmax", bottoms=(EIGHTHS,)), np.array([[1.0, 0, 0]]))
    assert tops[0] == pytest.approx(np.array([[1, 2, 5]]) / 8)
    assert bottoms[0] == pytest.approx(np.array([[7, -2, -5]]) / 64)


def test_softmax_far_out_does_not_overflow():
    tops, _ = run(Case("Softmax", bottoms=(np.array([[1e4, 0, -1e4]]),)))
    assert tops[0].tolist() == [[1, 0, 0]]


def test_softmax_with_loss_by_hand():
    scores, truth = np.repeat(EIGHTHS, 2, 0), labels(2, 0)
    tops, bottoms = run(Case("SoftmaxWithLoss", bottoms=(scores, truth)), np.array(2.0))
    assert tops[0] == pytest.approx((math.log(8 / 5) + math.log(8)) / 2)
    assert bottoms[0] == pytest.approx(np.array([[1, 2, -3], [-7, 2, 5]]) / 8)


def test_softmax_with_loss_gives_the_probabilities_too():
    tops, _ = run(Case("SoftmaxWithLoss", bottoms=(EIGHTHS, labels(1)), tops=2))
    assert tops[1] == pytest.approx(np.array([[1, 2, 5]]) / 8)


@pytest.mark.parametrize(
    # Two pictures of 2 x 2 places, of which 3 are ignored; every place's loss is log 3.
    ("mode", "divisor"),
    [("FULL", 8), ("VALID", 5), ("BATCH_SIZE", 2), ("NONE", 1)],
)
def test_what_softmax_with_loss_is_divided_by(mode, divisor):
    truth = np.array([[[0, 9], [1, 2]], [[9, 9], [0, 0]]], np.float64)
    settings = f"loss_param {{ ignore_label: 9 normalization: {mode} }}"
    case = Case("SoftmaxWithLoss", settings, (np.zeros((2, 3, 2, 2)), truth))
    tops, bottoms = run(case, np.array(1.0))
    assert tops[0] == pytest.approx(5 * math.log(3) / divisor)
    assert bottoms[0][0, :, 0, 0] == pytest.approx(np.array([-2, 1, 1]) / 3 / divisor)
    assert bottoms[0][0, :, 0, 1].tolist() == [0, 0, 0]


def test_nothing_but_ignored_labels():
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
def test_labels_that_are_no_class(kind, label):
    with pytest.raises(LayerError, match=f"layer 'layer'.*label {label}. Allowed: 0 to 2"):
        run(Case(kind, bottoms=(SCORES, labels(0, 1, 2, label))))


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "Accuracy"])
def test_as_many_labels_as_places(kind):
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


def test_sigmoid_cross_entropy_far_out_does_not_overflow():
    case = Case("SigmoidCrossEntropyLoss", bottoms=(np.array([[1e4, -1e4]]), np.zeros((1, 2))))
    assert run(case)[0][0] == 1e4


def test_euclidean_by_hand():
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0], [0, 4]])
    case = Case("EuclideanLoss", bottoms=(a, b), learns=(0, 1))
    tops, bottoms = run(case, np.array(2.0))
    assert tops[0] == (4 + 9) / 4
    assert bottoms[0].tolist() == [[0, 2], [3, 0]]
    assert bottoms[1].tolist() == [[0, -2], [-3, 0]]


@pytest.mark.parametrize("kind", ["SoftmaxWithLoss", "SigmoidCrossEntropyLoss", "EuclideanLoss"])
def test_losses_need_as_many_items(kind):
    with pytest.raises(LayerError, match=r"layer 'layer'.*\(4, 3\).*\(3,"):
        Alone(Case(kind, bottoms=(SCORES, np.zeros((3, 4)))))


TOP = np.array([[0.1, 0.7, 0.2], [0.5, 0.2, 0.3], [0.3, 0.1, 0.6], [0.2, 0.3, 0.5]])


@pytest.mark.parametrize(("top_k", "right"), [(1, 2), (2, 3), (3, 4)])
def test_accuracy_of_the_best_k(top_k, right):
    case = Case("Accuracy", f"accuracy_param {{ top_k: {top_k} }}", (TOP, labels(1, 2, 2, 0)))
    assert run(case)[0][0] == right / 4


def test_accuracy_of_each_class():
    case = Case("Accuracy", bottoms=(TOP, labels(1, 2, 2, 2)), tops=2)
    tops, _ = run(case)
    assert tops[0] == 3 / 4
    assert tops[1] == pytest.approx(np.array([0, 1, 2 / 3]))


def test_accuracy_passes_over_the_ignored_label():
    case = Case("Accuracy", "accuracy_param { ignore_label: 2 }", (TOP, labels(1, 1, 2, 2)))
    assert run(case)[0][0] == 1 / 2


def test_accuracy_has_no_more_than_all_classes():
    with pytest.raises(LayerError, match="top_k is 4. Allowed: up to the 3 classes"):
        run(Case("Accuracy", "accuracy_param { top_k: 4 }", (TOP, labels(1, 1, 2, 2))))


def test_accuracy_has_no_gradient():
    with pytest.raises(LayerError, match="layer 'layer' .Accuracy.: has no gradient"):
        run(Case("Accuracy", bottoms=(TOP, labels(1, 2, 2, 2))), np.array(1.0))
