"""The command `dag`: the stages of the chosen competitions, as a tree or as a Mermaid diagram.

`dvc dag` draws every instance of a stage beside the others, hundreds of columns wide. Here those of
a stage are one node: the fits of a competition are one `fit` with the names of its models.
"""

import argparse
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.text import Text
from rich.tree import Tree

from ripen.cli.command import command, known
from ripen.core.errors import DataError, UsageError
from ripen.core.lineage import competition_of
from ripen.settings import compose as config

Edges = Mapping[str, Iterable[str]]


@dataclass(frozen=True)
class Node:
    """All instances of a stage in one competition.

    Attributes
    ----------
    stage : str
    names : sequence of str
        Of its instances: models, features or nets; empty where there is only one.
    after : sequence of str
        Stages that it waits for, less those that these wait for themselves. The last one is that
        which ends last.
    """

    stage: str
    names: Sequence[str]
    after: Sequence[str]


def nodes(edges: Edges, competition: str) -> dict[str, Node]:
    """Return the nodes of a competition, each after all that it waits for.

    Parameters
    ----------
    edges : mapping of str to iterable of str
        Each stage's name, as DVC has it (`fit@avocado.svm`), and the names of those it waits for.
    competition : str
    """
    needed = _needed(edges, competition)
    waits: dict[str, set[str]] = {}
    names: dict[str, list[str]] = {}
    for name in needed:
        stage, _, instance = name.partition("@")
        own = instance.partition(".")[2] or (instance if instance != competition else "")
        names.setdefault(stage, []).extend([own] if own else [])
        waits.setdefault(stage, set()).update(other.partition("@")[0] for other in edges[name])
    before: dict[str, set[str]] = {}  # all stages, near and far, that a stage waits for
    while len(before) < len(waits):
        stage = next(s for s in waits if s not in before and waits[s] <= before.keys())
        before[stage] = waits[stage].union(*(before[other] for other in waits[stage]))
    found, order = {}, list(before)
    for stage in order:
        far = set().union(*(before[other] for other in waits[stage]))
        near = sorted(waits[stage] - far, key=lambda one: (len(before[one]), order.index(one)))
        found[stage] = Node(stage, names[stage], near)
    return found


def _needed(edges: Edges, competition: str) -> list[str]:
    """Return a competition's stages and the nets' weights that they wait for."""
    own = [
        name
        for name in edges
        if competition_of(name) == competition and not name.startswith("weights@")
    ]
    others = {other for name in own for other in edges[name]} - set(own)
    return [name for name in edges if name in others or name in own]


def tree(found: Mapping[str, Node], competition: str) -> Tree:
    """Return a competition's nodes as a tree for the terminal: each below the last it waits for."""
    root = Tree(Text(competition, style="bold"))
    placed: dict[str, Tree] = {}
    for stage, node in found.items():
        label = Text(stage, style="bold" if not node.names else "")
        if node.names:
            label.append(f" {', '.join(node.names)}", style="dim")
        if also := node.after[:-1]:
            label.append(f"  (also after {', '.join(also)})", style="italic dim")
        parent = placed[node.after[-1]] if node.after else root
        placed[stage] = parent.add(label)
    return root


def mermaid(found: Mapping[str, Mapping[str, Node]]) -> str:
    """Return the nodes of competitions as a Mermaid diagram, which GitHub draws.

    Parameters
    ----------
    found : mapping of str to mapping
        By competition, from `nodes`.
    """
    lines = ["```mermaid", "flowchart TD"]
    for competition, of_one in found.items():
        lines.append(f"  subgraph {competition}")
        for stage, node in of_one.items():
            shown = "<br/>".join([stage, *node.names])
            lines.append(f'    {competition}.{stage}["{shown}"]')
        for stage, node in of_one.items():
            lines += [f"    {competition}.{one} --> {competition}.{stage}" for one in node.after]
        lines.append("  end")
    return "\n".join([*lines, "```"])


def edges() -> dict[str, list[str]]:
    """Return the graph of `dvc.yaml`: each stage, and those that it waits for, in its order.

    Raises
    ------
    DataError
        If DVC cannot read it.
    """
    from dvc.exceptions import DvcException
    from dvc.repo import Repo

    try:
        with Repo() as repository:
            graph = repository.index.graph
            return {
                stage.addressing: [other.addressing for other in graph.successors(stage)]
                for stage in graph
            }
    except DvcException as error:
        reason = " ".join(str(error).split()).rstrip(".")
        raise DataError(f"DVC cannot read the pipeline: {reason}") from None


def _arguments(parser: argparse.ArgumentParser, here: Path) -> None:
    parser.add_argument(
        "competitions", nargs="*", metavar="COMPETITION", help="default: those of the last run"
    )
    parser.add_argument("--md", action="store_true", help="as a Mermaid diagram, for Markdown")


@command("dag", "dag", "dag avocado", "dag avocado --md", arguments=_arguments)
def dag(chosen: argparse.Namespace) -> int:
    """Draw the stages of a competition and what each depends on."""
    present = config.load_run().competitions
    wanted = [known(name) for name in chosen.competitions] or present
    if missing := [name for name in wanted if name not in present]:
        raise UsageError(
            f"{config.PARAMS} holds no {missing[0]}. Run: ripen compose "
            f"'competitions=[{','.join([*present, missing[0]])}]'"
        )
    # Importing DVC takes a second, which a wrong name need not wait.
    graph = edges()
    found = {name: nodes(graph, name) for name in dict.fromkeys(wanted)}
    if chosen.md:
        print(mermaid(found))
        return 0
    console = Console()
    for name, of_one in found.items():
        console.print(tree(of_one, name), highlight=False)
    return 0
