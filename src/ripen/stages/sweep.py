"""sweep: trainings with other settings, and which of them is the best by validation."""

from ripen.core.atomic import fresh_folder
from ripen.core.layout import Layout
from ripen.learn.sweeps import results
from ripen.learn.sweeps.plan import plan
from ripen.learn.sweeps.report import swept
from ripen.settings.schema import CompetitionName, Config


def run(config: Config, competition: CompetitionName) -> None:
    """Read `prepared/`; write `sweep/`, `sweep.json`, the trials into their store, MLflow runs."""
    layout = Layout(competition)
    made = plan(config, competition, getattr(config.competition, competition).sweep)
    with fresh_folder(layout.sweep) as folder:
        results.write(folder, made, swept(made, folder))
    results.hand_on(layout.sweep, layout.swept, made.sweep.train_best)
