"""Eltwise, Reduction, ArgMax."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

# No two the same anywhere.
A, B, C, D = (values(2, 3, seed=i, low=-2 - i / 10, high=2 + i / 7) for i in range(4))
MAPS = values(2, 3, 4, 2)


def eltwise(settings: str, *bottoms: np.ndarray) -> Case:
    learns = tuple(range(len(bottoms)))
    return Case("Eltwise", f"eltwise_param {{ {settings} }}", bottoms, learns=learns)


def reduction(settings: str, x: np.ndarray) -> Case:
    return Case("Reduction", f"reduction_param {{ {settings} }}", (x,))


def argmax(settings: str, x: np.ndarray) -> Case:
    return Case("ArgMax", f"argmax_param {{ {settings} }}", (x,), learns=())


OPERATIONS = ("SUM", "ASUM", "SUMSQ", "MEAN")
CASES = [
    *(
        eltwise(settings, *bottoms)
        for settings in (
            "",
            "operation: PROD",
            "operation: MAX",
            "operation: PROD stable_prod_grad: false",
        )
        for bottoms in ((A, B), (A, B, C), (A, B, C, D))
    ),
    eltwise("coeff: 1 coeff: -1", A, B),
    eltwise("coeff: 0.5 coeff: 2 coeff: 0", A, B, C),
    *(
        reduction(f"operation: {operation} coeff: 1.5 axis: {axis}", MAPS)
        for operation in OPERATIONS
        for axis in (0, 1, -1)
    ),
    argmax("", MAPS),
    argmax("top_k: 3 out_max_val: true", MAPS),
    argmax("top_k: 2 axis: 1", MAPS),
]
X = np.array([[1.0, 2, 0], [3, 0, 0]])
Y = np.array([[1.0, 3, 0], [2, 0, 1]])
DIFF = np.array([[1.0, 2, 3], [4, 5, 6]])


@pytest.mark.parametrize(
    ("settings", "top", "grads"),
    [
        ("", [[3, 8, 0], [7, 0, 2]], [DIFF, DIFF, DIFF]),
        (
            "coeff: 1 coeff: 2 coeff: -1",
            [[2, 5, 0], [5, 0, 1]],
            [DIFF, 2 * DIFF, -DIFF],
        ),
        (
            "operation: PROD",
            [[1, 18, 0], [12, 0, 0]],
            [[[1, 18, 0], [16, 0, 6]], [[1, 12, 0], [24, 0, 0]], [[1, 12, 0], [24, 0, 0]]],
        ),
        (
            "operation: PROD stable_prod_grad: false",
            [[1, 18, 0], [12, 0, 0]],
            [
                [[1, 18, np.nan], [16, np.nan, np.nan]],
                [[1, 12, np.nan], [24, np.nan, 0]],
                [[1, 12, np.nan], [24, np.nan, 0]],
            ],
        ),
        (
            # In ties of the first two the second gets it; the third never does here.
            "operation: MAX",
            [[1, 3, 0], [3, 0, 1]],
            [[[0, 0, 0], [4, 0, 0]], [[1, 2, 3], [0, 5, 6]], np.zeros((2, 3))],
        ),
    ],
)
def test_eltwise_by_hand(settings, top, grads):
    with np.errstate(all="raise"):
        tops, bottoms = run(eltwise(settings, X, Y, Y), DIFF)
    assert tops[0] == pytest.approx(np.array(top))
    for found, expected in zip(bottoms, grads, strict=True):
        assert found == pytest.approx(np.array(expected), nan_ok=True)


@pytest.mark.parametrize("settings", ["coeff: 2 coeff: 3", "operation: PROD", "operation: MAX"])
@pytest.mark.parametrize("seen", [False, True])
def test_eltwise_in_place_is_the_same(settings, seen):
    tops, bottoms = run(eltwise(settings, X, Y), DIFF)
    alone = Alone(eltwise(settings, X, Y))
    alone.top = alone.bottom[:1]
    if not seen:  # with numpy views, results go to the same memory
        for blob in alone.bottom:
            blob.to(blob.dtype)
    assert np.array_equal(alone.forward()[0], tops[0])
    found = alone.backward([DIFF], (0, 1))
    assert all(np.array_equal(*pair) for pair in zip(found, bottoms, strict=True))


@pytest.mark.parametrize(
    ("operation", "top", "slope"),
    [
        ("SUM", [-2, 5], [[1, 1, 1], [1, 1, 1]]),
        ("ASUM", [4, 5], [[1, -1, 0], [1, 1, 1]]),
        ("SUMSQ", [10, 9], [[2, -6, 0], [4, 2, 4]]),
        ("MEAN", [-2 / 3, 5 / 3], [[1 / 3] * 3] * 2),
    ],
)
def test_reduction_by_hand(operation, top, slope):
    x = np.array([[1.0, -3, 0], [2, 1, 2]])
    case = reduction(f"operation: {operation} axis: 1 coeff: 2", x)
    tops, bottoms = run(case, np.array([1.0, 10]))
    assert tops[0] == pytest.approx(2 * np.array(top))
    assert bottoms[0] == pytest.approx(2 * np.array(slope) * [[1], [10]])


def test_reduction_of_all_axes_is_one_number():
    assert run(reduction("", DIFF))[0][0].shape == ()
    assert run(reduction("operation: MEAN", DIFF))[0][0] == 3.5


TIES = np.array([[1.0, 5, 5, 2], [3, 3, 0, 3]])


@pytest.mark.parametrize(
    ("settings", "top"),
    [
        ("", [[[2]], [[3]]]),
        ("top_k: 3", [[[2, 1, 3]], [[3, 1, 0]]]),
        ("out_max_val: true", [[[2], [5]], [[3], [3]]]),
        ("top_k: 2 out_max_val: true", [[[2, 1], [5, 5]], [[3, 1], [3, 3]]]),
        ("axis: 1", [[2], [3]]),
        ("axis: -1 top_k: 2", [[2, 1], [3, 1]]),
        ("axis: -1 top_k: 4 out_max_val: true", [[5, 5, 2, 1], [3, 3, 3, 0]]),
        ("axis: 0", [[1, 0, 0, 1]]),
    ],
)
def test_argmax_by_hand(settings, top):
    assert run(argmax(settings, TIES))[0][0].tolist() == top


def test_argmax_with_nan_is_a_valid_index():
    assert 0 <= run(argmax("", np.full((1, 3), np.nan)))[0][0] <= 2


@pytest.mark.parametrize(
    ("shape", "settings", "top"),
    [
        ((2, 3, 4, 5), "top_k: 6", (2, 1, 6, 1)),
        ((2, 3, 4, 5), "top_k: 6 out_max_val: true", (2, 2, 6, 1)),
        ((2, 3, 4, 5), "axis: 2 top_k: 3", (2, 3, 3, 5)),
        ((4,), "", (4, 1, 1)),
        ((2, 1, 2, 1, 2), "", (2, 1, 1, 1, 1)),
    ],
)
def test_argmax_shapes(shape, settings, top):
    assert run(argmax(settings, values(*shape)))[0][0].shape == top


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (eltwise("", A, values(2, 4)), r"bottom 0 has shape \(2, 3\) and bottom 1 \(2, 4\)"),
        (eltwise("coeff: 1", A, B), "has 2 bottoms and 1 coeff: none or one for each"),
        (
            eltwise("operation: PROD coeff: 1 coeff: 1", A, B),
            "has coeff with PROD. Allowed: with S",
        ),
        (reduction("axis: 2", A), r"axis 2 of a blob of shape \(2, 3\)"),
        (argmax("top_k: 0", A), "top_k is 0. Allowed: 1 to 3"),
        (argmax("top_k: 4", A), "top_k is 4. Allowed: 1 to 3"),
        (argmax("top_k: 3 axis: 0", A), "top_k is 3. Allowed: 1 to 2"),
        (argmax("axis: 2", A), r"axis 2 of a blob of shape \(2, 3\)"),
    ],
    ids=str,
)
def test_bad_settings_are_refused(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .{case.type}.: {message}"):
        Alone(case)


def test_argmax_has_no_gradient():
    with pytest.raises(LayerError, match=r"layer 'layer' \(ArgMax\): has no gradient"):
        Alone(argmax("", A)).backward([np.ones((2, 1, 1))])
