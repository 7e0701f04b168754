"""RNN, and the base that it shares with LSTM."""

import math

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

FILLED = 'weight_filler { type: "gaussian" std: 0.5 } bias_filler { type: "uniform" }'
X, STATIC = values(3, 2, 4), values(2, 5, seed=1)
STATE = values(1, 2, 3, seed=2)
# Passes must be independent of each other: cont is 0 in the first step.
CONT = np.array([[0.0, 0], [1, 1], [1, 0]])
KINDS = {"RNN": 1, "LSTM": 2}


def recurrent(kind: str, *more: np.ndarray, settings: str = "", x: np.ndarray = X) -> Case:
    exposed = "expose_hidden" in settings
    states = KINDS[kind] * exposed
    return Case(
        kind,
        f"recurrent_param {{ num_output: 3 {settings} {FILLED} }}",
        (x, CONT, *more),
        1 + states,
        # No gradient reaches the states.
        () if exposed else (0, *range(2, 2 + len(more))),
    )


CASES = [
    recurrent("RNN"),
    recurrent("RNN", STATIC),
    recurrent("RNN", STATE, settings="expose_hidden: true"),
    recurrent("LSTM", STATIC, x=values(3, 2, 2, 2)),
    recurrent("LSTM"),
    recurrent("LSTM", STATIC, STATE, STATE, settings="expose_hidden: true"),
]


def scalar_rnn(cont: list[float]) -> Alone:
    """Return an RNN of one unit: h = tanh(2 h + 3 x + 0.5), o = tanh(4 h + 0.25)."""
    x = np.array([0.1, -0.2]).reshape(2, 1, 1)
    alone = Alone(
        Case("RNN", "recurrent_param { num_output: 1 }", (x, np.reshape(cont, (2, 1)))),
    )
    for blob, value in zip(alone.layer.blobs, (3.0, 0.5, 2.0, 4.0, 0.25), strict=True):
        blob.data[...] = value
    return alone


def test_rnn_by_hand():
    first = math.tanh(3 * 0.1 + 0.5)
    second = math.tanh(2 * first + 3 * -0.2 + 0.5)
    alone = scalar_rnn([0, 1])
    found = alone.forward()[0].ravel()
    assert found == pytest.approx([math.tanh(4 * h + 0.25) for h in (first, second)])


def test_rnn_gradient_by_hand():
    alone = scalar_rnn([0, 1])
    o1, o2 = alone.forward()[0].ravel()
    h1, h2 = ((math.atanh(o) - 0.25) / 4 for o in (o1, o2))
    down = alone.backward([np.array([1.0, 10]).reshape(2, 1, 1)])[0].ravel()
    second = 10 * (1 - o2**2) * 4 * (1 - h2**2)
    first = ((1 - o1**2) * 4 + second * 2) * (1 - h1**2)
    assert down == pytest.approx([3 * first, 3 * second])
    expected = [
        0.1 * first - 0.2 * second,
        first + second,
        h1 * second,
        h1 * (1 - o1**2) + 10 * h2 * (1 - o2**2),
        (1 - o1**2) + 10 * (1 - o2**2),
    ]
    assert [blob.diff.item() for blob in alone.layer.blobs] == pytest.approx(expected)


@pytest.mark.parametrize("kind", KINDS)
def test_next_pass_continues_where_cont_is_1(kind):
    alone = Alone(recurrent(kind))
    first = alone.forward()[0]
    alone.bottom[1].data[0] = [1, 0]
    second = alone.forward()[0]
    assert np.abs(second[:, 0] - first[:, 0]).max() > 0.01
    assert np.array_equal(second[:, 1], first[:, 1])
    alone.layer.reset()
    assert np.array_equal(alone.forward()[0], first)


@pytest.mark.parametrize("kind", KINDS)
def test_two_short_passes_equal_one_long(kind):
    x, cont = values(6, 2, 4), np.ones((6, 2))
    settings = f"recurrent_param {{ num_output: 3 {FILLED} }}"
    whole = Alone(Case(kind, settings, (x, cont)))
    halves = Alone(Case(kind, settings, (x[:3], cont[:3])))
    for blob, other in zip(halves.layer.blobs, whole.layer.blobs, strict=True):
        blob.data[...] = other.data
    found = []
    for half in (x[:3], x[3:]):
        halves.bottom[0].data[...] = half
        found.append(halves.forward()[0])
    np.testing.assert_allclose(np.concatenate(found), whole.forward()[0], rtol=1e-12)


@pytest.mark.parametrize("kind", KINDS)
def test_exposed_states(kind):
    states = KINDS[kind]
    cont, zeros = np.ones((3, 2)), np.zeros((1, 2, 3))
    settings = f"recurrent_param {{ num_output: 3 expose_hidden: true {FILLED} }}"
    exposed = Alone(Case(kind, settings, (X, cont, *[zeros] * states), 1 + states))
    hidden = Alone(Case(kind, f"recurrent_param {{ num_output: 3 {FILLED} }}", (X, cont)))
    for blob, other in zip(hidden.layer.blobs, exposed.layer.blobs, strict=True):
        blob.data[...] = other.data
    for _ in range(3):
        output, *ended = exposed.forward()
        assert np.array_equal(output, hidden.forward()[0])
        for blob, state in zip(exposed.bottom[2:], ended, strict=True):
            blob.data[...] = state
    if kind == "LSTM":
        assert np.array_equal(ended[0][0], output[-1])


def test_frozen_weights_get_no_gradient():
    alone = Alone(recurrent("LSTM", STATIC))
    alone.layer.param_propagate_down = [True, False, False, True]
    alone.forward()
    alone.backward([np.ones((3, 2, 3))])
    assert [bool(blob.diff.any()) for blob in alone.layer.blobs] == [True, False, False, True]


OTHER = values(1, 2, 4)
BAD = [
    (Case("LSTM", bottoms=(X, CONT)), "num_output is missing or 0"),
    (recurrent("LSTM", x=values(3, 2)), r"x has shape \(3, 2\). Needed: \(steps, streams, inputs"),
    (recurrent("LSTM", x=values(4, 2, 4)), r"cont has shape \(3, 2\). Needed: \(4, 2\)"),
    (recurrent("RNN", values(3, 5)), r"x_static has shape \(3, 5\).* Needed: \(2, inputs\)"),
    (
        recurrent("RNN", OTHER, settings="expose_hidden: true"),
        r"bottom 2 has shape \(1, 2, 4\). Needed for a state: \(1, 2, 3\)",
    ),
    (
        recurrent("LSTM", STATE, settings="expose_hidden: true"),
        "has 3 bottom blobs. Allowed: x, cont, optionally x_static, 2 states",
    ),
    (recurrent("LSTM", STATIC, STATE), "has 4 bottom blobs. Allowed: x, cont, optionally x_static"),
    (Case("RNN", "recurrent_param { num_output: 3 }", (X, CONT), 2), "has 2 top blobs. Allowed: 1"),
]


@pytest.mark.parametrize(("case", "message"), BAD, ids=str)
def test_bad_settings(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: .*{message}"):
        Alone(case)


def test_streams_may_change_but_steps_may_not():
    alone = Alone(recurrent("LSTM"))
    alone.bottom[0].reshape(3, 5, 4)
    alone.bottom[1].reshape(3, 5)
    assert alone.forward()[0].shape == (3, 5, 3)
    alone.bottom[0].reshape(4, 2, 4)
    with pytest.raises(LayerError, match=r"x has shape \(4, 2, 4\). Needed: 3 steps"):
        alone.forward()


def test_no_gradient_for_cont():
    case = recurrent("LSTM")
    with pytest.raises(LayerError, match="no gradient for cont"):
        run(Case(case.type, case.settings, case.bottoms, learns=(0, 1)), np.ones((3, 2, 3)))
