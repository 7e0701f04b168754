"""Fields of messages, alike with every protobuf runtime from 5 on."""

from typing import Any


def is_repeated(field: Any) -> bool:
    """Return whether a FieldDescriptor, of whichever runtime, is of a repeated field.

    Protobuf 5 has `label` only; newer runtimes have the property and warn about `label`.
    """
    if hasattr(field, "is_repeated"):
        return bool(field.is_repeated)
    return bool(field.label == field.LABEL_REPEATED)
