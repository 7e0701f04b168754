"""`caffe import-onnx`: write an ONNX model as a prototxt and a caffemodel."""

from collections.abc import Sequence

from caffe.formats import write_binary, write_text
from caffe.onnx_import import read
from caffe.tools.flags import Flags


def main(argv: Sequence[str]) -> int:
    """Write an ONNX model as a net; return the exit status."""
    flags = Flags("import-onnx", "Write an ONNX model as a net of Caffe's, and compare the two.")
    flags.add_argument("model", help="the ONNX model")
    flags.add_argument("definition", help="the file to write, .prototxt")
    flags.add_argument("weights", help="the file to write, .caffemodel")
    flags.add("shape", "", "input=1,3,224,224: an input's shape that the model leaves open")
    found = flags.parse(argv)
    shapes = {}
    if found.shape:
        name, _, sizes = found.shape.rpartition("=")
        if not name or not all(part.strip().isdecimal() for part in sizes.split(",")):
            flags.error(f"--shape is '{found.shape}'. Allowed: a name and sizes, data=1,3,224,224")
        shapes = {name: tuple(int(part) for part in sizes.split(","))}
    imported = read(found.model, shapes)
    write_text(found.definition, imported.definition())
    write_binary(found.weights, imported.net)
    print(f"Wrote {found.definition} and {found.weights}")
    print(
        "Not compared with ONNX Runtime: pip install onnxruntime"
        if imported.difference is None
        else f"Its outputs agree with ONNX Runtime's within {imported.difference:.1g}"
    )
    return 0
