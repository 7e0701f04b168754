"""Run one stage: `python -m ripen.stages STAGE [COMPETITION or NET] [NAME]`.

`python -m ripen.stages --warm OWNER SOCKET` serves stages from a warm process (`ripen.core.warm`).
"""

import argparse
import importlib
import sys
from collections import Counter
from pathlib import Path

from ripen.core import reproducibility, warm

WARM = [sys.executable, "-m", "ripen.stages", "--warm"]
"""The command of a warm process."""
STAGES = sorted(path.stem for path in Path(__file__).parent.glob("[!_]*.py"))


def main(arguments: list[str] | None = None, *, copied: bool = False) -> int:
    """Hold the numbers to one path, and run the stage.

    Parameters
    ----------
    arguments : list of str, optional
        Of the command line; by default this process's.
    copied : bool, optional
        Whether this process is a copy of a warm one, whose libraries hold to its numbers.

    Returns
    -------
    int
        Exit code: 0, 1 for what is wrong with the data, 2 for what is wrong with the usage.
    """
    # Only here: what asks a warm process for a stage imports nothing that the stage needs.
    from ripen.core.errors import RipenError, line
    from ripen.settings import compose

    parser = argparse.ArgumentParser(prog="python -m ripen.stages", description=__doc__)
    parser.add_argument("stage", choices=STAGES)
    parser.add_argument("item", nargs="*", help="a competition, or a net; then a model or features")
    chosen = parser.parse_args(arguments)
    try:
        if chosen.item:
            competitions = compose.read(compose.PARAMS).get("competition") or {}
            values = competitions.get(chosen.item[0], {})
            numbers = values.get("reproducibility", "fast"), values.get("threads", 1)
            if copied and not reproducibility.held(*numbers):
                return warm.REFUSED
            reproducibility.hold(*numbers)
        # Only now: a stage imports numpy and torch, which read their environment once.
        importlib.import_module(f"ripen.stages.{chosen.stage}").run(*chosen.item)
    except Exception as error:
        if (text := line(error)) is None:
            raise
        where = "@".join(filter(None, (chosen.stage, ".".join(chosen.item))))
        print(f"{where}: {text}", file=sys.stderr)
        return getattr(error, "exit_code", RipenError.exit_code)
    return 0


def _main(arguments: list[str]) -> int:
    if arguments[:1] == WARM[-1:]:
        owner, number = map(int, arguments[1:])
        reproducibility.hold(*_usual())
        return main(warm.serve(owner, number, reproducibility.HELD), copied=True)
    code = warm.ask(arguments, WARM)
    return main(arguments) if code is None else code


def _usual() -> tuple[reproducibility.Reproducibility, int]:
    """Return the kernels and the number of threads of most competitions."""
    # Not by `compose`: a warm process imports none of ripen's code that its copies import anew.
    import yaml

    competitions = yaml.safe_load(Path("params.yaml").read_bytes())["competition"].values()
    counted = Counter((each["reproducibility"], each["threads"]) for each in competitions)
    return counted.most_common(1)[0][0]


if __name__ == "__main__":
    sys.exit(_main(sys.argv[1:]))
