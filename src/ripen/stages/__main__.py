"""Run one stage of one competition: `python -m ripen.stages STAGE COMPETITION`."""

import argparse
import importlib
import sys

from ripen.core import reproducibility
from ripen.core.errors import RipenError
from ripen.settings.schema import COMPETITIONS
from ripen.stages import STAGES, settings


def main(arguments: list[str] | None = None) -> int:
    """Check the settings, hold the numbers to one path, and run the stage.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage.
    """
    parser = argparse.ArgumentParser(prog="python -m ripen.stages", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("competition", choices=COMPETITIONS, nargs="?")
    chosen = parser.parse_args(arguments)
    if chosen.competition is None and chosen.stage != "settings":
        parser.error(f"{chosen.stage} needs a competition: {', '.join(COMPETITIONS)}")
    try:
        config = settings.run()
        if chosen.stage != "settings":
            compute = getattr(config.competition, chosen.competition).compute
            reproducibility.hold(compute.reproducibility, compute.threads)
            # Only now: a stage imports numpy and torch, which read their environment once.
            importlib.import_module(f"ripen.stages.{chosen.stage}").run(config, chosen.competition)
    except RipenError as error:
        where = "@".join(filter(None, (chosen.stage, chosen.competition)))
        print(f"{where}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
