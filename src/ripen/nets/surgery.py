"""Changes to nets: cut before their end, fine-tuned for other classes, fed with arrays.

Each function takes a `NetParameter`, leaves it as it is, and returns a changed copy. Fine-tuning is
what Caffe users do by hand. The layers that compute the scores get new names, so that Caffe finds
no weights for them in the caffemodel and initializes them; they also get as many outputs as there
are classes, and a larger learning rate. Frozen layers get the rate 0. All other weights come with
`Net.copy_from` or `caffe train -weights`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

from caffe.proto.caffe_pb2 import (
    TEST,
    TRAIN,
    LayerParameter,
    NetParameter,
    ParamSpec,
    Phase,
    PoolingParameter,
)
from ripen.core.errors import ConfigError
from ripen.core.registry import nearest
from ripen.data.image_input import Input
from ripen.nets.contract import contract
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.compose import changed

# The field with the settings of each layer type that computes scores.
SCORES = {"InnerProduct": "inner_product_param", "Convolution": "convolution_param"}
BIASED = SCORES | {"Deconvolution": "convolution_param", "Embed": "embed_param"}
PROBABLE, TARGETS = "SoftmaxWithLoss", "targets"
PREDICTIONS = {PROBABLE: "Softmax", "SigmoidCrossEntropyLoss": "Sigmoid", "EuclideanLoss": "Power"}
"""Of each loss the layer that turns scores into probabilities, or into the predicted numbers."""
POOLS = {"AVE": ("mean", PoolingParameter.AVE), "MAX": ("max", PoolingParameter.MAX)}
CHANNELS = {"grey": 1, "BGR": 3, "RGB": 3}


@dataclass(frozen=True)
class Change:
    """How to fine-tune a net.

    Parameters
    ----------
    replace : sequence of str
        Layers that compute scores; several if the net has auxiliary losses.
    suffix : str
        Their new names are ``<name>_<suffix>``.
    num_output : int
        Number of new classes.
    lr_mult_new : float
        Multiplies the learning rates of the new layers.
    freeze_until : str or None
        The layers from the first to this one, in the file's order, do not learn.
    bias : float or None
        Initial bias of the new layers; None keeps the net's own.
    """

    replace: Sequence[str]
    suffix: str
    num_output: int
    lr_mult_new: float = 10
    freeze_until: str | None = None
    bias: float | None = None


@dataclass(frozen=True)
class Trainable:
    """A net that is trained on arrays.

    Attributes
    ----------
    deploy : NetParameter
        With an Input layer ``data`` for one image, and ``prob``.
    train_val : NetParameter
        With a MemoryData layer in both phases, with tops ``data`` and ``label``.
    wanted : Input
        The form of an image.
    """

    deploy: NetParameter
    train_val: NetParameter
    wanted: Input

    def changed(self, change: Change) -> "Trainable":
        """Return the net for other classes."""
        return replace(
            self,
            deploy=finetuned(self.deploy, change),
            train_val=finetuned(self.train_val, change),
        )

    def predicting(self, loss: str, outputs: int, scores: Sequence[str]) -> "Trainable":
        """Return the net for independent labels or numbers, which another loss layer learns.

        Its second MemoryData layer, ``targets``, has `outputs` numbers for each image.

        Parameters
        ----------
        loss : str
            A key of `PREDICTIONS`.
        outputs : int
        scores : sequence of str
            The layers that compute the scores. A ReLU on them is dropped: it would leave no number
            below 0, and no probability below a half.
        """
        train_val, deploy = (_without_relu(net, scores) for net in (self.train_val, self.deploy))
        for layer in deploy.layer:
            if layer.type == "Softmax":
                layer.type = PREDICTIONS[loss]
        kept = [layer for layer in train_val.layer if layer.type != "Accuracy"]
        batch = kept[0].memory_data_param.batch_size
        result = NetParameter(name=train_val.name)
        result.layer.extend(kept[:2])
        for phase in (TRAIN, TEST):
            result.layer.append(_memory(phase, (batch, outputs, 1, 1)))
            result.layer[-1].name, result.layer[-1].top[:] = TARGETS, [TARGETS, "no_label"]
        _flatten(result, TARGETS)
        for layer in kept[2:]:
            if layer.type == PROBABLE:
                flat = _flatten(result, layer.bottom[0])
                layer.type, layer.bottom[:] = loss, [flat, f"{TARGETS}/flat"]
                layer.ClearField("softmax_param")
            result.layer.append(layer)
        return replace(self, deploy=deploy, train_val=result)


def _without_relu(net: NetParameter, scores: Sequence[str]) -> NetParameter:
    """Return a net without the ReLUs in place on some layers."""
    tops = {layer.top[0] for layer in net.layer if layer.name in scores}
    result = NetParameter(name=net.name)
    result.layer.extend(
        layer
        for layer in net.layer
        if not (layer.type == "ReLU" and layer.bottom[0] in tops and layer.top == layer.bottom)
    )
    return result


def _flatten(net: NetParameter, blob: str) -> str:
    """Add a layer that makes rows of numbers of a blob; return its blob."""
    name = f"{blob}/flat"
    net.layer.add(name=name, type="Flatten", bottom=[blob], top=[name])
    return name


def trainable(name: str, side: int, batch_size: int) -> Trainable:
    """Return a net of the zoo for training on arrays, at any input size.

    Parameters
    ----------
    name : str
    side : int
        Height and width of the input, in pixels.
    batch_size : int
        In both phases.

    Raises
    ------
    ConfigError
        If the net does not end with probabilities, and so cannot be trained to classify.
    UsageError
        If the net does not exist.
    """
    wanted = changed(contract(name).input, height=side, width=side)
    definition = DEFINITIONS[name]
    deploy = definition.deploy()
    shape = (batch_size, CHANNELS[wanted.channel_order], side, side)
    deploy.layer[0].input_param.shape[0].dim[:] = (1, *shape[1:])
    net = _with_losses(deploy) if definition.train_val is None else definition.train_val()
    return Trainable(deploy, _on_arrays(net, shape), wanted)


def _on_arrays(net: NetParameter, shape: tuple[int, ...]) -> NetParameter:
    """Return a train_val net with MemoryData of shape (N, C, H, W) as its data layers."""
    result = NetParameter(name=net.name)
    result.layer.extend(_memory(phase, shape) for phase in (TRAIN, TEST))
    result.layer.extend(layer for layer in net.layer if layer.bottom)
    return result


def _memory(phase: Phase, shape: tuple[int, ...]) -> LayerParameter:
    layer = LayerParameter(name="data", type="MemoryData", top=["data", "label"])
    layer.include.add(phase=phase)
    given = layer.memory_data_param
    given.batch_size, given.channels, given.height, given.width = shape
    return layer


def _with_losses(deploy: NetParameter) -> NetParameter:
    """Return a net for training, made from a deploy net."""
    *body, last = deploy.layer
    if last.type != "Softmax":
        raise ConfigError(
            f"net '{deploy.name}' has no probabilities: its last layer is not a Softmax"
        )
    result = NetParameter(name=deploy.name)
    result.layer.extend(body)
    for layer in result.layer:
        settings = getattr(layer, SCORES[layer.type]) if layer.type in SCORES else None
        if settings is not None and not settings.HasField("weight_filler"):
            # Caffe's default filler is 0: with zero weights in every layer, none would learn.
            settings.weight_filler.type = "msra"
    add_losses(result, last.bottom[0])
    return result


def add_losses(net: NetParameter, scores: str) -> None:
    """Add the accuracy in the test phase, and the loss of a classifier."""
    ends = [scores, "label"]
    accuracy = net.layer.add(name="accuracy", type="Accuracy", bottom=ends, top=["accuracy"])
    accuracy.include.add(phase=TEST)
    net.layer.add(name="loss", type=PROBABLE, bottom=ends, top=["loss"])


def trunk(
    net: NetParameter,
    layers: Sequence[str],
    pools: Sequence[str],
    side: int,
    prefix: str = "",
) -> NetParameter:
    """Return a deploy net that ends with some of its layers, each map pooled to one number.

    Layers before a new last layer do not learn, so their outputs are computed once an image.

    Parameters
    ----------
    net : NetParameter
        Its first layer is its Input.
    layers : sequence of str
        Their outputs are concatenated in this order: shape (N, C, 1, 1).
    pools : sequence of str
        "AVE", "MAX": each map becomes one number for each. Outputs that are pooled already stay
        as they are.
    side : int
        Height and width of the input, in pixels.
    prefix : str
        Prepended to the names of all layers and blobs, so that two nets can be joined.

    Raises
    ------
    ConfigError
        If the net does not have a layer.
    """
    names = [layer.name for layer in net.layer]
    for name in layers:
        if name not in names:
            raise ConfigError(
                f"features: net '{net.name}' has no layer '{name}'{nearest(name, names)}"
            )
    result = NetParameter(name=net.name)
    result.layer.extend(net.layer[: max(map(names.index, layers)) + 1])
    result.layer[0].input_param.shape[0].dim[2:] = (side, side)
    pooled = [
        top for name in layers for top in _pooled(result, result.layer[names.index(name)], pools)
    ]
    if len(pooled) > 1:
        result.layer.add(name="features", type="Concat", bottom=pooled, top=["features"])
    return _prefixed(result, prefix)


def output(net: NetParameter) -> str:
    """Return the last blob of a trunk."""
    return str(net.layer[-1].top[0])


def _prefixed(net: NetParameter, prefix: str) -> NetParameter:
    result = NetParameter()
    result.CopyFrom(net)
    for layer in result.layer:
        layer.name = prefix + layer.name
        for tops in (layer.bottom, layer.top):
            tops[:] = [prefix + top for top in tops]
    return result


def _pooled(net: NetParameter, layer: LayerParameter, pools: Sequence[str]) -> list[str]:
    """Add the global poolings of a layer's maps; return their blobs."""
    given = str(layer.top[0])
    if layer.type == "Pooling" and layer.pooling_param.global_pooling:
        return [given]
    for pool in pools:
        name, method = POOLS[pool]
        added = net.layer.add(name=f"{layer.name}/{name}", type="Pooling", bottom=[given])
        added.top.append(added.name)
        added.pooling_param.pool, added.pooling_param.global_pooling = method, True
    return [str(added.name) for added in net.layer[-len(pools) :]]


def finetuned(net: NetParameter, change: Change) -> NetParameter:
    """Return a net's definition, train_val or deploy, changed for new classes.

    Raises
    ------
    ConfigError
        If the net does not have a layer, a layer to replace does not compute scores, or a layer to
        replace would be frozen.
    """
    _check(net, change)
    result = NetParameter()
    result.CopyFrom(net)
    if change.freeze_until is not None:
        for layer in result.layer[: _last(result, change.freeze_until) + 1]:
            _freeze(layer)
    for layer in result.layer:
        if layer.name in change.replace:
            _replace(layer, change)
    _rename_tops(result.layer, change)
    _drop_wider_accuracies(result, change.num_output)
    return result


def _check(net: NetParameter, change: Change) -> None:
    names = [layer.name for layer in net.layer]
    for key, name in [
        *(("replace", name) for name in change.replace),
        *((("freeze_until", change.freeze_until),) if change.freeze_until is not None else ()),
    ]:
        if name not in names:
            raise ConfigError(
                f"finetune.{key}: net '{net.name}' has no layer '{name}'{nearest(name, names)}"
            )
    for layer in net.layer:
        if layer.name in change.replace and layer.type not in SCORES:
            raise ConfigError(
                f"finetune.replace: layer '{layer.name}' of net '{net.name}' has type "
                f"{layer.type}, which has no number of outputs. Allowed: {', '.join(SCORES)}"
            )
    if change.freeze_until is not None:
        until = _last(net, change.freeze_until)
        frozen = [layer.name for layer in net.layer[: until + 1] if layer.name in change.replace]
        if frozen:
            raise ConfigError(
                f"finetune.freeze_until: '{change.freeze_until}' is not before '{frozen[0]}', "
                "which is new and must learn"
            )


def _last(net: NetParameter, name: str) -> int:
    return max(i for i, layer in enumerate(net.layer) if layer.name == name)


def _freeze(layer: LayerParameter) -> None:
    count = len(_with_all_params(layer))
    for spec in layer.param:
        spec.lr_mult, spec.decay_mult = 0, 0
    if count and layer.type == "BatchNorm":
        # A rate of 0 is not enough: its mean and variance follow the batches, not the solver.
        layer.batch_norm_param.use_global_stats = True


def _replace(layer: LayerParameter, change: Change) -> None:
    layer.name = f"{layer.name}_{change.suffix}"
    settings = getattr(layer, SCORES[layer.type])
    settings.num_output = change.num_output
    if not settings.HasField("weight_filler"):
        settings.weight_filler.type = "xavier"
    if change.bias is not None:
        settings.bias_filler.type, settings.bias_filler.value = "constant", change.bias
    for spec in _with_all_params(layer):
        spec.lr_mult *= change.lr_mult_new
        spec.ClearField("name")  # not shared with a layer of the old shape
    del layer.blobs[:]


def _with_all_params(layer: LayerParameter) -> Sequence[ParamSpec]:
    """Write out the rate of each parameter of a layer, Caffe's default where it has none."""
    while len(layer.param) < _parameters(layer):
        layer.param.add()
    for spec in layer.param:
        # Assigning a default makes protobuf write it, so that multiplying it is visible.
        spec.lr_mult = spec.lr_mult
    return layer.param


def _parameters(layer: LayerParameter) -> int:
    if layer.type in BIASED:
        return 1 + int(getattr(layer, BIASED[layer.type]).bias_term)
    if layer.type == "Scale" and len(layer.bottom) == 1:
        return 1 + layer.scale_param.bias_term
    if layer.type == "Bias" and len(layer.bottom) == 1:
        return 1
    return {"BatchNorm": 3, "PReLU": 1}.get(layer.type, len(layer.param))


def _rename_tops(layers: Iterable[LayerParameter], change: Change) -> None:
    """Rename the tops of replaced layers that have the layer's name, as most have."""
    renamed = {name: f"{name}_{change.suffix}" for name in change.replace}
    for layer in layers:
        for tops in (layer.bottom, layer.top):
            tops[:] = [renamed.get(top, top) for top in tops]


def _drop_wider_accuracies(net: NetParameter, classes: int) -> None:
    """Remove top-k accuracies with k above the number of classes, which Caffe refuses."""
    kept = [
        layer
        for layer in net.layer
        if layer.type != "Accuracy" or layer.accuracy_param.top_k <= classes
    ]
    del net.layer[:]
    net.layer.extend(kept)
