import os
from pathlib import Path

import pytest

from ripen.core.errors import ConfigError
from ripen.settings import compose as config
from ripen.stages import settings

CONF = Path(__file__).parents[3] / "conf"


def test_agreement_gives_the_settings(tmp_path: Path) -> None:
    params = tmp_path / "params.yaml"
    values = config.compose(["solver.base_lr=0.5"], CONF)
    params.write_text(config.dump(values), encoding="utf-8")
    assert settings.run(params, CONF).solver.base_lr == 0.5


def test_drift_names_the_key_and_both_values(tmp_path: Path) -> None:
    values = config.compose((), CONF)
    values["solver"]["momentum"] = 0.5
    params = tmp_path / "params.yaml"
    params.write_text(config.dump(values), encoding="utf-8")
    with pytest.raises(ConfigError, match=r"disagree on 'solver\.momentum': 0\.5 and 0\.9"):
        settings.run(params, CONF)


def test_inside_an_experiment_params_yaml_is_the_truth(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    values = config.compose((), CONF)
    values["solver"]["momentum"] = 0.5
    params = tmp_path / "params.yaml"
    params.write_text(config.dump(values), encoding="utf-8")
    monkeypatch.setitem(os.environ, "DVC_EXP_BASELINE_REV", "0" * 40)
    assert settings.run(params, CONF).solver.momentum == 0.5
