"""JSON files that stages write and others read."""

import json
from pathlib import Path
from typing import Any

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
