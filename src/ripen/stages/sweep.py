"""sweep: trainings with other settings, and which of them is the best by validation."""

from ripen.atomic import fresh_folder
from ripen.layout import Layout
from ripen.schema import CompetitionName, Config
from ripen.sweeps import results
from ripen.sweeps.plan import plan
from ripen.sweeps.report import swept


def run(config: Config, competition: CompetitionName) -> None:
    """Read `prepared/`; write `sweep/`, `sweep.json`, the trials into their store, MLflow runs."""
    layout = Layout(competition)
    made = plan(config, competition, getattr(config.competition, competition).sweep)
    with fresh_folder(layout.sweep) as folder:
        results.write(folder, made, swept(made, folder))
    results.hand_on(layout.sweep, layout.swept, made.sweep.train_best)
