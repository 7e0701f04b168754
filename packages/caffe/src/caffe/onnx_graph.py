"""An ONNX graph while a net becomes one, and the registry of what converts its layers."""

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from caffe.build import Step
from caffe.net import Net
from caffe.onnx_file import package


class Graph:
    """The nodes of the ONNX graph, while it is built."""

    def __init__(self, net: Net) -> None:
        self.onnx = package("export-onnx")
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self._names: dict[str, str] = {}  # the current name of each blob
        self._writers = Counter(name for step in net.steps for name in step.top_names)
        self._taken: Counter[str] = Counter()

    def value(self, blob: str) -> str:
        """Return the name of a blob's current values."""
        return self._names[blob]

    def give(self, blob: str) -> str:
        """Return the name for new values of a blob; its last values have the blob's own name."""
        self._writers[blob] -= 1
        name = blob if not self._writers[blob] else f"{blob}/{self._writers[blob]}"
        self._names[blob] = name
        return name

    def constant(self, name: str, values: NDArray[Any]) -> str:
        """Store an array under a new name that begins with this one."""
        self._taken[name] += 1
        unique = f"{name}:{self._taken[name]}"
        self.constants.append(
            self.onnx.numpy_helper.from_array(np.ascontiguousarray(values), unique)
        )
        return unique

    def node(self, kind: str, inputs: Sequence[str], output: str = "", **attributes: Any) -> str:
        """Add a node with one output; return its name."""
        if not output:
            self._taken[kind] += 1
            output = f"{kind}:{self._taken[kind]}"
        self.nodes.append(self.onnx.helper.make_node(kind, list(inputs), [output], **attributes))
        return output


Convert = Callable[[Graph, Step, list[str]], str]
CONVERTERS: dict[str, Convert] = {}


def converts(*kinds: str) -> Callable[[Convert], Convert]:
    """Register a function that adds the nodes of layers of some types."""

    def registered(convert: Convert) -> Convert:
        CONVERTERS.update(dict.fromkeys(kinds, convert))
        return convert

    return registered


def number(graph: Graph, value: float) -> str:
    """Return the name of a constant number."""
    return graph.constant("number", np.array(value, np.float32))


def reshaped(graph: Graph, value: str, shape: Sequence[int]) -> str:
    """Return the name of a value in another shape."""
    return graph.node("Reshape", [value, graph.constant("shape", np.array(shape, np.int64))])


def linear(graph: Graph, value: str, scale: float, shift: float) -> str:
    """Return the name of scale * value + shift."""
    y = value if scale == 1 else graph.node("Mul", [value, number(graph, scale)])
    return y if not shift else graph.node("Add", [y, number(graph, shift)])
