"""The command `serve`."""

import argparse
from pathlib import Path

from ripen.cli.command import command, port
from ripen.core import reproducibility
from ripen.core.processes import check_port
from ripen.settings import compose as config
from ripen.settings import yaml_files

LOCAL = "127.0.0.1"


def _arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument(
        "name",
        nargs="?",
        default="squeezenet",
        metavar="NET|COMPETITION",
        help="a net of models/, or a competition trained here (default: %(default)s)",
    )
    parser.add_argument("--model", help="a model of the competition (default: the submitted one)")
    parser.add_argument("--port", type=port, default=8000, help="default: %(default)s")
    parser.add_argument(
        "--host",
        default=LOCAL,
        help="default: %(default)s; any other address lets others in, with no password",
    )


@command(
    "serve",
    "serve",
    "serve titanic",
    "serve efficientnet_lite0 --port 8001",
    arguments=_arguments,
)
def serve(chosen: argparse.Namespace) -> int:
    """Serve a page on which you ask a model: drop an image, or fill in a form."""
    named = chosen.name in config.available()
    if named and config.PARAMS.exists():
        own = yaml_files.read(config.PARAMS).get("competition") or {}
        if chosen.name in own:
            # Its model is fitted again, to the same numbers.
            settings = config.load_competition(chosen.name)
            reproducibility.hold(settings.reproducibility, settings.threads)
    # Importing these takes seconds, which the other commands need not wait.
    from ripen.serve import app
    from ripen.serve.offer import served

    check_port(chosen.host, chosen.port, "ripen serve", 8000)
    again = " (unless it is a net of images, it is fitted again first)" if named else ""
    print(f"loading the model{again}", flush=True)
    model = served(chosen.name, chosen.model)
    shown = f"[{chosen.host}]" if ":" in chosen.host else chosen.host
    print(f"{model.title} is at http://{shown}:{chosen.port}")
    print("Ctrl-C ends it", flush=True)
    return app.run(model, chosen.host, chosen.port)
