"""Write a net's definition in Python, by pycaffe's names.

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
from caffe.errors import NetError
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter

# What is written down may have fields of forks.
_Layer, _Net = forks.superset(LayerParameter), forks.superset(NetParameter)


def _settings_by_type() -> dict[str, str]:
    """Field of LayerParameter by layer type: "Convolution" to "convolution_param"."""
    return {
        field.message_type.name.removesuffix("Parameter"): field.name
        for field in _Layer.DESCRIPTOR.fields
        if field.name.endswith("_param") and field.message_type is not None
    }


class Top:
    """One output of a layer that is being written down."""

    def __init__(self, fn: "Function", n: int) -> None:
        self.fn = fn
        self.n = n

    def to_proto(self) -> NetParameter:
        """Return the net that ends in this top."""
        return to_proto(self)


class Function:
    """A layer that is being written down: its type, inputs and settings."""

    def __init__(self, type_name: str, inputs: tuple[Top, ...], params: dict[str, Any]) -> None:
        for i, top in enumerate(inputs):
            if not isinstance(top, Top):
                raise NetError(f"{type_name}: input {i} is {top!r}. Allowed: what a layer gave")
        self.type_name = type_name
        self.inputs = inputs
        self.params = params
        self.in_place = bool(params.pop("in_place", False))
        self.ntop = int(params.pop("ntop", 1))
        self.tops = tuple(Top(self, n) for n in range(self.ntop))
        self.fn = self  # stands for itself where a layer without tops is given a name

    def add_to(
        self,
        layers: "OrderedDict[Function, LayerParameter]",
        names: "dict[Given, str]",
        counts: Counter[str],
    ) -> None:
        """Write this layer, after all that it takes from."""
        if self in layers:
            return
        layer = _Layer(type=self.type_name)
        for top in self.inputs:
            top.fn.add_to(layers, names, counts)
            layer.bottom.append(layers[top.fn].top[top.n])
        tops = [_name(top, names, counts) for top in self.tops]
        layer.top.extend(layer.bottom if self.in_place else tops)
        layer.name = tops[0] if tops else _name(self, names, counts)
        for key, value in self.params.items():
            self._set(layer, key, value)
        layers[self] = layer

    def _set(self, layer: LayerParameter, key: str, value: Any) -> None:
        settings = _settings_by_type().get(self.type_name)
        if settings and key in getattr(layer, settings).DESCRIPTOR.fields_by_name:
            _assign(getattr(layer, settings), key, value, self.type_name)
        else:
            _assign(layer, key, value, self.type_name)


Given = Top | Function


def _name(given: Given, names: dict[Given, str], counts: Counter[str]) -> str:
    """Return the name that a top, or a layer without tops, was given; else make one up."""
    if given not in names:
        type_name = given.fn.type_name
        counts[type_name] += 1
        names[given] = f"{type_name}{counts[type_name]}"
    return names[given]


def _assign(message: Message, key: str, value: Any, where: str) -> None:
    """Set a field from plain Python: a dict is a message, a list a repeated field."""
    field = message.DESCRIPTOR.fields_by_name.get(key)
    if field is None:
        raise NetError(f"{where}: {message.DESCRIPTOR.name} has no field '{key}'")
    try:
        if isinstance(value, list | tuple) and value and isinstance(value[0], Mapping | Message):
            for item in value:
                _fill(getattr(message, key).add(), item, where)
        elif isinstance(value, list | tuple):
            getattr(message, key).extend(value)
        elif isinstance(value, Mapping | Message):
            target = getattr(message, key)
            _fill(target.add() if field.is_repeated else target, value, where)
        elif field.is_repeated:
            getattr(message, key).append(value)
        elif isinstance(value, str) and field.enum_type is not None:
            setattr(message, key, field.enum_type.values_by_name[value].number)
        else:
            setattr(message, key, value)
    except (TypeError, ValueError, KeyError) as error:
        raise NetError(f"{where}: {key}={value!r}: {error}") from None


def _fill(message: Message, value: Mapping[str, Any] | Message, where: str) -> None:
    if isinstance(value, Message):
        # By bytes: it may be of caffe_pb2's class, or of the superset's.
        message.ParseFromString(value.SerializeToString())
        message.SetInParent()
        return
    message.SetInParent()
    for key, item in value.items():
        _assign(message, key, item, where)


class NetSpec:
    """Layers by the names of the attributes that their tops are given to."""

    tops: "OrderedDict[str, Given]"

    def __init__(self) -> None:
        super().__setattr__("tops", OrderedDict())

    def __setattr__(self, name: str, value: Given) -> None:
        self.tops[name] = value

    def __getattr__(self, name: str) -> Top:
        try:
            return cast(Top, self.tops[name])
        except KeyError:
            raise AttributeError(f"the net has no top '{name}'") from None

    def __setitem__(self, key: str, value: Given) -> None:
        self.__setattr__(key, value)

    def __getitem__(self, item: str) -> Top:
        return self.__getattr__(item)

    def __delattr__(self, name: str) -> None:
        del self.tops[name]

    def __delitem__(self, key: str) -> None:
        del self.tops[key]

    def to_proto(self) -> NetParameter:
        """Return the definition."""
        return _written(self.tops.values(), {top: name for name, top in self.tops.items()})


def to_proto(*tops: Top) -> NetParameter:
    """Return the definition of a net that ends in these tops, its names made up."""
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
    """`layers.Convolution(bottom, num_output=…)` writes down a layer of any type."""

    def __getattr__(self, name: str) -> Callable[..., Any]:
        def layer(*inputs: Top, **params: Any) -> Any:
            fn = Function(name, inputs, params)
            if fn.ntop == 0:
                return fn
            return fn.tops if fn.ntop > 1 else fn.tops[0]

        return layer


class Parameters:
    """`params.Pooling.MAX`, the values of enums by their names."""

    def __getattr__(self, name: str) -> Any:
        class Values:
            def __getattr__(self, value: str) -> int:
                settings = getattr(_Layer(), _settings_by_type()[name])
                for enum in settings.DESCRIPTOR.enum_types:
                    if value in enum.values_by_name:
                        return int(enum.values_by_name[value].number)
                raise AttributeError(f"{name} has no value '{value}'")

        return Values()


layers = Layers()
params = Parameters()
