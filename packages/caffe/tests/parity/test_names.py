"""Every public name of pycaffe, read from the running wheel."""

import importlib
import inspect

import caffe
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import SolverParameter
from tests.caffe.net_case import net
from tests.parity.real_caffe import RealCaffe

# Names that are missing here, each with the reason.
FOR_PYTHON_2 = "an import with which pycaffe serves Python 2"
OF_THE_WHEEL = "the wheel's own, not BVLC's: layers that it added to Caffe"
OF_PROTOBUF = "made by another generation of protoc"
EXPLAINED = {
    "coord_map.division": FOR_PYTHON_2,
    "coord_map.L": "that module's own import of caffe.layers",
    "net_spec.protobuf": "that module's own import",
    "net_spec.six": FOR_PYTHON_2,
    "pycaffe.izip_longest": FOR_PYTHON_2,
    "pycaffe.six": FOR_PYTHON_2,
    "pycaffe.OrderedDict": "that module's own import",
    "pycaffe.np": "that module's own import",
    "pycaffe.caffe": "that module's own import",
    "classifier.caffe": "that module's own import",
    "detector.caffe": "that module's own import",
    **dict.fromkeys(("io.skimage", "io.resize"), "scikit-image's; there if it is installed"),
    **{
        f"proto.caffe_pb2.{name}": OF_THE_WHEEL
        for name in (
            "ContinuationIndicatorParameter",
            "CtcLossParameter",
            "LabelsequenceAccuracyParameter",
            "ReverseParameter",
        )
    },
    "proto.caffe_pb2.enum_type_wrapper": OF_PROTOBUF,
}


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
    if part == "proto.caffe_pb2":
        return caffe_pb2
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
    assert lacking - set(EXPLAINED) == set()


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
