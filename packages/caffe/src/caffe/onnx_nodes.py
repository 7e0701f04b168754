"""An ONNX graph while it becomes a net: values known by now, blobs, and the layers so far.

What depends on constants and shapes only, such as the arithmetic around torch's flattening, is
computed at once. Every other node has a writer, a function registered by the name of its type in
`onnx_operators`, `onnx_windows` and `onnx_layouts`.
"""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from caffe.errors import CaffeError, FormatError, first_line
from caffe.formats import set_blob
from caffe.onnx_file import Array, array, package
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter

Shape = tuple[int, ...]
# Types whose nodes may depend on constants only; those with a writer may too.
ARITHMETIC = {
    "Abs", "Add", "Cast", "Ceil", "Concat", "Constant", "ConstantOfShape", "Div", "Equal",
    "Expand", "Flatten", "Floor", "Gather", "Greater", "Identity", "Less", "Max", "Min", "Mod",
    "Mul", "Neg", "Not", "Pow", "Range", "Reciprocal", "ReduceProd", "ReduceSum", "Reshape",
    "Shape", "Size", "Slice", "Sqrt", "Squeeze", "Sub", "Sum", "Transpose", "Unsqueeze",
    "Where",
}  # fmt: skip
FOLDED = 2**28  # elements that such arithmetic may make, all together
SMALL = 2**10  # elements of arrays that may determine a shape


@dataclass(frozen=True)
class Map:
    """A blob, and the zeros around its maps that no layer has added yet.

    Attributes
    ----------
    before, after : tuple of int
        Zeros in front of and behind the map along each axis after the channels; empty for none.
    """

    name: str
    shape: Shape
    before: Shape = ()
    after: Shape = ()


class Node:
    """A node with its inputs, settings and the shape of its first output."""

    def __init__(self, proto: Any, inputs: list[Map | None], arrays: list[Array | None]) -> None:
        self.type = str(proto.op_type)
        self.name = str(proto.name or (proto.output[0] if proto.output else ""))
        self.outputs: list[str] = list(proto.output)
        self.maps, self.arrays = inputs, arrays
        self.shape: Shape = ()  # of the first output
        self.shapes: list[Shape] = []
        self.version = 0  # of the operator set
        self._proto = proto

    def map(self, index: int = 0) -> Map:
        """Return an input that is a blob; zeros around it may be left to add.

        Raises
        ------
        FormatError
            If it is missing or constant.
        """
        found = self.maps[index] if index < len(self.maps) else None
        if found is None:
            raise self.error(f"has no computed input {index}")
        return found

    def blob(self, index: int = 0) -> str:
        """Return the name of an input that is a blob.

        Raises
        ------
        FormatError
            If it is missing, constant, or padded: in Caffe only convolutions and poolings pad.
        """
        found = self.map(index)
        if any(found.before) or any(found.after):
            raise self.error("reads maps padded with zeros. Allowed: a Conv, or an AveragePool")
        return found.name

    def array(self, index: int) -> Array:
        """Return an input that is constant.

        Raises
        ------
        FormatError
            If it is missing or computed.
        """
        found = self.given(index)
        if found is None:
            raise self.error(f"has no constant input {index}")
        return found

    def has(self, index: int) -> bool:
        """Return whether an optional input is there, computed or constant."""
        return index < len(self.maps) and (self.maps[index] or self.arrays[index]) is not None

    def given(self, index: int) -> Array | None:
        """Return a constant input; None if it is missing or computed."""
        return self.arrays[index] if index < len(self.arrays) else None

    def real(self, index: int) -> Array:
        """Return a constant input as float64."""
        return self.array(index).astype(np.float64)

    def setting(self, name: str, default: Any = None) -> Any:
        """Return an attribute's value."""
        helper = package("import-onnx").helper
        for attribute in self._proto.attribute:
            if attribute.name == name:
                value = helper.get_attribute_value(attribute)
                return value.decode(errors="replace") if isinstance(value, bytes) else value
        return default

    def numbers(self, name: str, index: int) -> list[int] | None:
        """Return integers that older sets have as an attribute, newer ones as an input."""
        found = self.given(index)
        if found is not None:
            return [int(each) for each in found.reshape(-1)]
        if index < len(self.maps) and self.maps[index] is not None:
            raise self.error(f"has computed {name}. Allowed: constant ones")
        value = self.setting(name)
        return None if value is None else [int(each) for each in np.atleast_1d(value)]

    def error(self, what: str) -> FormatError:
        """Return an error that names the node."""
        return FormatError(f"node '{self.name}' ({self.type}) {what}")


Result = Map | str | list[str]
Writer = Callable[["Graph", Node], Result]
WRITERS: dict[str, Writer] = {}


def writes(*kinds: str) -> Callable[[Writer], Writer]:
    """Register a function as the writer of nodes of some types."""

    def registered(writer: Writer) -> Writer:
        WRITERS.update(dict.fromkeys(kinds, writer))
        return writer

    return registered


class Graph:
    """The net of a model.

    Parameters
    ----------
    model : ModelProto
    sizes : sequence of int
        Of the axes that the model leaves open in its inputs, with 0 for those that it does not; an
        open first axis is 1 by default.

    Raises
    ------
    FormatError
        If a node has no counterpart in Caffe; the message names it.
    """

    def __init__(self, model: Any, sizes: Sequence[int]) -> None:
        self._onnx, self._model = package("import-onnx"), model
        self._version = next(o.version for o in model.opset_import if o.domain in ("", "ai.onnx"))
        graph = model.graph
        self.net = NetParameter(name=graph.name)
        self._arrays = {each.name: array(each) for each in graph.initializer}
        self._maps: dict[str, Map] = {}
        self._budget = FOLDED
        self._nodes = _alive(graph)
        self._check_types()
        outputs = [each.name for each in graph.output]
        # How often each value is read, as an output of the model too.
        self.uses = Counter([*(n for node in self._nodes for n in node.input), *outputs])
        self._taken = {name for node in graph.node for name in node.output}
        self._layers: set[str] = set()
        self.makers: dict[str, LayerParameter] = {}  # the layer of each blob
        for value in graph.input:
            if value.name not in self._arrays:
                self._add_input(value, sizes)
        for proto in self._nodes:
            self._write(proto)
        for name in outputs:
            self._finish(name)

    def add(
        self,
        node: Node,
        type: str,
        bottoms: Sequence[str],
        *weights: Array,
        part: str = "",
        tops: Sequence[str] = (),
        **settings: Any,
    ) -> str:
        """Add a layer; return its first top.

        Parameters
        ----------
        node : Node
        type : str
        bottoms : sequence of str
        *weights : arrays
        part : str
            Which of the node's layers it is, unless it is the last.
        tops : sequence of str
            The node's first output by default.
        **settings
            Fields of its LayerParameter.
        """
        suffix = f"/{part}" if part else ""
        if not tops:
            tops = [self.free(node.outputs[0] + suffix) if part else node.outputs[0]]
        name = _free(node.name + suffix, self._layers)
        layer = self.net.layer.add(name=name, type=type, bottom=bottoms, top=tops, **settings)
        for values in weights:
            set_blob(layer.blobs.add(), values)
        self.makers.update(dict.fromkeys(tops, layer))
        return str(tops[0])

    def free(self, name: str) -> str:
        """Return a name that no blob has yet."""
        return _free(name, self._taken)

    def silence(self, top: str) -> None:
        """Keep a blob that no layer reads from becoming an output of the net."""
        name = _free(f"{top}/silence", self._layers)
        self.net.layer.add(name=name, type="Silence", bottom=[top])

    def _add_input(self, value: Any, sizes: Sequence[int]) -> None:
        kind = value.type.tensor_type
        if kind.elem_type != self._onnx.TensorProto.FLOAT:
            raise FormatError(f"input '{value.name}' is no tensor of float32")
        known = [int(axis.dim_value) for axis in kind.shape.dim]  # 0 if it is open
        given = list(sizes) or known or [0, 0]
        pairs = zip(known or given, given, strict=False)
        shape = tuple(n or size or int(i == 0) for i, (n, size) in enumerate(pairs))
        if len(given) != len(known or given) or 0 in shape:
            raise FormatError(
                f"input '{value.name}' has open axes, {known or 'all'}: give its shape in "
                f"{len(known) or 'some'} numbers, 0 for an axis that is known"
            )
        if min(shape) < 1:
            raise FormatError(f"input '{value.name}' has shape {shape}. Allowed: 1 and above")
        layer = self.net.layer.add(name=value.name, type="Input", top=[value.name])
        layer.input_param.shape.add(dim=shape)
        self._layers.add(value.name)
        self._maps[value.name] = Map(value.name, shape)

    def _check_types(self) -> None:
        unknown = [
            n
            for n in self._nodes
            if n.domain not in ("", "ai.onnx") or n.op_type not in ARITHMETIC | set(WRITERS)
        ]
        if unknown:
            named = ", ".join(
                f"'{n.name or next(iter(n.output), '')}' ({n.op_type})" for n in unknown[:10]
            )
            more = f" and {len(unknown) - 10} more" if len(unknown) > 10 else ""
            raise FormatError(f"these nodes have no counterpart in Caffe: {named}{more}")

    def _write(self, proto: Any) -> None:
        maps = [self._maps.get(name) for name in proto.input]
        arrays = [self._arrays.get(name) for name in proto.input]
        node = Node(proto, maps, arrays)
        for name, one, other in zip(proto.input, maps, arrays, strict=True):
            if name and one is None and other is None:
                raise node.error(f"reads '{name}', which no node before it computes")
        for name in proto.output:
            if name and (name in self._maps or name in self._arrays):
                raise node.error(f"computes '{name}', which exists already")
        self._infer(node, proto)
        if node.type in ("Shape", "Size") or not any(maps):
            self._fold(node, proto)
            return
        if node.type not in WRITERS:
            raise node.error("depends on the input's values. Allowed: on constants and shapes")
        result = WRITERS[node.type](self, node)
        tops = result if isinstance(result, list) else [result]
        for name, shape, top in zip(node.outputs, node.shapes, tops, strict=False):
            self._maps[name] = top if isinstance(top, Map) else Map(top, shape)

    def _infer(self, node: Node, proto: Any) -> None:
        """Let onnx check a node and find the shapes of its outputs."""
        onnx = self._onnx
        node.version = self._version
        imports = [onnx.helper.make_opsetid("", node.version)]
        types, data = {}, {}
        for name, blob, values in zip(proto.input, node.maps, node.arrays, strict=True):
            if blob is not None:
                shape = _grown(blob)
                types[name] = onnx.helper.make_tensor_type_proto(onnx.TensorProto.FLOAT, shape)
            elif values is not None:
                kind = onnx.helper.np_dtype_to_tensor_dtype(values.dtype)
                types[name] = onnx.helper.make_tensor_type_proto(kind, values.shape)
                if values.size <= SMALL:
                    data[name] = onnx.numpy_helper.from_array(values)
        try:
            context = onnx.checker.DEFAULT_CONTEXT.__class__()
            context.ir_version = self._model.ir_version or 1
            context.opset_imports = {"": node.version}
            plain = onnx.NodeProto()
            plain.CopyFrom(proto)
            plain.domain = ""
            onnx.checker.check_node(plain, context)
            schema = onnx.defs.get_schema(node.type, node.version, "")
            found = onnx.shape_inference.infer_node_outputs(
                schema, plain, types, data, opset_imports=imports
            )
        except Exception as error:  # of several kinds, some of them onnx's own
            lines = [line for line in str(error).splitlines() if line.strip()]
            raise node.error(f"is invalid: {lines[0] if lines else error}") from None
        node.shapes = [_shape(found.get(name)) for name in proto.output]
        node.shape = node.shapes[0] if node.shapes else ()

    def _fold(self, node: Node, proto: Any) -> None:
        """Compute what does not depend on the input's values."""
        if node.type in ("Shape", "Size"):
            shape = _grown(node.maps[0]) if node.maps[0] else node.array(0).shape
            part = shape[node.setting("start", 0) : node.setting("end", len(shape))]
            found = part if node.type == "Shape" else math.prod(shape)
            self._arrays[node.outputs[0]] = np.array(found, np.int64)
            return
        if node.type not in ARITHMETIC or len(node.outputs) != 1:
            raise node.error("depends on constants only. Allowed: arithmetic on shapes")
        if -1 in node.shape:
            raise node.error("has a size that depends on values")
        self._budget -= math.prod(node.shape)
        if self._budget < 0:
            raise node.error(f"makes constants too large. Allowed: {FOLDED} elements in all")
        try:
            self._arrays[node.outputs[0]] = self._evaluated(proto)
        except CaffeError:
            raise
        except Exception as error:  # numpy's own, of any kind
            raise node.error(f"cannot be computed: {first_line(error)}") from None

    def _evaluated(self, proto: Any) -> Array:
        from onnx.reference import ReferenceEvaluator

        helper, names = self._onnx.helper, [name for name in proto.input if name]
        plain = [helper.make_empty_tensor_value_info(name) for name in names]
        result = [helper.make_empty_tensor_value_info(proto.output[0])]
        graph = helper.make_graph([proto], "constants", plain, result)
        model = helper.make_model(graph, opset_imports=self._model.opset_import)
        with np.errstate(all="ignore"):
            (found,) = ReferenceEvaluator(model).run(None, {n: self._arrays[n] for n in names})
        return np.asarray(found)

    def _finish(self, name: str) -> None:
        """Give an output its own name, which the blob that holds it may not have."""
        if name not in self._maps:
            raise FormatError(f"the output '{name}' does not depend on an input")
        found = self._maps[name]
        if any(found.before) or any(found.after):
            raise FormatError(
                f"the output '{name}' is padded: in Caffe only convolutions and poolings pad"
            )
        if found.name != name:
            self.net.layer.add(name=_free(name, self._layers), type="Power", bottom=[found.name])
            self.net.layer[-1].top.append(name)


def _alive(graph: Any) -> list[Any]:
    """Return the nodes on which the outputs depend, in order."""
    wanted, kept = {each.name for each in graph.output}, []
    for node in reversed(graph.node):
        if wanted.intersection(node.output) - {""}:
            wanted.update(node.input)
            kept.append(node)
    return kept[::-1]


def _free(name: str, taken: set[str]) -> str:
    number, free = 1, name
    while free in taken:
        number += 1
        free = f"{name}_{number}"
    taken.add(free)
    return free


def _grown(found: Map) -> Shape:
    """Return the shape of a blob and the zeros around it."""
    zeros = [b + a for b, a in zip(found.before, found.after, strict=True)]
    first = len(found.shape) - len(zeros)
    return found.shape[:first] + tuple(
        n + more for n, more in zip(found.shape[first:], zeros, strict=True)
    )


def _shape(found: Any) -> Shape:
    """Return an inferred shape, with -1 for what depends on values."""
    if found is None or not found.tensor_type.HasField("shape"):
        return (-1,)
    axes = found.tensor_type.shape.dim
    return tuple(int(axis.dim_value) if axis.HasField("dim_value") else -1 for axis in axes)
