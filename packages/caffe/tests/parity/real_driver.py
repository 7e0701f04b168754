"""Runs real Caffe for the parity tests, on its own CPython 3.9: one line of JSON per request.

A request names a function and a folder with its files; arrays are exchanged there as ``.npz``. The
answer is one line of JSON. If real Caffe refuses something, the process aborts, which
`real_caffe.py` detects.
"""

import ctypes
import importlib
import inspect
import json
import os
import sys

import numpy as np

import caffe

# The Python layers of tests/caffe, which both engines run.
sys.path.append(os.path.dirname(os.path.dirname(os.path.dirname(os.path.abspath(__file__)))))


def forward_backward(folder, phase, seed, backward, weights):
    if seed is not None:
        caffe.set_random_seed(seed)
    net = caffe.Net(os.path.join(folder, "net.prototxt"), phase)
    if weights:
        net.copy_from(weights)
    given = np.load(os.path.join(folder, "in.npz"))
    set_arrays(net, given)
    net.forward()
    if backward:
        set_arrays(net, given, "diff")
        net.backward()
    save(folder, state(net))
    return {"inputs": list(net.inputs), "outputs": list(net.outputs)}


def save_weights(folder, path):
    """Write a net's given weights, as HDF5 if the file's name ends in `.h5`."""
    net = caffe.Net(os.path.join(folder, "net.prototxt"), caffe.TEST)
    set_arrays(net, np.load(os.path.join(folder, "in.npz")))
    (net.save_hdf5 if path.endswith(".h5") else net.save)(path)
    save(folder, {})
    return {}


def train(folder, solver, steps, restore):
    """Run a solver that reads its files itself; return the loss of each step."""
    made = caffe.get_solver(os.path.join(folder, solver))
    given = np.load(os.path.join(folder, "in.npz"))
    set_arrays(made.net, given)
    if restore:
        made.restore(restore)
    losses = []
    for _ in range(steps):
        made.step(1)
        if "loss" in made.net.blobs:
            losses.append(float(made.net.blobs["loss"].data))
    arrays = state(made.net)
    arrays["losses"] = np.array(losses)
    save(folder, arrays)
    return {"iter": made.iter}


def snapshot_after(folder, solver, steps):
    made = caffe.get_solver(os.path.join(folder, solver))
    set_arrays(made.net, np.load(os.path.join(folder, "in.npz")))
    made.step(steps)
    made.snapshot()
    save(folder, state(made.net))
    return {"iter": made.iter}


def passes(folder, phase, count, blobs):
    """Run forward several times, with separate inputs; return some blobs of each pass."""
    net = caffe.Net(os.path.join(folder, "net.prototxt"), phase)
    given = np.load(os.path.join(folder, "in.npz"))
    set_arrays(net, given)
    arrays = {}
    for i in range(count):
        for key in given.files:
            number, name = key.split("/", 1)
            if number == str(i):
                net.blobs[name].reshape(*given[key].shape)
                net.blobs[name].data[...] = given[key]
        net.forward()
        for name in blobs:
            arrays[f"{i}/{name}"] = net.blobs[name].data.copy()
    save(folder, arrays)
    return {}


def script(folder, code):
    """Run Python code; return its variable `result`, text or lists of numbers."""
    names = {}
    exec(code, names)
    return {"result": names["result"]}


def layer_types(folder):
    return {"types": list(caffe.layer_type_list())}


def descriptor(folder):
    """Return the wheel's caffe.proto."""
    from caffe.proto import caffe_pb2

    with open(os.path.join(folder, "descriptor.bin"), "wb") as file:
        file.write(caffe_pb2.DESCRIPTOR.serialized_pb)
    return {}


def upgrade(folder, kind):
    """Upgrade a folder's ``in.prototxt`` as the library does before it builds anything."""
    path = os.path.join(folder, "in.prototxt")
    message = _read_message(path, kind)
    _library_function("Upgrade" + kind.replace("Parameter", "") + "AsNeeded", kind)(
        _string(path), message
    )
    _write_message(message, os.path.join(folder, "out.bin"))
    return {}


def snapshot_prefix(folder, path):
    """Set the snapshot prefix of a folder's solver, as if read from another path."""
    message = _read_message(os.path.join(folder, "in.prototxt"), "SolverParameter")
    _library_function("UpgradeSnapshotPrefixProperty", "SolverParameter")(_string(path), message)
    _write_message(message, os.path.join(folder, "out.bin"))
    return {}


# pycaffe does not export these functions, so they are called in the library itself.


def _read_message(path, kind):
    message = ctypes.create_string_buffer(4096)  # larger than any of its messages
    library = _library()
    library[f"_ZN5caffe{len(kind)}{kind}C1EPN6google8protobuf5ArenaE"](message, None)
    library["_ZN5caffe21ReadProtoFromTextFileEPKcPN6google8protobuf7MessageE"](
        path.encode(), message
    )
    return message


def _write_message(message, path):
    _library()["_ZN5caffe22WriteProtoToBinaryFileERKN6google8protobuf7MessageEPKc"](
        message, path.encode()
    )


def _library_function(name, kind):
    """Return a function that takes a std::string and a message."""
    text = "RKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE"
    return _library()[f"_ZN5caffe{len(name)}{name}E{text}PNS_{len(kind)}{kind}E"]


def _string(text):
    """Return a std::string: pointer, length, and the buffer of short strings."""
    content = ctypes.create_string_buffer(text.encode())
    string = (ctypes.c_uint64 * 4)(ctypes.addressof(content), len(text.encode()))
    string.content = content  # keeps the characters alive
    return string


def _library():
    return ctypes.CDLL(caffe._caffe.__file__)


def names(folder):
    """Return the names in each part of pycaffe, with the parameters of Python functions."""
    with open(os.path.join(folder, "net.prototxt"), "w") as file:
        file.write('layer { name: "x" type: "Input" top: "x" input_param { shape { dim: 1 } } }')
    net = caffe.Net(os.path.join(folder, "net.prototxt"), caffe.TEST)
    parts = {
        "caffe": caffe,
        "Net": caffe.Net,
        "Blob": net.blobs["x"],
        "net.layers[0]": net.layers[0],
    }
    for name in ("Layer", "SGDSolver", "Timer", "NCCL", "NetSpec", "Classifier", "Detector"):
        parts[name] = getattr(caffe, name)
    parts["io.Transformer"] = caffe.io.Transformer
    parts["params['x']"] = net.layers[0].blobs
    offered = {part: offer(owner, lambda value: True) for part, owner in parts.items()}
    for name in MODULES:
        try:
            module = importlib.import_module("caffe." + name)
        except ImportError:
            continue  # for example without pydot
        offered[name] = offer(module, lambda value: True)
    return offered


MODULES = (
    "io",
    "net_spec",
    "classifier",
    "detector",
    "draw",
    "coord_map",
    "pycaffe",
    "_caffe",
    "proto.caffe_pb2",
)


def offer(owner, wanted):
    found = {}
    for name in dir(owner):
        if not name.startswith("__") and wanted(getattr(owner, name)):
            found[name] = parameters(getattr(owner, name))
    return found


def parameters(value):
    """Return the names of a Python function's positional parameters; None for anything else."""
    if not inspect.isfunction(value):
        return None
    kinds = (inspect.Parameter.POSITIONAL_ONLY, inspect.Parameter.POSITIONAL_OR_KEYWORD)
    given = inspect.signature(value).parameters.values()
    return [parameter.name for parameter in given if parameter.kind in kinds]


def set_arrays(net, given, part="data"):
    for key in given.files:
        kind, name = key.split("/", 1)
        if kind == part:
            getattr(net.blobs[name], part)[...] = given[key]
        elif kind == "param" and part == "data":
            layer, index = name.rsplit("/", 1)
            net.params[layer][int(index)].data[...] = given[key]


def state(net):
    arrays = {}
    for name, blob in net.blobs.items():
        arrays["data/" + name] = blob.data.copy()
        arrays["diff/" + name] = blob.diff.copy()
    for layer, blobs in net.params.items():
        for i, blob in enumerate(blobs):
            arrays[f"param/{layer}/{i}"] = blob.data.copy()
            arrays[f"param_diff/{layer}/{i}"] = blob.diff.copy()
    return arrays


def save(folder, arrays):
    np.savez(os.path.join(folder, "out.npz"), **arrays)


CALLS = {
    call.__name__: call
    for call in (
        forward_backward,
        train,
        snapshot_after,
        passes,
        script,
        layer_types,
        names,
        descriptor,
        upgrade,
        snapshot_prefix,
        save_weights,
    )
}


def main():
    # Answers keep the original standard output; anything that libraries print goes to the log.
    answers = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        request = json.loads(line)
        call = CALLS[request.pop("call")]
        try:
            answer = call(**request)
        except Exception as error:
            answer = {"error": f"{type(error).__name__}: {error}"}
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


if __name__ == "__main__":
    main()
