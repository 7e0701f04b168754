"""`caffe export-onnx`: write a net as ONNX."""

from collections.abc import Sequence

import caffe
from caffe.onnx_export import export
from caffe.tools.flags import Flags


def main(argv: Sequence[str]) -> int:
    """Write the net of a prototxt, with its weights, as ONNX; return the exit status."""
    flags = Flags("export-onnx", "Write a net as ONNX, to be run by any engine that reads it.")
    flags.add_argument("model", help="the net's prototxt, of its deploy form")
    flags.add_argument("weights", help="its caffemodel")
    flags.add_argument("output", help="the file to write, .onnx")
    found = flags.parse(argv)
    export(caffe.Net(found.model, caffe.TEST, weights=found.weights), found.output)
    print(f"Wrote {found.output}")
    return 0
