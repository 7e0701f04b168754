"""Run one stage: `python -m ripen.stages STAGE [COMPETITION or NET] [NAME]`."""

import argparse
import importlib
import sys
from pathlib import Path

from ripen.core import reproducibility
from ripen.core.errors import RipenError, line
from ripen.settings import compose

STAGES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def main(arguments: list[str] | None = None) -> int:
    """Hold the numbers to one path, and run the stage.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage.
    """
    parser = argparse.ArgumentParser(prog="python -m ripen.stages", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("item", nargs="*", help="a competition, or a net; then a model or features")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.item:
            competitions = compose.read(compose.PARAMS).get("competition") or {}
            values = competitions.get(chosen.item[0], {})
            reproducibility.hold(values.get("reproducibility", "fast"), values.get("threads", 1))
        # Only now: a stage imports numpy and torch, which read their environment once.
        importlib.import_module(f"ripen.stages.{chosen.stage}").run(*chosen.item)
    except Exception as error:
        if (text := line(error)) is None:
            raise
        where = "@".join(filter(None, (chosen.stage, ".".join(chosen.item))))
        print(f"{where}: {text}", file=sys.stderr)
        return getattr(error, "exit_code", RipenError.exit_code)
    return 0


if __name__ == "__main__":
    sys.exit(main())
