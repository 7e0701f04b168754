"""LSTM and LSTMUnit; the base that LSTM shares with RNN is tested in test_recurrent.py."""

import math

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

CELL, GATES = values(1, 2, 3), values(1, 2, 12, seed=1)
CASES = [
    Case("LSTMUnit", bottoms=(CELL, GATES, np.ones((1, 2))), tops=2, learns=(0, 1)),
    Case("LSTMUnit", bottoms=(CELL, GATES, np.array([[0.0, 1]])), tops=2, learns=(0, 1)),
]


def sigmoid(x: float) -> float:
    return 1 / (1 + math.exp(-x))


def test_unit_by_hand():
    bottoms = np.full((1, 1, 1), 0.5), np.reshape([0.1, 0.2, 0.3, 0.4], (1, 1, 4)), np.ones((1, 1))
    tops, _ = run(Case("LSTMUnit", bottoms=bottoms, tops=2))
    cell = sigmoid(0.2) * 0.5 + sigmoid(0.1) * math.tanh(0.4)
    assert tops[0].item() == pytest.approx(cell)
    assert tops[1].item() == pytest.approx(sigmoid(0.3) * math.tanh(cell))


def test_unit_forgets_where_cont_is_0():
    bottoms = np.full((1, 1, 1), 0.5), np.reshape([0.1, 9, 0.3, 0.4], (1, 1, 4)), np.zeros((1, 1))
    case = Case("LSTMUnit", bottoms=bottoms, tops=2, learns=(0, 1))
    tops, bottoms = run(case, np.ones((1, 1, 1)), np.ones((1, 1, 1)))
    assert tops[0].item() == pytest.approx(sigmoid(0.1) * math.tanh(0.4))
    assert bottoms[0].item() == 0
    assert bottoms[1].ravel()[1] == 0


def test_lstm_by_hand():
    x = np.array([0.5, -1.0]).reshape(2, 1, 1)
    case = Case("LSTM", "recurrent_param { num_output: 1 }", (x, np.array([[0.0], [1]])))
    alone = Alone(case)
    for blob, given in zip(
        alone.layer.blobs,
        ([[0.1], [0.2], [0.3], [0.4]], [0.01, 0.02, 0.03, 0.04], [[0.5], [0.6], [0.7], [0.8]]),
        strict=True,
    ):
        blob.data[...] = given
    cell = hidden = 0.0
    expected = []
    for value in (0.5, -1.0):
        i, f, o, g = (0.1 * k * value + 0.01 * k + (0.4 + 0.1 * k) * hidden for k in (1, 2, 3, 4))
        cell = sigmoid(f) * cell + sigmoid(i) * math.tanh(g)
        hidden = sigmoid(o) * math.tanh(cell)
        expected.append(hidden)
    assert alone.forward()[0].ravel() == pytest.approx(expected)


BAD = [
    (Case("LSTMUnit", bottoms=(values(2, 3), GATES, np.ones((1, 2))), tops=2), "Needed: .1, stre"),
    (Case("LSTMUnit", bottoms=(values(2, 2, 3), GATES, np.ones((1, 2))), tops=2), "Needed: .1, s"),
    (
        Case("LSTMUnit", bottoms=(CELL, values(1, 2, 9), np.ones((1, 2))), tops=2),
        r"bottom 1 has shape \(1, 2, 9\).* \(1, 2, 12\)",
    ),
    (
        Case("LSTMUnit", bottoms=(CELL, GATES, np.ones((2, 1))), tops=2),
        r"bottom 2 has \(2, 1\).*\(1, 2\)",
    ),
]


@pytest.mark.parametrize(("case", "message"), BAD, ids=str)
def test_bad_shapes(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: .*{message}"):
        Alone(case)


def test_no_gradient_for_cont():
    case = CASES[0]
    with pytest.raises(LayerError, match="no gradient for cont"):
        run(
            Case(case.type, bottoms=case.bottoms, tops=2, learns=(0, 1, 2)),
            np.ones((1, 2, 3)),
            np.ones((1, 2, 3)),
        )
