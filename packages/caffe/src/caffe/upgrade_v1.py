"""Layers of V1 (until 2014): types as enums; learning rates and sharing in separate lists."""

from typing import Any

from caffe.errors import NetError
from caffe.proto.caffe_pb2 import (
    LayerParameter,
    NetParameter,
    ParamSpec,
    V1LayerParameter,
)
from caffe.proto.fields import is_repeated

TYPES = {
    "NONE": "",
    "ABSVAL": "AbsVal",
    "ACCURACY": "Accuracy",
    "ARGMAX": "ArgMax",
    "BNLL": "BNLL",
    "CONCAT": "Concat",
    "CONTRASTIVE_LOSS": "ContrastiveLoss",
    "CONVOLUTION": "Convolution",
    "DATA": "Data",
    "DECONVOLUTION": "Deconvolution",
    "DROPOUT": "Dropout",
    "DUMMY_DATA": "DummyData",
    "ELTWISE": "Eltwise",
    "EUCLIDEAN_LOSS": "EuclideanLoss",
    "EXP": "Exp",
    "FLATTEN": "Flatten",
    "HDF5_DATA": "HDF5Data",
    "HDF5_OUTPUT": "HDF5Output",
    "HINGE_LOSS": "HingeLoss",
    "IM2COL": "Im2col",
    "IMAGE_DATA": "ImageData",
    "INFOGAIN_LOSS": "InfogainLoss",
    "INNER_PRODUCT": "InnerProduct",
    "LRN": "LRN",
    "MEMORY_DATA": "MemoryData",
    "MULTINOMIAL_LOGISTIC_LOSS": "MultinomialLogisticLoss",
    "MVN": "MVN",
    "POOLING": "Pooling",
    "POWER": "Power",
    "RELU": "ReLU",
    "SIGMOID": "Sigmoid",
    "SIGMOID_CROSS_ENTROPY_LOSS": "SigmoidCrossEntropyLoss",
    "SILENCE": "Silence",
    "SLICE": "Slice",
    "SOFTMAX": "Softmax",
    "SOFTMAX_LOSS": "SoftmaxWithLoss",
    "SPLIT": "Split",
    "TANH": "TanH",
    "THRESHOLD": "Threshold",
    "WINDOW_DATA": "WindowData",
}
DATA = {"DATA": "data_param", "IMAGE_DATA": "image_data_param", "WINDOW_DATA": "window_data_param"}
TRANSFORMATION = ("scale", "mean_file", "crop_size", "mirror")
# The field of ParamSpec for each list of V1, which has one entry for each blob.
LISTS = {
    "param": "name",
    "blob_share_mode": "share_mode",
    "blobs_lr": "lr_mult",
    "weight_decay": "decay_mult",
}


def upgrade_v1(net: NetParameter) -> NetParameter:
    """Return the net with each of `layers` as a `layer`.

    Raises
    ------
    NetError
        If it has both `layer` and `layers`.
    """
    if net.layer:
        raise NetError(
            f"the net has {len(net.layer)} layer, with types as strings, and {len(net.layers)} "
            "layers, with types as enums. Allowed: one form"
        )
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    del upgraded.layers[:]
    for old in net.layers:
        _upgrade_layer(old, upgraded.layer.add())
    return upgraded


def _upgrade_layer(old: V1LayerParameter, new: LayerParameter) -> None:
    for field, value in old.ListFields():
        if field.name in LISTS:
            for i, item in enumerate(value):
                _set_spec(new, i, LISTS[field.name], item)
        elif field.name == "type":
            new.type = TYPES[V1LayerParameter.LayerType.Name(value)]
        elif field.name == "layer":
            continue
        elif is_repeated(field):
            getattr(new, field.name).extend(value)
        elif field.message_type is not None:
            getattr(new, field.name).CopyFrom(value)
        else:
            setattr(new, field.name, value)
    settings = DATA.get(V1LayerParameter.LayerType.Name(old.type))
    if settings and new.HasField(settings):
        _move_transformation(getattr(new, settings), new)


def _set_spec(layer: LayerParameter, index: int, field: str, value: Any) -> None:
    while len(layer.param) <= index:
        layer.param.add()
    if field == "share_mode":
        value = ParamSpec.PERMISSIVE if value == V1LayerParameter.PERMISSIVE else ParamSpec.STRICT
    setattr(layer.param[index], field, value)


def _move_transformation(settings: Any, layer: LayerParameter) -> None:
    """Move the transformation out of the data layer's settings, where V1 had it."""
    for field in TRANSFORMATION:
        if settings.HasField(field):
            setattr(layer.transform_param, field, getattr(settings, field))
            settings.ClearField(field)
