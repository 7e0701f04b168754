"""CenterLoss, NormalizedInnerProduct, LabelSpecificAdd, TripletLoss, FocalLoss, WarpCTC."""

import itertools
import math

import numpy as np
import pytest

import caffe
from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, labels, run, values

X, Y = values(3, 4), labels(2, 0, 2)
FILLED = 'weight_filler { type: "gaussian" }'
SEQUENCE = values(4, 2, 3)
CTC = Case("WarpCTC", bottoms=(SEQUENCE, np.array([[1.0, 2], [1, 0]])))
CASES = [
    Case(
        "NormalizedInnerProduct",
        f"normalized_inner_product_param {{ num_output: 5 {FILLED} }}",
        (X,),
    ),
    Case("LabelSpecificAdd", "label_specific_add_param { bias: -0.35 }", (X, Y)),
    Case("TripletLoss", "", (X, values(3, 4, seed=1), values(3, 4, seed=2)), learns=(0, 1, 2)),
    Case("FocalLoss", "", (X, Y)),
    Case(
        "SoftmaxFocalLoss",
        "focal_loss_param { gamma: 1.5 alpha: 1 } loss_param { ignore_label: 9 }",
        (values(2, 3, 2), np.array([[0.0, 9], [2, 1]])),
    ),
    CTC,
    Case(
        "CenterLoss",
        'center_loss_param { num_output: 3 center_filler { type: "gaussian" } }',
        (X, Y),
        learns=(),
    ),
]


def test_centres_move_as_in_the_paper():
    alone = Alone(CASES[-1])
    centres = values(3, 4, seed=5)
    alone.layer.blobs[0].data[...] = centres
    away = X - centres[[2, 0, 2]]
    assert alone.forward()[0] == pytest.approx((away**2).sum() / 6)
    (grad,) = alone.backward([np.array(0.5)])
    assert grad == pytest.approx(away / 6)
    expected = np.zeros((3, 4))
    expected[0], expected[2] = -away[1] / 2, -(away[0] + away[2]) / 3
    assert alone.layer.blobs[0].diff == pytest.approx(expected)


def test_cosines():
    alone = Alone(CASES[0])
    weights = alone.layer.blobs[0].data
    lengths = np.linalg.norm(X, axis=1)[:, None] * np.linalg.norm(weights, axis=1)
    assert alone.forward()[0] == pytest.approx(X @ weights.T / lengths)


def test_margin_of_the_own_class_in_training():
    (top,), _ = run(CASES[1])
    expected = X.copy()
    for item, own in enumerate([2, 0, 2]):
        expected[item, own] -= 0.35 * (X[item, own] > 0.35)  # no score becomes negative
    assert top == pytest.approx(expected)
    (top,), _ = run(Case("LabelSpecificAdd", CASES[1].settings, (X, Y), phase=caffe.TEST))
    assert np.array_equal(top, X)


def test_triplets_by_hand():
    anchor, positive, negative = (
        np.array([[0.0], [0]]),
        np.array([[1.0], [1]]),
        np.array([[1.5], [9]]),
    )
    case = Case("TripletLoss", "triplet_loss_param { margin: 2 }", (anchor, positive, negative))
    (loss,), (grad,) = run(case, np.ones(()))
    assert loss == pytest.approx((2 + 1 - 2.25) / 4)
    assert grad.tolist() == [
        [0.25],
        [0],
    ]  # 2 (n - p) / 2 N of the first, which is within the margin


def test_focal_loss_by_hand():
    p = np.array([[0.7, 0.2, 0.1], [0.25, 0.25, 0.5]])
    (loss,), _ = run(Case("FocalLoss", "", (np.log(p), labels(0, 1))))
    expected = 0.25 * (0.3**2 * -math.log(0.7) + 0.75**2 * -math.log(0.25)) / 2
    assert loss == pytest.approx(expected)
    sure = Case("FocalLoss", "focal_loss_param { gamma: 0.5 }", (np.array([[99.0, 0]]), labels(0)))
    assert run(sure, np.ones(()))[1][0] == pytest.approx(0, abs=1e-99)  # and not NaN
    maps = values(2, 3, 2), np.array([[0.0, 1], [2, 1]])
    (mean,), _ = run(Case("FocalLoss", "", maps))
    (loss,), _ = run(Case("FocalLoss", "loss_param { normalize: false }", maps))
    assert loss == pytest.approx(2 * mean)  # by 2 items in place of 4 positions


def test_ctc_is_the_sum_over_all_paths():
    scores, targets = CTC.bottoms
    p = np.exp(scores) / np.exp(scores).sum(2, keepdims=True)
    expected = 0.0
    for item, target in enumerate(targets):
        total = 0.0
        for path in itertools.product(range(3), repeat=4):
            read = [k for k, _ in itertools.groupby(path) if k]
            if read == [k for k in target if k]:
                total += math.prod(p[t, item, k] for t, k in enumerate(path))
        expected -= math.log(total) / 2
    (loss,), _ = run(CTC)
    assert loss == pytest.approx(expected)


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (Case("CenterLoss", "", (X, Y)), "num_output, the number of classes"),
        (Case("CenterLoss", "center_loss_param { num_output: 2 }", (X, Y)), "not from 0 to 1"),
        (Case("NormalizedInnerProduct", "", (X,)), "num_output is missing"),
        (Case("LabelSpecificAdd", "", (X, Y[:2])), "Needed: .N, classes"),
        (Case("TripletLoss", "", (X, X, X[:2])), "Needed: three of one shape"),
        (Case("FocalLoss", "", (X, Y + 2)), "not from 0 to 3"),
        (Case("WarpCTC", "", (X, Y)), "Needed: .T, N, classes"),
    ],
)
def test_what_does_not_fit_is_refused(case, message):
    with pytest.raises(LayerError, match=message):
        Alone(case).forward()
