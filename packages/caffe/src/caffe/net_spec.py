"""NetSpec: write a net's definition in Python, with pycaffe's names.

n = NetSpec()
n.data, n.label = layers.HDF5Data(source="train.txt", batch_size=100, ntop=2)
n.scores = layers.InnerProduct(n.data, num_output=2)
n.loss = layers.SoftmaxWithLoss(n.scores, n.label)
n.to_proto()
"""

from collections import Counter, OrderedDict
from collections.abc import Callable, Iterable, Mapping
from typing import Any, cast

from google.protobuf.message import Message

from caffe import forks
from caffe.errors import SpecError
from caffe.proto import caffe_pb2
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter
from caffe.proto.fields import is_repeated

# Definitions may use fields of forks.
_Layer, _Net = forks.superset(LayerParameter), forks.superset(NetParameter)


def param_name_dict() -> dict[str, str]:
    """Return the settings field of each layer type: "InnerProduct" to "inner_product"."""
    return {
        field.message_type.name.removesuffix("Parameter"): field.name.removesuffix("_param")
        for field in _Layer.DESCRIPTOR.fields
        if field.name.endswith("_param") and field.message_type is not None
    }


_param_names = param_name_dict()


class Top:
    """One output of a layer in a NetSpec."""

    def __init__(self, fn: "Function", n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> NetParameter:
        """Return the net that ends in this top."""
        return to_proto(self)


class Function:
    """A layer in a NetSpec: its type, inputs and settings."""

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for i, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise SpecError(f"{type_name} input {i} is not a Top (type is {type(top)})")
        self.type_name = type_name
        self.inputs = inputs
        self.params = params
        self.in_place = bool(params.pop("in_place", False))
        self.ntop = int(params.pop("ntop", 1))
        self.tops = tuple(Top(self, n) for n in range(self.ntop))
        self.fn = self  # so that a layer without tops can be assigned a name, like a Top

    def add_to(
        self,
        layers: "OrderedDict[Function, LayerParameter]",
        names: "dict[Given, str]",
        counts: Counter[str],
    ) -> None:
        """Add this layer, after all layers that it depends on."""
        if self in layers:
            return
        layer = _Layer(type=self.type_name)
        for top in self.inputs:
            top.fn.add_to(layers, names, counts)
            layer.bottom.append(layers[top.fn].top[top.n])
        if self.in_place:
            layer.top.extend(layer.bottom)
        else:
            layer.top.extend(_name(top, names, counts) for top in self.tops)
        layer.name = _name(self.tops[0] if self.tops else self, names, counts)
        for key, value in self.params.items():
            try:
                assign_proto(self._target(layer, key), key, value)
            except SpecError as error:
                raise SpecError(f"{self.type_name}: {error}") from None
        layers[self] = layer

    def _target(self, layer: LayerParameter, key: str) -> Message:
        """Return the message that has a setting as a field: the type's own, or the layer's."""
        own = _param_names.get(self.type_name)
        if own is None or key.endswith("param"):
            return layer
        settings: Message = getattr(layer, f"{own}_param")
        return settings if key in settings.DESCRIPTOR.fields_by_name else layer


Given = Top | Function


def _name(given: Given, names: dict[Given, str], counts: Counter[str]) -> str:
    """Return the assigned name of a top, or of a layer without tops; else generate one."""
    if given not in names:
        type_name = given.fn.type_name
        counts[type_name] += 1
        names[given] = f"{type_name}{counts[type_name]}"
    return names[given]


def assign_proto(proto: Message, name: str, val: Any) -> None:
    """Set a field of a message from plain Python.

    Parameters
    ----------
    proto : Message
    name : str
        The field.
    val : object
        A dict for a message; a list for a repeated field, where any other value counts as a list of
        one; a number or a name for an enum.

    Raises
    ------
    SpecError
        If there is no such field, or the value has the wrong type.
    """
    field = proto.DESCRIPTOR.fields_by_name.get(name)
    if field is None:
        raise SpecError(f"{proto.DESCRIPTOR.name} has no field '{name}'")
    try:
        if is_repeated(field):
            _extend(getattr(proto, name), field, val if isinstance(val, list | tuple) else [val])
        elif isinstance(val, Mapping | Message):
            _fill(getattr(proto, name), val)
        else:
            setattr(proto, name, _scalar(field, val))
    except SpecError:
        raise
    except (TypeError, ValueError, AttributeError) as error:
        raise SpecError(f"{name}={val!r}: {error}") from None


def _extend(repeated: Any, field: Any, values: Iterable[Any]) -> None:
    for value in values:
        if isinstance(value, Mapping | Message):
            _fill(repeated.add(), value)
        else:
            repeated.append(_scalar(field, value))


def _scalar(field: Any, value: Any) -> Any:
    if isinstance(value, str) and field.enum_type is not None:
        values = field.enum_type.values_by_name
        if value not in values:
            raise ValueError(f"allowed: {', '.join(values)}")
        return values[value].number
    if isinstance(value, bool) and field.cpp_type != field.CPPTYPE_BOOL:
        return int(value)
    return value


def _fill(message: Message, value: Mapping[str, Any] | Message) -> None:
    """Set the fields in a dict; a message replaces the whole field."""
    if isinstance(value, Message):
        # Via bytes, since the two messages may be of caffe_pb2's class and the superset's.
        message.ParseFromString(value.SerializeToString())
        message.SetInParent()
        return
    for key, item in value.items():
        assign_proto(message, key, item)


class NetSpec:
    """A net whose layers are named after the attributes that their tops are assigned to."""

    tops: "OrderedDict[str, Given]"

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Given) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Top:
        try:
            return cast(Top, vars(self)["tops"][name])
        except KeyError:
            raise SpecError(f"the net has no top '{name}'") from None

    def __setitem__(self, key: str, value: Given) -> None:
        self.__setattr__(key, value)

    def __getitem__(self, item: str) -> Top:
        return self.__getattr__(item)

    def __delattr__(self, name: str) -> None:
        self.__getattr__(name)
        del self.tops[name]

    def __delitem__(self, key: str) -> None:
        self.__delattr__(key)

    def to_proto(self) -> NetParameter:
        """Return the definition."""
        return _written(self.tops.values(), {top: name for name, top in self.tops.items()})


def to_proto(*tops: Top) -> NetParameter:
    """Return the definition of a net that ends in these tops, with generated names."""
    return _written(tops, {})


def _written(tops: Iterable[Given], names: dict[Given, str]) -> NetParameter:
    layers: OrderedDict[Function, LayerParameter] = OrderedDict()
    counts: Counter[str] = Counter()
    for top in tops:
        top.fn.add_to(layers, names, counts)
    net = _Net()
    net.layer.extend(layers.values())
    return forks.simplest(net, NetParameter)


class Layers:
    """`layers.Convolution(bottom, num_output=…)` creates a layer of any type."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def layer(*inputs: Top, **params: Any) -> Any:
            fn = Function(name, inputs, params)
            if fn.ntop == 0:
                return fn
            return fn.tops if fn.ntop > 1 else fn.tops[0]

        return layer


class Parameters:
    """`params.Pooling.MAX`: enum values by their names."""

    def __getattr__(self, name: str) -> Any:
        message = getattr(caffe_pb2, f"{name}Parameter", None)
        if message is None:
            raise SpecError(f"there is no {name}Parameter in caffe.proto")
        return _Values(name, message)


class _Values:
    def __init__(self, name: str, message: type[Message]) -> None:
        self._name, self._message = name, message

    def __getattr__(self, value: str) -> Any:
        try:
            return getattr(self._message, value)
        except AttributeError:
            raise SpecError(f"{self._name} has no value '{value}'") from None


layers = Layers()
params = Parameters()
