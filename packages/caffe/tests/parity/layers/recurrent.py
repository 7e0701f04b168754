"""RNN, LSTM and LSTMUnit in one pass; test_recurrent.py compares several passes."""

import numpy as np

from tests.caffe.layer_case import Case, values
from tests.caffe.layers.test_lstm import BAD as BAD_UNITS
from tests.caffe.layers.test_lstm import CASES as UNITS
from tests.caffe.layers.test_recurrent import BAD, KINDS
from tests.parity.layers.inputs import FILLED

X, STATIC, STATE = values(5, 3, 4), values(3, 2, 3, seed=1), values(1, 3, 6, seed=2)
GOES_ON = np.random.default_rng(0).integers(0, 2, (5, 3)).astype(np.float64)


def recurrent(kind: str, *more: np.ndarray, settings: str = "", **given: np.ndarray) -> Case:
    states = KINDS[kind] * ("expose_hidden" in settings)
    return Case(
        kind,
        f"recurrent_param {{ num_output: 6 {settings} {FILLED} }}",
        (given.get("x", X), given.get("cont", GOES_ON), *more),
        1 + states,
    )


CASES = [
    *UNITS,
    *(
        case
        for kind, states in KINDS.items()
        for case in (
            recurrent(kind),
            recurrent(kind, STATIC),
            recurrent(kind, cont=np.ones((5, 3))),
            recurrent(kind, cont=values(5, 3, low=0.2, high=0.9)),
            recurrent(kind, x=values(5, 3, 2, 2)),
            recurrent(kind, x=values(1, 3, 4), cont=np.ones((1, 3))),
            recurrent(kind, *[STATE] * states, settings="expose_hidden: true"),
            recurrent(kind, STATIC, *[STATE] * states, settings="expose_hidden: true"),
        )
    ),
]
REFUSED = [case for case, _ in BAD + BAD_UNITS]
