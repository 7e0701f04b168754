"""MultinomialLogisticLoss, InfogainLoss."""

import math

import numpy as np
import pytest

from caffe.errors import LayerError
from caffe.formats import set_blob, write_binary
from caffe.proto.caffe_pb2 import BlobProto
from tests.caffe.layer_case import Alone, Case, labels, run, values
from tests.caffe.layers.test_loss import CLASSES, MAP, MODES, PLACES, SCORES

GAINS = values(3, 3, low=0, high=1)
SHARES = values(4, 3, low=0.1, high=0.9)
CASES = [
    Case("MultinomialLogisticLoss", bottoms=(SHARES, CLASSES)),
    Case("MultinomialLogisticLoss", bottoms=(values(2, 3, 2, low=0.1, high=1), labels(5, 2))),
    Case("InfogainLoss", bottoms=(SCORES, CLASSES, GAINS)),
    Case("InfogainLoss", "infogain_loss_param { axis: -1 }", (SCORES, CLASSES, GAINS)),
    *(
        Case(
            "InfogainLoss",
            f"loss_param {{ ignore_label: 1 normalization: {mode} }}",
            (PLACES, MAP, GAINS),
        )
        for mode in MODES
    ),
]
EIGHTHS = np.log([[1.0, 2, 5]])
LOGS = [math.log(8), math.log(4), math.log(8 / 5)]


def test_multinomial_by_hand():
    shares = np.array([[0.125, 0.25, 0.625], [0.5, 0, 0.5]])
    case = Case("MultinomialLogisticLoss", bottoms=(shares, labels(1, 2)))
    tops, bottoms = run(case, np.array(2.0))
    assert tops[0] == pytest.approx((math.log(4) + math.log(2)) / 2)
    assert bottoms[0].tolist() == [[0, -4, 0], [0, 0, -2]]


def test_the_smallest_probability_is_1e_20():
    case = Case("MultinomialLogisticLoss", bottoms=(np.array([[1.0, 0]]), labels(1)))
    tops, bottoms = run(case, np.array(1.0))
    assert tops[0] == pytest.approx(20 * math.log(10))
    assert bottoms[0] == pytest.approx(np.array([[0, -1e20]]))


def test_infogain_of_the_identity_is_softmax_with_loss():
    found = run(Case("InfogainLoss", bottoms=(PLACES, MAP, np.eye(3))), np.array(1.5))
    expected = run(Case("SoftmaxWithLoss", bottoms=(PLACES, MAP)), np.array(1.5))
    assert found[0][0] == pytest.approx(expected[0][0])
    assert found[1][0] == pytest.approx(expected[1][0])


def test_infogain_by_hand():
    gains = np.array([[1.0, 2, 0], [0, 1, 0], [0, 0.5, 1]])
    case = Case("InfogainLoss", bottoms=(np.repeat(EIGHTHS, 2, 0), labels(0, 2), gains), tops=2)
    tops, bottoms = run(case, np.array(2.0), np.zeros((2, 3)))
    assert tops[0] == pytest.approx((LOGS[0] + 2 * LOGS[1] + 0.5 * LOGS[1] + LOGS[2]) / 2)
    assert tops[1] == pytest.approx(np.array([[1, 2, 5]] * 2) / 8)
    # p times the sum of the row, minus the row.
    expected = np.array([[3, 6, 15], [1.5, 3, 7.5]]) / 8 - gains[[0, 2]]
    assert bottoms[0] == pytest.approx(expected)


def test_infogain_from_a_file(tmp_path):
    gains = BlobProto()
    set_blob(gains, GAINS.reshape(1, 1, 3, 3).astype(np.float32))
    write_binary(tmp_path / "gains.binaryproto", gains)
    settings = f'infogain_loss_param {{ source: "{tmp_path}/gains.binaryproto" }}'
    found = run(Case("InfogainLoss", settings, (SCORES, CLASSES)), np.array(1.0))
    expected = run(Case("InfogainLoss", bottoms=(SCORES, CLASSES, GAINS)), np.array(1.0))
    assert found[0][0] == pytest.approx(expected[0][0], rel=1e-6)
    assert found[1][0] == pytest.approx(expected[1][0], rel=1e-5)


@pytest.mark.parametrize("kind", ["MultinomialLogisticLoss", "InfogainLoss"])
@pytest.mark.parametrize("label", [-1, 3])
def test_labels_out_of_range_are_refused(kind, label):
    bottoms = (SHARES, labels(0, 1, 2, label), GAINS)[: 3 if kind == "InfogainLoss" else 2]
    with pytest.raises(LayerError, match=f"layer 'layer'.*label {label}. Allowed: 0 to 2"):
        run(Case(kind, bottoms=bottoms))


def test_the_infogain_matrix_has_no_gradient():
    case = Case("InfogainLoss", bottoms=(SCORES, CLASSES, GAINS), learns=(0, 2))
    with pytest.raises(LayerError, match="layer 'layer' .*cannot backpropagate to its infogain m"):
        run(case, np.array(1.0))


NO_FILE = 'infogain_loss_param { source: "/nowhere/gains" }'


@pytest.mark.parametrize(
    ("settings", "bottoms", "message"),
    [
        ("", (SCORES, CLASSES), "has no infogain matrix. Needed: a third bottom, or a source"),
        (NO_FILE, (SCORES, CLASSES), "/nowhere/gains: cannot be read: No such file"),
        ("", (SCORES, CLASSES, GAINS[:2]), r"infogain matrix has shape \(2, 3\). Needed: 3 x 3"),
        (
            "loss_param { normalize: true }",
            (SCORES, CLASSES, GAINS),
            "normalize is set. Allowed",
        ),
    ],
)
def test_bad_infogain_is_refused(settings, bottoms, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .InfogainLoss.: {message}"):
        Alone(Case("InfogainLoss", settings, bottoms))
