"""JSON files that stages write and others read."""

import json
from pathlib import Path
from typing import Any

from ripen.core.atomic import write_text
from ripen.core.errors import reading


def read_json(path: Path) -> Any:
    """Return the value of a JSON file in UTF-8.

    Raises
    ------
    DataError
        If the file is missing or damaged.
    """
    with reading(path):
        return json.loads(path.read_text(encoding="utf-8"))


def write_json(path: Path, value: Any) -> None:
    """Write a value as JSON in UTF-8, atomically."""
    write_text(path, json.dumps(value, indent=2, ensure_ascii=False) + "\n")
