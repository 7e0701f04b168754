"""Which source files a stage's module imports, directly or not."""

from pathlib import Path

import grimp


def closure(graph: grimp.ImportGraph, *modules: str) -> set[str]:
    """Return modules, all they import, and the packages that importing those runs."""
    found: set[str] = set()
    waiting = set(modules)
    while waiting:
        module = waiting.pop()
        found.add(module)
        reached = graph.find_modules_directly_imported_by(module)
        package = module.rpartition(".")[0]
        waiting |= (reached | ({package} if package else set())) - found
    return found


def source_files(modules: set[str], root: Path) -> set[str]:
    """Return the files of modules; what is in caffe counts as its folder."""
    files = set()
    for module in modules:
        path = Path("src", *module.split("."))
        file = path / "__init__.py" if (root / path).is_dir() else path.with_suffix(".py")
        if module.partition(".")[0] == "caffe":
            files.add("src/caffe")
        elif (root / file).stat().st_size:
            files.add(file.as_posix())
    return files
