"""`caffe import-onnx`: write an ONNX model as a prototxt and a caffemodel."""

from collections.abc import Sequence

from caffe.formats import write_binary, write_text
from caffe.onnx_import import read
from caffe.tools.flags import Flags, names


def main(argv: Sequence[str]) -> int:
    """Write an ONNX model as a net; return the exit status."""
    flags = Flags("import-onnx", "Write an ONNX model as a net of Caffe's, and compare the two.")
    flags.add_argument("model", help="the ONNX model")
    flags.add_argument("definition", help="the file to write, .prototxt")
    flags.add_argument("weights", help="the file to write, .caffemodel")
    flags.add("shape", "", "0,0,224,224: sizes of the input's axes that the model leaves open")
    found = flags.parse(argv)
    sizes = names(found.shape)
    if not all(size.isdecimal() for size in sizes):
        flags.error(f"--shape is '{found.shape}'. Allowed: sizes, 1,3,224,224; 0 for a known one")
    imported = read(found.model, [int(size) for size in sizes])
    write_text(found.definition, imported.definition())
    write_binary(found.weights, imported.net)
    print(f"Wrote {found.definition} and {found.weights}")
    print(
        "Not compared with ONNX Runtime: pip install onnxruntime"
        if imported.difference is None
        else f"Its outputs agree with ONNX Runtime's within {imported.difference:.1g}"
    )
    return 0
