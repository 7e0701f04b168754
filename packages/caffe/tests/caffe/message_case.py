"""Messages of any type for hypothesis, drawn field by field from their descriptors."""

from collections.abc import Mapping
from typing import Any

from google.protobuf.descriptor import Descriptor, FieldDescriptor
from google.protobuf.message import Message
from hypothesis import strategies as st

from caffe.proto.fields import is_repeated

FLOATS = st.floats(width=32, allow_nan=False, allow_infinity=False)
VALUES = {
    FieldDescriptor.TYPE_FLOAT: FLOATS,
    FieldDescriptor.TYPE_DOUBLE: st.floats(allow_nan=False, allow_infinity=False),
    FieldDescriptor.TYPE_INT32: st.integers(-(2**31), 2**31 - 1),
    FieldDescriptor.TYPE_INT64: st.integers(-(2**63), 2**63 - 1),
    FieldDescriptor.TYPE_UINT32: st.integers(0, 2**32 - 1),
    FieldDescriptor.TYPE_BOOL: st.booleans(),
    FieldDescriptor.TYPE_STRING: st.text(max_size=5),
    FieldDescriptor.TYPE_BYTES: st.binary(max_size=5),
}


Values = Mapping[int, st.SearchStrategy[Any]]


@st.composite
def messages(
    draw: st.DrawFn,
    kind: type[Message],
    left_out: tuple[str, ...] = (),
    values: Values = VALUES,
) -> Any:
    """Draw a message with up to six of its fields; sub-messages likewise."""
    message = kind()
    _draw_into(draw, message, left_out, values)
    return message


def _draw_into(draw: st.DrawFn, message: Any, left_out: tuple[str, ...], values: Values) -> None:
    descriptor: Descriptor = message.DESCRIPTOR
    names = [f.name for f in descriptor.fields if f.name not in left_out]
    for name in draw(st.lists(st.sampled_from(names), max_size=6, unique=True)):
        field = descriptor.fields_by_name[name]
        for _ in range(draw(st.integers(0, 3)) if is_repeated(field) else 1):
            _draw_field(draw, message, field, left_out, values)
    for field in descriptor.fields:
        if field.is_required and not message.HasField(field.name):
            _draw_field(draw, message, field, left_out, values)


def _draw_field(
    draw: st.DrawFn,
    message: Any,
    field: FieldDescriptor,
    left_out: tuple[str, ...],
    values: Values,
) -> None:
    if field.message_type is not None:
        part = getattr(message, field.name)
        part = part.add() if is_repeated(field) else part
        part.SetInParent()
        _draw_into(draw, part, left_out, values)
        return
    if field.enum_type is not None:
        value = draw(st.sampled_from([value.number for value in field.enum_type.values]))
    else:
        value = draw(values[field.type])
    if is_repeated(field):
        getattr(message, field.name).append(value)
    else:
        setattr(message, field.name, value)
