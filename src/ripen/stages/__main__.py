"""Run one stage of one competition: `python -m ripen.stages STAGE COMPETITION`."""

import argparse
import importlib
import sys

from ripen import config, reproducibility
from ripen.errors import RipenError
from ripen.stages import STAGES


def main(arguments: list[str] | None = None) -> int:
    """Check the settings, hold the numbers to one path, and run the stage.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage.
    """
    parser = argparse.ArgumentParser(prog="python -m ripen.stages", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("competition", choices=config.COMPETITIONS)
    chosen = parser.parse_args(arguments)
    try:
        config.check_agreement()
        settings = config.load()
        reproducibility.hold(settings.reproducibility, settings.threads)
        # Only now: a stage imports numpy and torch, which read their environment once.
        importlib.import_module(f"ripen.stages.{chosen.stage}").run(settings, chosen.competition)
    except RipenError as error:
        print(f"{chosen.stage}@{chosen.competition}: {error}", file=sys.stderr)
        return error.exit_code
    return 0


if __name__ == "__main__":
    sys.exit(main())
