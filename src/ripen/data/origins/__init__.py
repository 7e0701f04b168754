"""Where a competition's raw files come from: what its section `source` may name. One file each.

An origin fills the competition's raw folder. It may use transports (`ripen.data.sources`), which
bring single files.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from ripen.core.layout import Layout
from ripen.core.registry import Registry
from ripen.settings.schema import Competition

Origin = Callable[[Any, Competition, Layout, Path], None]
"""Takes the settings, the competition, its layout and the raw folder, which is empty."""

ORIGINS: Registry[Origin] = Registry("source", "ripen.data.origins")
