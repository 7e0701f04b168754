"""`-strict`: refuse fields and types of forks in all definitions that a command reads."""

from argparse import Namespace

from caffe.formats import read_text
from caffe.proto.caffe_pb2 import NetParameter, SolverParameter


def check(found: Namespace) -> None:
    """Refuse fields and types of forks if the flag `strict` is set.

    Raises
    ------
    FormatError
        The message names the file, the field or type, and its fork.
    """
    if not found.strict:
        return
    nets = [found.model]
    if found.solver:
        param = read_text(found.solver, SolverParameter(), strict=True)
        nets += [param.net, param.train_net, *param.test_net]
    for net in filter(None, nets):
        read_text(net, NetParameter(), strict=True)
