"""Files that the competition's own code makes, with no network."""

from pathlib import Path
from typing import Any

from ripen.competition.own import hook
from ripen.core.errors import ConfigError
from ripen.core.layout import Layout
from ripen.data.origins import ORIGINS
from ripen.settings.schema import Competition


@ORIGINS.register("generate")
def generate(settings: Any, competition: Competition, layout: Layout, folder: Path) -> None:
    """Call the competition's own `generate` (`ripen.competition.own`).

    Raises
    ------
    ConfigError
        If it has none.
    """
    own = hook(layout.competition, "generate")
    if own is None:
        raise ConfigError(
            f"source.generate: there is no ripen/competitions/{layout.competition} that generates"
        )
    own(settings, competition.seed, folder)
