"""Layers of V0 (Caffe's first release): all settings in one message, and padding as a layer."""

import logging
from typing import Any

from google.protobuf.descriptor import FieldDescriptor

from caffe.errors import NetError
from caffe.proto.caffe_pb2 import NetParameter, V0LayerParameter, V1LayerParameter
from caffe.proto.fields import is_repeated

log = logging.getLogger("caffe")

TYPES = {
    "accuracy": "ACCURACY",
    "bnll": "BNLL",
    "concat": "CONCAT",
    "conv": "CONVOLUTION",
    "data": "DATA",
    "dropout": "DROPOUT",
    "euclidean_loss": "EUCLIDEAN_LOSS",
    "flatten": "FLATTEN",
    "hdf5_data": "HDF5_DATA",
    "hdf5_output": "HDF5_OUTPUT",
    "im2col": "IM2COL",
    "images": "IMAGE_DATA",
    "infogain_loss": "INFOGAIN_LOSS",
    "innerproduct": "INNER_PRODUCT",
    "lrn": "LRN",
    "multinomial_logistic_loss": "MULTINOMIAL_LOGISTIC_LOSS",
    "pool": "POOLING",
    "relu": "RELU",
    "sigmoid": "SIGMOID",
    "softmax": "SOFTMAX",
    "softmax_loss": "SOFTMAX_LOSS",
    "split": "SPLIT",
    "tanh": "TANH",
    "window_data": "WINDOW_DATA",
}
SETTINGS = {
    "concat": "concat_param",
    "conv": "convolution_param",
    "data": "data_param",
    "dropout": "dropout_param",
    "hdf5_data": "hdf5_data_param",
    "images": "image_data_param",
    "infogain_loss": "infogain_loss_param",
    "innerproduct": "inner_product_param",
    "lrn": "lrn_param",
    "pool": "pooling_param",
    "window_data": "window_data_param",
}
# For each field: its name today, and the types that have it.
FIELDS = {
    "num_output": ("num_output", "conv innerproduct"),
    "biasterm": ("bias_term", "conv innerproduct"),
    "weight_filler": ("weight_filler", "conv innerproduct"),
    "bias_filler": ("bias_filler", "conv innerproduct"),
    "pad": ("pad", "conv pool"),
    "kernelsize": ("kernel_size", "conv pool"),
    "group": ("group", "conv"),
    "stride": ("stride", "conv pool"),
    "pool": ("pool", "pool"),
    "dropout_ratio": ("dropout_ratio", "dropout"),
    "local_size": ("local_size", "lrn"),
    "alpha": ("alpha", "lrn"),
    "beta": ("beta", "lrn"),
    "k": ("k", "lrn"),
    "source": ("source", "data hdf5_data images window_data infogain_loss"),
    "batchsize": ("batch_size", "data hdf5_data images window_data"),
    "rand_skip": ("rand_skip", "data images"),
    "shuffle_images": ("shuffle", "images"),
    "new_height": ("new_height", "images"),
    "new_width": ("new_width", "images"),
    "concat_dim": ("concat_dim", "concat"),
    "det_fg_threshold": ("fg_threshold", "window_data"),
    "det_bg_threshold": ("bg_threshold", "window_data"),
    "det_fg_fraction": ("fg_fraction", "window_data"),
    "det_context_pad": ("context_pad", "window_data"),
    "det_crop_mode": ("crop_mode", "window_data"),
}
TRANSFORMATIONS = {
    "scale": "scale",
    "meanfile": "mean_file",
    "cropsize": "crop_size",
    "mirror": "mirror",
}
_ALL_HAVE = {"name", "type", "blobs", "blobs_lr", "weight_decay", *TRANSFORMATIONS}


def is_v0(net: NetParameter) -> bool:
    """Return whether any layer is in the form of the first release."""
    return any(layer.HasField("layer") for layer in net.layers)


def upgrade_v0(net: NetParameter) -> NetParameter:
    """Return the net with its layers in V1's form.

    A setting that the layer's type does not have is dropped, with a warning in the log.

    Raises
    ------
    NetError
        For a type that the first release did not have, or a padding layer that cannot be merged
        into the layer above it.
    """
    for message in left_out(net):
        log.warning("%s", message)
    net = _fold_padding(net)
    upgraded = NetParameter()
    upgraded.CopyFrom(net)
    del upgraded.layers[:]
    for old in net.layers:
        new = upgraded.layers.add()
        if old.HasField("layer"):
            new.bottom.extend(old.bottom)
            new.top.extend(old.top)
            _upgrade_layer(old.layer, new)
        else:
            new.CopyFrom(old)
    return upgraded


def left_out(net: NetParameter) -> list[str]:
    """Return messages about settings that the layers' types do not have."""
    return [
        f"layer '{old.name}': a layer of type '{old.type}' has no setting '{field.name}': dropped"
        for old in (layer.layer for layer in net.layers)
        for field, _ in old.ListFields()
        if not _has(old.type, field.name)
    ]


def _has(kind: str, name: str) -> bool:
    if name in FIELDS:
        # A padding layer is merged into the layer above it.
        return kind in FIELDS[name][1].split() or (kind, name) == ("padding", "pad")
    return name in _ALL_HAVE or (kind, name) == ("hdf5_output", "hdf5_output_param")


def _fold_padding(net: NetParameter) -> NetParameter:
    """Merge padding layers into the convolution or pooling above them."""
    folded = NetParameter()
    folded.CopyFrom(net)
    del folded.layers[:]
    made_by: dict[str, V1LayerParameter | None] = dict.fromkeys(net.input)
    for original in net.layers:
        padding = original.layer.type == "padding"
        layer = V1LayerParameter() if padding else folded.layers.add()
        layer.CopyFrom(original)
        for i, name in enumerate(original.bottom):
            if name not in made_by:
                raise NetError(f"unknown bottom blob '{name}' (layer '{original.layer.name}')")
            source = made_by[name]
            if source is not None and source.layer.type == "padding":
                _check_padding(source, original)
                layer.layer.pad = source.layer.pad
                layer.bottom[i] = source.bottom[0]
        made_by.update(dict.fromkeys(original.top, original))
    return folded


def _check_padding(padding: V1LayerParameter, taker: V1LayerParameter) -> None:
    where = f"padding layer '{padding.layer.name}' below layer '{taker.layer.name}'"
    if taker.layer.type not in ("conv", "pool"):
        raise NetError(f"{where}, which is of type '{taker.layer.type}'. Allowed: conv, pool")
    if len(padding.bottom) != 1 or len(taker.bottom) != 1:
        raise NetError(
            f"{where}: they have {len(padding.bottom)} and {len(taker.bottom)} bottoms. Needed: 1"
        )


def _upgrade_layer(old: V0LayerParameter, new: V1LayerParameter) -> None:
    for field, value in old.ListFields():
        name = field.name
        if name == "type":
            if value not in TYPES:
                raise NetError(
                    f"layer '{old.name}': unknown type '{value}'. Allowed: {', '.join(TYPES)}"
                )
            _set(new, "type", V1LayerParameter.LayerType.Value(TYPES[value]))
        elif name in TRANSFORMATIONS:
            setattr(new.transform_param, TRANSFORMATIONS[name], value)
        elif not _has(old.type, name):
            continue
        elif name in FIELDS:
            _set(getattr(new, SETTINGS[old.type]), FIELDS[name][0], value)
        else:
            _set(new, name, value)


def _set(message: Any, name: str, value: Any) -> None:
    field = message.DESCRIPTOR.fields_by_name[name]
    if is_repeated(field):
        getattr(message, name).extend(value if hasattr(value, "__len__") else [value])
    elif field.message_type is not None:
        getattr(message, name).CopyFrom(value)
    elif field.cpp_type == FieldDescriptor.CPPTYPE_UINT32:
        # As C++ converts to unsigned: new_height -1 becomes 4294967295.
        setattr(message, name, value % 2**32)
    else:
        setattr(message, name, value)
