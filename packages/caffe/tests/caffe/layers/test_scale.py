"""Scale, Bias."""

import numpy as np
import pytest

from caffe.errors import LayerError
from tests.caffe.layer_case import Alone, Case, run, values

MAPS = values(2, 3, 2, 4)
FILLED = 'filler { type: "gaussian" }'


def scale(settings: str, *bottoms: np.ndarray, **more) -> Case:
    learns = tuple(range(len(bottoms)))
    return Case("Scale", f"scale_param {{ {settings} }}", bottoms, learns=learns, **more)


def bias(settings: str, *bottoms: np.ndarray, **more) -> Case:
    learns = tuple(range(len(bottoms)))
    return Case("Bias", f"bias_param {{ {settings} }}", bottoms, learns=learns, **more)


PLACES = ["", "axis: 0 num_axes: 2", "axis: 2 num_axes: -1", "axis: -1", "num_axes: 0"]
CASES = [
    *(kind(f"{place} {FILLED}", MAPS) for kind in (scale, bias) for place in PLACES),
    *(scale(f"{place} {FILLED} bias_term: true", MAPS) for place in PLACES),
    *(
        scale(f"filler {{ value: 3 }} {term}", MAPS, in_place=True)
        for term in ("", "bias_term: true bias_filler { value: 2 }")
    ),
    bias("filler { value: 3 }", MAPS, in_place=True),
    *(kind("axis: 0", MAPS, values(2, 3)) for kind in (scale, bias)),
    *(kind("axis: 2", MAPS, values(2)) for kind in (scale, bias)),
    *(kind("axis: 0", MAPS, values(2, 3, 2, 4, seed=1)) for kind in (scale, bias)),
    scale("bias_term: true", MAPS, values(3)),
]


def test_scale_by_hand():
    x = np.array([[1.0, 2], [3, 4]])
    case = scale("bias_term: true", x)
    alone = Alone(case)
    alone.layer.blobs[0].data[...] = 10, 100
    alone.layer.blobs[1].data[...] = 1, 2
    assert alone.forward()[0].tolist() == [[11, 202], [31, 402]]
    assert alone.backward([np.array([[1.0, 0], [2, 5]])])[0].tolist() == [[10, 0], [20, 500]]
    assert [blob.diff.tolist() for blob in alone.layer.blobs] == [[7, 20], [3, 5]]


def test_scalar_scale():
    alone = Alone(bias("num_axes: 0 filler { value: 2 }", np.array([[1.0, 2], [3, 4]])))
    assert alone.forward()[0].tolist() == [[3, 4], [5, 6]]
    assert alone.backward([np.array([[1.0, 0], [2, 5]])])[0].tolist() == [[1, 0], [2, 5]]
    assert alone.layer.blobs[0].diff == 8


def test_defaults_change_nothing():
    for case in (scale("bias_term: true", MAPS), bias("", MAPS)):
        assert np.array_equal(run(case)[0][0], MAPS)


def test_gradient_of_a_second_bottom_is_overwritten():
    alone = Alone(scale("axis: 0", np.array([[1.0, 2], [3, 4]]), np.array([5.0, 6])))
    alone.forward()
    for _ in range(2):
        alone.backward([np.ones((2, 2))], (0, 1))
        assert alone.bottom[1].diff.tolist() == [3, 7]
    assert alone.bottom[0].diff.tolist() == [[5, 5], [6, 6]]


@pytest.mark.parametrize("looked_at", [False, True])
def test_in_place_scale_gets_its_gradient_from_the_original_input(looked_at):
    alone = Alone(scale("filler { value: 3 }", np.array([[1.0, 2], [3, 4]]), in_place=True))
    if not looked_at:
        blob = type(alone.bottom[0])((2, 2), alone.bottom[0].dtype)
        blob.set_data(alone.bottom[0].tensor.clone())
        alone.bottom[0] = alone.top[0] = blob
    alone.layer.forward(alone.bottom, alone.top)
    alone.backward([np.ones((2, 2))])
    assert alone.layer.blobs[0].diff.tolist() == [4, 6]
    assert alone.top[0].data.tolist() == [[3, 6], [9, 12]]


@pytest.mark.parametrize(
    ("case", "message"),
    [
        (scale("axis: 2 num_axes: 3", MAPS), r"axis 2 and num_axes 3 do not fit .*\(2, 3, 2, 4\)"),
        (bias("num_axes: -2", MAPS), "axis 1 and num_axes -2 do not fit"),
        (bias("axis: 4", MAPS), r"axis 4 of a blob of shape \(2, 3, 2, 4\)"),
        (
            scale("", MAPS, values(4)),
            r"shape \(2, 3, 2, 4\) has no axes of sizes \(4,\) from axis 1",
        ),
        (bias("axis: 3", MAPS, values(4, 1)), r"no axes of sizes \(4, 1\) from axis 3"),
    ],
)
def test_bad_settings_are_refused(case, message):
    with pytest.raises(LayerError, match=f"layer 'layer' .*: .*{message}"):
        Alone(case)


def test_a_scale_of_another_shape_than_its_bias_is_refused():
    alone = Alone(scale("bias_term: true axis: 0", MAPS, values(2)))
    alone.bottom[1].reshape(2, 3)
    with pytest.raises(LayerError, match=r"second bottom has shape \(2, 3\), its bias \(2,\)"):
        alone.forward()
