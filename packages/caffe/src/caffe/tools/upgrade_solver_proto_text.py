"""`caffe upgrade_solver_proto_text`: rewrite a solver's prototxt with its type as a string."""

from collections.abc import Sequence

from caffe.formats import read_text, write_text
from caffe.proto.caffe_pb2 import SolverParameter
from caffe.tools.upgrading import Upgrade
from caffe.upgrade import upgrade_solver


def main(argv: Sequence[str]) -> int:
    """Upgrade a solver; return the exit status."""
    return Upgrade(
        command="upgrade_solver_proto_text",
        arguments="old_solver_proto_file_in solver_proto_file_out",
        form="text",
        kind="SolverParameter",
        read=lambda path, strict: read_text(path, SolverParameter(), strict),
        needed=lambda param: param.HasField("solver_type"),
        upgrade=upgrade_solver,
        left_out=lambda param: [],
        write=write_text,
    ).main(argv)
