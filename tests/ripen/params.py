"""What overrides compose to, composed once a process: Hydra takes a quarter of a second."""

from functools import cache
from pathlib import Path
from typing import Any

from ripen.settings import compose as settings
from ripen.settings import yaml_files
from ripen.stages.settings import compose

ROOT = Path(__file__).parents[2]
CONF = ROOT / "conf"


@cache
def _text(overrides: tuple[str, ...], code: bool) -> str:
    """Compose `params.yaml`, whose graph names a competition's own code where there is `src`."""
    return yaml_files.dump(compose(overrides, CONF)[0])


def write(*overrides: str, conf: Path = CONF) -> dict[str, Any]:
    """Write `params.yaml` into the working folder; return its values."""
    text = (
        _text(overrides, Path("src").is_dir())
        if conf == CONF
        else yaml_files.dump(compose(overrides, conf)[0])
    )
    settings.PARAMS.write_text(text, encoding="utf-8")
    return yaml_files.read(settings.PARAMS)
