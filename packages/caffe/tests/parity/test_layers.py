"""Every layer alone in both engines, over its settings.

A family's cases are in `tests/parity/layers/<family>.py`: each of its CASES is compared forward and
backward, each of its REFUSED must be an error in both engines. Its TESTED_ELSEWHERE names types
that other tests of this folder compare, its NOT_IN_REAL those that real Caffe 1.0 lacks.

A layer stands between Input layers and the losses of its tops; `force_backward` brings the gradient
of every bottom.
"""

import importlib
from pathlib import Path

import pytest

import caffe
from caffe import forks
from caffe.errors import CaffeError, RealCaffeRefused
from caffe.layers import registry
from tests.caffe.layer_case import Case, values
from tests.parity.compare import check_net, parse

FAMILIES = sorted(
    file.stem for file in (Path(__file__).parent / "layers").glob("*.py") if file.stem != "inputs"
)
MODULES = [importlib.import_module(f"tests.parity.layers.{family}") for family in FAMILIES]
CASES: list[Case] = [case for module in MODULES for case in module.CASES]
REFUSED: list[Case] = [case for module in MODULES for case in module.REFUSED]
ELSEWHERE = {
    kind
    for module in MODULES
    for names in ("TESTED_ELSEWHERE", "NOT_IN_REAL")
    for kind in getattr(module, names, ())
}


def net_text(case: Case) -> str:
    """Return the layer's net: its bottoms as inputs, its tops as outputs."""
    inputs = [
        f'layer {{ name: "b{i}" type: "Input" top: "b{i}" input_param {{ shape {{ '
        f"{' '.join(f'dim: {n}' for n in given.shape)} }} }} }}"
        for i, given in enumerate(case.bottoms)
    ]
    bottoms = " ".join(f'bottom: "b{i}"' for i in range(len(case.bottoms)))
    tops = " ".join(f'top: "{"b" if case.in_place else "t"}{i}"' for i in range(case.tops))
    force = "force_backward: true" if case.learns else ""
    layer = f'layer {{ name: "l" type: "{case.type}" {bottoms} {tops} {case.settings} }}'
    return "\n".join([force, *inputs, layer])


def test_every_type_has_a_case():
    # Layers of forks are not in the real one: `tests/caffe/layers` has their cases.
    assert {case.type for case in CASES} | ELSEWHERE | set(forks.RUN) == set(registry())


@pytest.mark.parametrize("case", CASES, ids=str)
def test_layer(real_caffe, measured, case):
    text = net_text(case)
    inputs = {f"b{i}": given for i, given in enumerate(case.bottoms)}
    net = caffe.Net(parse(text), case.phase)
    diffs = {
        name: values(*net.blobs[name].shape, seed=3 + i)
        for i, name in enumerate(net.outputs)
        if case.learns and not net.blob_loss_weights[name] and (case.in_place or name not in inputs)
    }
    measured(check_net(real_caffe, text, inputs, diffs, phase=case.phase, tolerance=1e-5))


@pytest.mark.parametrize("case", REFUSED, ids=str)
def test_both_refuse(real_caffe, case):
    text = net_text(case)
    with pytest.raises(CaffeError, match="layer 'l'"):
        caffe.Net(parse(text), case.phase)
    with pytest.raises(RealCaffeRefused, match=r"\.[ch]pp:\d+\] "):
        real_caffe.forward_backward(text)
