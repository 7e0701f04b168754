"""Python: layers that a user writes."""

from dataclasses import replace

import numpy as np
import pytest

import caffe
from caffe.errors import CaffeError, LayerError
from tests.caffe.layer_case import Alone, Case, run, values
from tests.caffe.net_case import net

MODULE = "tests.caffe.python_layers"


def named(layer: str, param_str: str = "", module: str = MODULE) -> str:
    return f'python_param {{ module: "{module}" layer: "{layer}" param_str: "{param_str}" }}'


CASES = [
    Case("Python", named("Euclidean"), (values(3, 2), values(3, 2, seed=1)), learns=(0, 1)),
    Case("Python", named("Times", "-1.5"), (values(2, 3, 2),), in_place=True),
    Case("Python", named("Times", "-1.5"), (values(2, 3, 2),)),
    Case("Python", named("Slope"), (values(2, 3),)),
    Case("Python", named("Halves"), (values(2, 5, 2, 1),), tops=2),
    Case("Python", named("Source"), learns=()),
]
TRAINED = f"""
layer {{ name: "source" type: "Python" top: "x" {named("Source")} }}
layer {{ name: "slope" type: "Python" bottom: "x" top: "y" {named("Slope")} }}
layer {{ name: "loss" type: "Python" bottom: "y" bottom: "x" top: "loss" loss_weight: 3
  {named("Euclidean")} }}
"""


def test_every_layer_of_a_net_is_a_layer():
    made = net(TRAINED + 'layer { name: "relu" type: "ReLU" bottom: "y" top: "relu" }')
    assert all(isinstance(layer, caffe.Layer) for layer in made.layers)


def test_euclidean_by_hand():
    a, b = np.array([[1.0, 2], [3, 4]]), np.array([[0.0, 2], [1, 1]])
    tops, bottoms = run(replace(CASES[0], bottoms=(a, b)), np.array([2.0]))
    assert tops[0].tolist() == [(1 + 4 + 9) / 2 / 2]
    assert bottoms[0].tolist() == [[1, 0], [2, 3]]
    assert bottoms[1].tolist() == [[-1, 0], [-2, -3]]


def test_param_str_and_phase():
    for phase, factor in ((caffe.TRAIN, 3), (caffe.TEST, 6)):
        case = Case("Python", named("Times", "3"), (np.array([1.0, -2]),), phase=phase)
        assert run(case)[0][0].tolist() == [factor, -2 * factor]
        user = Alone(case).layer.user
        assert (user.param_str, user.param_str_, user.phase) == ("3", "3", phase)


def test_net_layers_holds_the_users_object():
    made = net(TRAINED)
    made.forward()
    made.forward()
    assert made.layers[0].passes == made.layer_dict["source"].passes == 2
    assert [layer.type for layer in made.layers] == ["Python", "Split", "Python", "Python"]
    assert isinstance(made.layers[0], caffe.Layer)
    assert made.blobs["x"].data.tolist() == [[2] * 3] * 2


def test_python_layer_is_trained():
    made = net(TRAINED)
    made.params["slope"][1].data[...] = 0.5
    made.forward()
    made.backward()
    # y - x is 0.5, 1.5, 2.5 in both items.
    assert made.blobs["loss"].data == pytest.approx([(0.25 + 2.25 + 6.25) / 2])
    assert made.params["slope"][0].diff == pytest.approx([1.5, 4.5, 7.5])
    assert made.params["slope"][1].diff == pytest.approx([13.5])
    assert [learnable.blob.shape for learnable in made.learnable_params] == [(3,), (1,)]


def test_weights_are_saved_and_loaded(tmp_path):
    first, second = net(TRAINED), net(TRAINED)
    first.params["slope"][0].data[...] = [5, 6, 7]
    first.save(tmp_path / "w.caffemodel")
    second.copy_from(tmp_path / "w.caffemodel")
    assert second.layers[2].blobs[0].data.tolist() == [5, 6, 7]


def test_errors_of_the_users_class_are_passed_on():
    made = net(f'layer {{ name: "c" type: "Python" top: "x" {named("Careless")} }}')
    with pytest.raises(ZeroDivisionError, match="of the user's own"):
        made.forward()
    with pytest.raises(ValueError, match="two bottoms are needed"):
        net(f'layer {{ name: "c" type: "Python" top: "x" {named("Euclidean")} }}')


def test_import_error_inside_the_module_is_passed_on(tmp_path, monkeypatch):
    (tmp_path / "needs_more.py").write_text("import not_installed_anywhere")
    monkeypatch.syspath_prepend(tmp_path)
    with pytest.raises(ModuleNotFoundError, match="not_installed_anywhere"):
        net(f'layer {{ name: "c" type: "Python" top: "x" {named("A", module="needs_more")} }}')


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ("", "layer 'c' .*python_param needs module and layer"),
        (named("A", module="no_such"), "layer 'c' .*no Python module 'no_such'.*PYTHONPATH"),
        (named("A", module=f"{MODULE}.no"), f"layer 'c' .*no Python module '{MODULE}.no'"),
        (named("None_"), f"layer 'c' .*no class 'None_' of module '{MODULE}'"),
        (named("not_a_layer"), "layer 'c' .*'not_a_layer' of .* is not a subclass of caffe.Layer"),
        (named("np"), "layer 'c' .*'np' of .* is not a subclass of caffe.Layer"),
    ],
)
def test_bad_settings_are_refused(settings, message):
    with pytest.raises(CaffeError, match=message):
        net(f'layer {{ name: "c" type: "Python" top: "x" {settings} }}')


def test_a_class_without_backward():
    settings = named("Careless")
    made = net(f'force_backward: true layer {{ name: "c" type: "Python" top: "x" {settings} }}')
    with pytest.raises(LayerError, match="layer 'c' .*'Careless' of .* has no method backward"):
        made.backward()
