"""settings: is params.yaml what conf/ composes to?"""

import os
from pathlib import Path

from ripen.core.errors import ConfigError
from ripen.settings.compose import CONF, PARAMS, compose, from_mapping, leaves, read
from ripen.settings.schema import Config


def run(params: Path = PARAMS, conf: Path = CONF) -> Config:
    """Return the settings, once `params.yaml` and `conf/` with the recorded overrides agree.

    Inside `dvc exp run` DVC has composed `params.yaml` itself, so that it is the truth and there
    is nothing to compare.

    Raises
    ------
    ConfigError
        If `params.yaml` does not fit the schema, or naming the first key that differs.
    """
    found = read(params)
    settings = from_mapping(found, str(params))
    if "DVC_EXP_BASELINE_REV" in os.environ:
        return settings
    here, there = dict(leaves(found)), dict(leaves(compose(settings.overrides, conf)))
    for key in [*there, *here]:
        ours, theirs = here.get(key), there.get(key)
        if ours != theirs:
            raise ConfigError(
                f"{params} and {conf}/ disagree on '{key}': {ours!r} and {theirs!r}. "
                f"To take {conf}/: ripen compose. To keep the value: ripen run {key}={ours}"
            )
    return settings
