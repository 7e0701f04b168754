"""Every public name of pycaffe, read from the running wheel."""

import importlib
import inspect

import caffe
from caffe.proto.caffe_pb2 import SolverParameter
from tests.caffe.net_case import net
from tests.parity.real_caffe import RealCaffe

# The C++ binding's own containers; here they are Python's lists and protobuf's messages.
CONTAINERS = (
    "BoolVec DtypeVec IntVec LayerParameter LayerVec NetVec RawBlobVec SolverParameter StringVec"
)
EXPLAINED = {f"_caffe.{name}" for name in CONTAINERS.split()}
EXPLAINED.add("coord_map.L")  # an import of that module


def offered(real: RealCaffe) -> dict[str, dict[str, list[str] | None]]:
    """Return real Caffe's public names by part; for nets the private ones too."""
    names = real.names()
    for part in ("Classifier", "Detector"):
        names[part] = {name: names[part][name] for name in set(names[part]) - set(names["Net"])}
    return {
        part: {n: taken for n, taken in found.items() if part == "Net" or not n.startswith("_")}
        for part, found in names.items()
    }


def ours(part: str) -> object:
    """Return our counterpart, or None."""
    made = net()
    layer = made.layers[2]
    param = SolverParameter(net_param=made.to_proto(), lr_policy="fixed", base_lr=1)
    special = {
        "caffe": caffe,
        "Net": made,
        "Layer": caffe.Layer(layer.param),
        "SGDSolver": caffe.SGDSolver(param),
        "net.layers[0]": layer,
        "params['x']": layer.blobs,
    }
    if part in special:
        return special[part]
    module, _, name = part.partition(".")
    if module[0].isupper():
        return getattr(caffe, part, None)
    try:
        found = importlib.import_module(f"caffe.{module}")
    except ModuleNotFoundError:
        return None
    return getattr(found, name, None) if name else found


def test_every_public_name_exists(real_caffe: RealCaffe):
    lacking = {
        f"{part}.{name}"
        for part, names in offered(real_caffe).items()
        for name in names
        if not hasattr(ours(part), name)
    }
    assert lacking == EXPLAINED


def test_functions_take_the_same_arguments(real_caffe: RealCaffe):
    differing = {}
    for part, names in offered(real_caffe).items():
        for name, expected in names.items():
            found = getattr(ours(part), name, None)
            if expected is None or not callable(found) or isinstance(found, type):
                continue
            expected = [parameter for parameter in expected if parameter != "self"]
            parameters = list(inspect.signature(found).parameters)
            parameters = [parameter for parameter in parameters if parameter != "self"]
            if parameters[: len(expected)] != expected:
                differing[f"{part}.{name}"] = (parameters, expected)
    assert differing == {}
