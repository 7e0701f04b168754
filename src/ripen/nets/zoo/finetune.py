"""Train a net further on other classes: its files changed as Caffe users change them by hand.

The layers that give the scores get new names, so that Caffe finds no weights for them in the
caffemodel and fills them anew, as many outputs as there are classes, and a larger rate; what is
frozen gets the rate 0. The weights of all others come with `Net.copy_from` or `caffe train
-weights`.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, ParamSpec
from ripen.core.errors import ConfigError
from ripen.settings.compose import nearest

# Field of the layer's settings, of the types whose number of outputs can be chosen.
SCORES = {"InnerProduct": "inner_product_param", "Convolution": "convolution_param"}
BIASED = SCORES | {"Deconvolution": "convolution_param", "Embed": "embed_param"}


@dataclass(frozen=True)
class Change:
    """How a net becomes another's.

    Parameters
    ----------
    replace : sequence of str
        Layers that give scores; more than one where a net has side branches.
    suffix : str
        Their names become ``<name>_<suffix>``.
    num_output : int
        Number of new classes.
    lr_mult_new : float
        The rates of the new layers are multiplied by this.
    freeze_until : str or None
        Layers from the first to this one, in the file's order, learn nothing.
    bias : float or None
        What the biases of the new layers begin with; None is as the net has it.
    """

    replace: Sequence[str]
    suffix: str
    num_output: int
    lr_mult_new: float = 10
    freeze_until: str | None = None
    bias: float | None = None


def finetuned(net: NetParameter, change: Change) -> NetParameter:
    """Return a net's definition, train_val or deploy, changed for new classes.

    Parameters
    ----------
    net : NetParameter
        Is left as it is.
    change : Change

    Raises
    ------
    ConfigError
        If there is no such layer, one to replace has no number of outputs, or it would be frozen.
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
                f"finetune.replace: layer '{layer.name}' of net '{net.name}' is of type "
                f"{layer.type}, whose outputs cannot be chosen. Allowed: {', '.join(SCORES)}"
            )
    if change.freeze_until is not None:
        until = _last(net, change.freeze_until)
        frozen = [layer.name for layer in net.layer[: until + 1] if layer.name in change.replace]
        if frozen:
            raise ConfigError(
                f"finetune.freeze_until: '{change.freeze_until}' is not before '{frozen[0]}', "
                "which is new and has to learn"
            )


def _last(net: NetParameter, name: str) -> int:
    return max(i for i, layer in enumerate(net.layer) if layer.name == name)


def _freeze(layer: LayerParameter) -> None:
    count = len(_with_all_params(layer))
    for spec in layer.param:
        spec.lr_mult, spec.decay_mult = 0, 0
    if count and layer.type == "BatchNorm":
        # Its mean and variance are no parameters to Caffe's solver: they follow the batches.
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
        spec.ClearField("name")  # shared with no layer of the old shape
    del layer.blobs[:]


def _with_all_params(layer: LayerParameter) -> Sequence[ParamSpec]:
    """Write a rate for each parameter that the layer has, Caffe's default where none is written."""
    while len(layer.param) < _parameters(layer):
        layer.param.add()
    for spec in layer.param:
        spec.lr_mult = spec.lr_mult  # written out, not only its default
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
    """Where a layer's top has the layer's name, as most have, give it the new one too."""
    renamed = {name: f"{name}_{change.suffix}" for name in change.replace}
    for layer in layers:
        for tops in (layer.bottom, layer.top):
            tops[:] = [renamed.get(top, top) for top in tops]


def _drop_wider_accuracies(net: NetParameter, classes: int) -> None:
    """Remove accuracies among more guesses than there are classes, which Caffe refuses."""
    kept = [
        layer
        for layer in net.layer
        if layer.type != "Accuracy" or layer.accuracy_param.top_k <= classes
    ]
    del net.layer[:]
    net.layer.extend(kept)
