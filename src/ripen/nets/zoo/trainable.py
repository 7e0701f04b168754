"""A net of the zoo made ready to be trained on arrays that a script gives it, at any input size."""

from dataclasses import dataclass, replace

from caffe.proto.caffe_pb2 import TEST, TRAIN, LayerParameter, NetParameter, Phase
from ripen.core.errors import ConfigError
from ripen.nets.zoo import DEFINITIONS
from ripen.nets.zoo.contract import Input, contract
from ripen.nets.zoo.finetune import SCORES, Change, finetuned
from ripen.settings.compose import changed

CHANNELS = {"grey": 1, "BGR": 3, "RGB": 3}


@dataclass(frozen=True)
class Trainable:
    """Definitions of one net.

    Attributes
    ----------
    deploy : NetParameter
        An Input layer ``data`` of one picture, and ``prob``.
    train_val : NetParameter
        In both phases a MemoryData layer with tops ``data`` and ``label``.
    wanted : Input
        What a picture has to be.
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


def trainable(name: str, side: int, batch_size: int) -> Trainable:
    """Return a net of the zoo for pictures of another size.

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
        If the net gives no probabilities, and so cannot be trained to classify.
    UsageError
        If there is no such net.
    """
    wanted = changed(contract(name).input, height=side, width=side)
    definition = DEFINITIONS[name]
    deploy = definition.deploy()
    shape = (batch_size, CHANNELS[wanted.channel_order], side, side)
    deploy.layer[0].input_param.shape[0].dim[:] = (1, *shape[1:])
    net = _with_losses(deploy) if definition.train_val is None else definition.train_val()
    return Trainable(deploy, _on_arrays(net, shape), wanted)


def _on_arrays(net: NetParameter, shape: tuple[int, ...]) -> NetParameter:
    """Return a train_val whose data layers are MemoryData of a shape (N, C, H, W)."""
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
    """Return what trains a net of which only its use is written down."""
    *body, last = deploy.layer
    if last.type != "Softmax":
        raise ConfigError(
            f"net '{deploy.name}' gives no probabilities: its last layer is no Softmax"
        )
    result = NetParameter(name=deploy.name)
    result.layer.extend(body)
    for layer in result.layer:
        settings = getattr(layer, SCORES[layer.type]) if layer.type in SCORES else None
        if settings is not None and not settings.HasField("weight_filler"):
            settings.weight_filler.type = "msra"  # of zeros nothing is ever learnt
    scores = last.bottom[0]
    accuracy = result.layer.add(name="accuracy", type="Accuracy", bottom=[scores, "label"])
    accuracy.top.append("accuracy")
    accuracy.include.add(phase=TEST)
    result.layer.add(name="loss", type="SoftmaxWithLoss", bottom=[scores, "label"], top=["loss"])
    return result
