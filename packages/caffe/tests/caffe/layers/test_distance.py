"""EuclideanLoss, ContrastiveLoss, HingeLoss."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, labels, run, values

A, B = values(4, 3), values(4, 3, seed=1)
ALIKE = labels(1, 0, 0, 1)


def contrastive(settings: str, *bottoms: np.ndarray, tolerance: float = 1e-6) -> Case:
    settings = f"contrastive_loss_param {{ {settings} }}"
    return Case("ContrastiveLoss", settings, bottoms, learns=(0, 1), tolerance=tolerance)


CASES = [
    Case("EuclideanLoss", bottoms=(A, B), learns=(0, 1)),
    # Caffe's 1e-4 in the gradient's divisor.
    contrastive("margin: 4", A, B, ALIKE, tolerance=1e-3),
    contrastive("margin: 1", A, B, ALIKE),
    contrastive("margin: 12 legacy_version: true", A, B, ALIKE),
    Case("HingeLoss", bottoms=(A, labels(2, 0, 1, 2))),
    Case("HingeLoss", "hinge_loss_param { norm: L2 }", (A, labels(2, 0, 1, 2))),
    Case("HingeLoss", bottoms=(values(2, 3, 2), labels(5, 0))),
]


def test_euclidean_by_hand():
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([[1.0, 0], [0, 4]])
    case = Case("EuclideanLoss", bottoms=(a, b), learns=(0, 1))
    tops, bottoms = run(case, np.array(2.0))
    assert tops[0] == (4 + 9) / 4
    assert bottoms[0].tolist() == [[0, 2], [3, 0]]
    assert bottoms[1].tolist() == [[0, -2], [-3, 0]]


NEAR = np.array([[1.0, 2], [3, 4], [0, 0], [5, 5]])
FAR = np.array([[1.0, 5], [0, 0], [3, 4], [5, 5]])  # 3, 5, 5 and 0 apart


def test_contrastive_by_hand():
    tops, bottoms = run(contrastive("margin: 7", NEAR, FAR, ALIKE), np.array(2.0))
    # 3^2 and 0^2 of similar pairs; (7 - 5)^2 of each dissimilar one.
    assert tops[0] == pytest.approx((9 + 4 + 4 + 0) / 8)
    push = 2 / (5 + 1e-4)
    expected = np.array([[0, -3], [-3 * push, -4 * push], [3 * push, 4 * push], [0, 0]]) / 2
    assert bottoms[0] == pytest.approx(expected)
    assert np.array_equal(bottoms[1], -bottoms[0])


def test_contrastive_legacy_version_by_hand():
    case = contrastive("margin: 26 legacy_version: true", NEAR, FAR, ALIKE)
    tops, bottoms = run(case, np.array(2.0))
    assert tops[0] == pytest.approx((9 + 1 + 1 + 0) / 8)
    assert bottoms[0] == pytest.approx(np.array([[0, -3], [-3, -4], [3, 4], [0, 0]]) / 2)


def test_contrastive_gradient_of_equal_points_is_0():
    tops, bottoms = run(contrastive("", FAR, FAR, labels(0, 0, 0, 0)), np.array(1.0))
    assert tops[0] == 0.5
    assert not bottoms[0].any()


def test_contrastive_at_the_margin():
    _, bottoms = run(contrastive("margin: 5", NEAR, FAR, labels(0, 0, 0, 0)), np.array(4.0))
    assert not bottoms[0][1:].any()
    assert bottoms[0][0] == pytest.approx(np.array([0, 2 * 3 / 3.0001]))


def test_contrastive_similarity_is_truncated_to_an_integer():
    tops, _ = run(contrastive("margin: 1", NEAR, FAR, labels(-1, 2, 0.9, -0.9)))
    assert tops[0] == pytest.approx((9 + 25 + 0 + 1) / 8)


def test_hinge_by_hand():
    x = np.array([[1.0, 2, 0], [3, 0, -1]])
    tops, bottoms = run(Case("HingeLoss", bottoms=(x, labels(1, 0))), np.array(2.0))
    # The labels' own scores, 2 and 3, exceed the margin; -1 is exactly at it.
    assert tops[0] == (2 + 0 + 1 + 0 + 1 + 0) / 2
    assert bottoms[0].tolist() == [[1, 0, 1], [0, 1, 0]]


def test_hinge_squared_by_hand():
    x = np.array([[1.0, 0.5, 0], [3, 0, -1]])
    case = Case("HingeLoss", "hinge_loss_param { norm: L2 }", (x, labels(1, 0)))
    tops, bottoms = run(case, np.array(2.0))
    assert tops[0] == (4 + 0.25 + 1 + 0 + 1 + 0) / 2
    assert bottoms[0] == pytest.approx(np.array([[4, -1, 2], [0, 2, 0]]))


@pytest.mark.parametrize("label", [-1, 3])
def test_hinge_refuses_labels_out_of_range(label):
    with pytest.raises(LayerError, match=f"layer 'layer'.*label {label}. Allowed: 0 to 2"):
        run(Case("HingeLoss", bottoms=(A, labels(0, 1, 2, label))))


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (contrastive("", A, values(4, 2), ALIKE), r"shapes \(4, 3\), \(4, 2\) and \(4,\)"),
        (contrastive("", A, values(3, 3), ALIKE), r"\(4, 3\) and labels \(3, 3\)"),
        (contrastive("", A, B, labels(1, 0)), r"shapes \(4, 3\), \(4, 3\) and \(2,\)"),
        (contrastive("", A, B, values(4, 2)), r"\(4, 3\) and \(4, 2\). Allowed: \(N, C\)"),
        (contrastive("", *[values(4, 3, 2)] * 2, ALIKE), r"\(4, 3, 2\) and \(4,\). Allowed"),
        (contrastive("", *[values(4, 3, 1, 1, 1)] * 2, ALIKE), "Allowed"),
        (Case("HingeLoss", bottoms=(A, values(4, 2))), r"\(4, 3\) need 4 labels.*\(4, 2\) are 8"),
    ],
    ids=str,
)
def test_bad_shapes_are_refused(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: .*{message}"):
        Alone(case)
