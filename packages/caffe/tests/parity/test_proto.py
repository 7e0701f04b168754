"""caffe.proto against the real one: every message, field, number, type, default and enum."""

import numpy as np
import pytest
from google.protobuf.descriptor_pb2 import (
    DescriptorProto,
    EnumDescriptorProto,
    FieldDescriptorProto,
    FileDescriptorProto,
)

from caffe.proto import caffe_pb2

# Additions of the wheel's fork to BVLC's Caffe 1.0, which we omit.
FORK_MESSAGES = {
    "ReverseParameter",
    "CtcLossParameter",
    "ContinuationIndicatorParameter",
    "LabelsequenceAccuracyParameter",
}
FORK_FIELDS = {
    "LayerParameter": {
        "reverse_param",
        "ctc_loss_param",
        "continuation_indicator_param",
        "labelsequence_accuracy_param",
    },
    "V1LayerParameter": {"reverse_param"},
    "V0LayerParameter": {"axis"},
}
FORK_VALUES = {"LayerType": {"REVERSE"}}
# Parts of BVLC's Caffe that the wheel lacks.
LATER_MESSAGES = {"ClipParameter"}
LATER_FIELDS = {"LayerParameter": {"clip_param"}}


@pytest.fixture(scope="module")
def files(real_caffe) -> tuple[FileDescriptorProto, FileDescriptorProto]:
    """Our descriptor and real Caffe's."""
    ours = FileDescriptorProto()
    caffe_pb2.DESCRIPTOR.CopyToProto(ours)
    return ours, FileDescriptorProto.FromString(real_caffe.descriptor())


def test_the_messages(files):
    ours, real = ({message.name for message in file.message_type} for file in files)
    assert ours - LATER_MESSAGES == real - FORK_MESSAGES


def test_the_package_and_its_enums(files):
    ours, real = files
    assert (ours.package, ours.syntax) == (real.package, real.syntax) == ("caffe", "")
    assert _enums(ours.enum_type) == _enums(real.enum_type)


def test_every_field_and_enum(files):
    ours, real = ({m.name: m for m in file.message_type} for file in files)
    for name in sorted(set(real) - FORK_MESSAGES):
        assert _fields(ours[name], LATER_FIELDS) == _fields(real[name], FORK_FIELDS), name
        assert _enums(ours[name].enum_type) == _enums(real[name].enum_type), name


def _fields(message: DescriptorProto, left_out: dict[str, set[str]]) -> dict[str, tuple]:
    skipped = left_out.get(message.name, set())
    return {field.name: _field(field) for field in message.field if field.name not in skipped}


def _field(field: FieldDescriptorProto) -> tuple:
    default: object = field.default_value if field.HasField("default_value") else None
    if default and field.type == field.TYPE_FLOAT:
        default = np.float32(default)
    packed = field.options.packed
    return (field.number, field.type, field.label, field.type_name, default, packed)


def _enums(enums: list[EnumDescriptorProto]) -> dict[str, dict[str, int]]:
    return {
        enum.name: {
            value.name: value.number
            for value in enum.value
            if value.name not in FORK_VALUES.get(enum.name, ())
        }
        for enum in enums
    }
