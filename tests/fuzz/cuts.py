"""Breaks connections at random bytes, of the headers too, while each source of files fetches.

    python -m tests.fuzz.cuts --moments 50 --seed 1

A fetch whose connections break must end with the right bytes or with one line that is ours, leave
nothing under the file's name, and go on, once the network is back, from where it stopped.
"""

import argparse
import hashlib
import os
import random
import sys
import tempfile
import zipfile
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager, redirect_stdout
from dataclasses import dataclass
from io import BytesIO, StringIO
from pathlib import Path

import pytest

from ripen.core.errors import SourceError
from ripen.data.sources import Item, download, fetch
from ripen.data.sources.from_list import reproducible_member
from tests.ripen.http_server import Answer, Request, Server, ranged, running
from tests.ripen.images import zipped
from tests.ripen.kaggle_server import COMPETITION, Kaggle, sign_in

BODY = random.Random(5).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()
WHEEL = "crust-1.0-py3-none-any.whl"
ALLOWED = (".part", ".version", ".parts")  # what an interrupted download may leave


class Wrong(AssertionError):
    """A fetch did something else than it should."""


@dataclass(frozen=True)
class Source:
    """What a source fetches: the item, its bytes, and what the server answers."""

    name: str
    item: Item
    content: bytes
    answer: Callable[[Request], Answer]
    resumes: bool = True  # so that no byte is sent twice, but for headers and a chunk


def url(server: Server, folder: Path) -> Source:
    """One file at an address."""
    item = Item("x.bin", sha256=SHA256, at={"url": f"{server.url}/x.bin"})
    return Source("url", item, BODY, lambda request: ranged(BODY, request))


def kaggle(server: Server, folder: Path) -> Source:
    """One file of a competition, by Kaggle's own client."""
    answer = Kaggle(server, files={"x.bin": BODY})._answer
    item = Item("x.bin", sha256=SHA256, at={"kaggle": f"{COMPETITION}/x.bin"})
    return Source("kaggle", item, BODY, answer)


def files(server: Server, folder: Path) -> Source:
    """Twenty files of a table."""
    parts = {f"{i}.bin": BODY[i * 15_000 : (i + 1) * 15_000] for i in range(20)}
    rows = [f"{name},{hashlib.sha256(part).hexdigest()}\n" for name, part in parts.items()]
    (folder / "table.csv").write_text("file,sha256\n" + "".join(rows))
    address = {"table": str(folder / "table.csv"), "url": server.url, "sources": ["url"]}
    item = Item("x.bin", at={"list": address})
    stream = BytesIO()
    with zipfile.ZipFile(stream, "w") as archive:
        for name, part in parts.items():
            archive.writestr(reproducible_member(name), part)
    return Source(
        "list", item, stream.getvalue(), lambda asked: ranged(parts[asked.path[1:]], asked)
    )


def pypi(server: Server, folder: Path) -> Source:
    """A file in a wheel, by pip."""
    about = "Metadata-Version: 2.1\nName: crust\nVersion: 1.0\n"
    made = {
        "crust/x.bin": BODY,
        "crust-1.0.dist-info/METADATA": about.encode(),
        "crust-1.0.dist-info/WHEEL": b"Wheel-Version: 1.0\nTag: py3-none-any\n",
        "crust-1.0.dist-info/RECORD": b"",
    }
    wheel = zipped(made)
    page = f'<a href="/{WHEEL}#sha256={hashlib.sha256(wheel).hexdigest()}">{WHEEL}</a>'
    index = Answer(page.encode(), headers={"Content-Type": "text/html"})
    item = Item("x.bin", sha256=SHA256, at={"pypi": "crust==1.0/crust/x.bin"})
    return Source(
        "pypi",
        item,
        BODY,
        lambda asked: ranged(wheel, asked) if asked.path.endswith(".whl") else index,
        resumes=False,
    )


SOURCES: dict[str, Callable[[Server, Path], Source]] = {
    "url": url,
    "kaggle": kaggle,
    "list": files,
    "pypi": pypi,
}


@contextmanager
def network(folder: Path) -> Iterator[Server]:
    """A server that Kaggle's client and pip take for theirs; no waits between attempts."""
    (folder / "home").mkdir(parents=True)
    with pytest.MonkeyPatch.context() as patch, running() as server:
        patch.setattr(download, "WAITS", (0.0, 0.0))
        with redirect_stdout(StringIO()):  # of Kaggle's client
            sign_in(patch, server, folder / "home")
        patch.setenv("PIP_CONFIG_FILE", os.devnull)
        patch.setenv("PIP_INDEX_URL", f"{server.url}/simple")
        patch.setenv("PIP_NO_CACHE_DIR", "1")
        patch.setenv("PIP_RETRIES", "0")
        yield server


def cut(name: str, moments: int, seed: int) -> Counter[str]:
    """Fetch so often, each time over connections that break after a random number of bytes.

    Returns
    -------
    Counter
        How many fetches ended whole in spite of it, how many with one line, and how many of these
        went on from where they stopped.
    """
    counts: Counter[str] = Counter()
    draw = random.Random(f"{seed} {name}")
    with tempfile.TemporaryDirectory(prefix="cuts-") as top, network(Path(top)) as server:
        source = SOURCES[name](server, Path(top))
        server.answer = source.answer
        _fetch(source, Path(top) / "whole")
        whole = server.sent
        for number in range(moments):
            folder = Path(top) / str(number)
            limit = draw.randrange(1 + int(whole * draw.choice((0.01, 0.1, 1.0))))
            server.budget, server.sent = lambda limit=limit: limit, 0  # type: ignore[misc]
            try:
                _fetch(source, folder)
                counts["whole in spite of it"] += 1
            except SourceError as error:
                if "\n" in str(error):
                    raise Wrong(f"{name}: {error}") from None
                counts["one line"] += 1
                if left := _left(folder, source):
                    raise Wrong(f"{name}, cut after {limit} bytes: left {left}") from None
                here = sum(each.stat().st_size for each in folder.rglob("*") if each.is_file())
                server.budget, server.sent = lambda: None, 0
                _fetch(source, folder)
                counts["went on"] += 1
                if source.resumes and server.sent > whole - here + 2 * download.CHUNK:
                    raise Wrong(f"{name}: of {whole} - {here} bytes {server.sent} came") from None
            server.budget = lambda: None
            if left := _left(folder, source, done=True):
                raise Wrong(f"{name}: left {left}")
    return counts


def _fetch(source: Source, folder: Path) -> None:
    target = folder / source.item.name
    with redirect_stdout(StringIO()):
        fetch([source.name], source.item, target)
    if target.read_bytes() != source.content:
        raise Wrong(f"{source.name}: other bytes")


def _left(folder: Path, source: Source, done: bool = False) -> list[str]:
    """Return what lies in a folder and should not."""
    found = sorted(path.name for path in folder.glob("*"))
    if done:
        return [name for name in found if name != source.item.name]
    return [name for name in found if not name.endswith(ALLOWED)]


def main() -> int:
    """Cut, print the counts of each source, and return 1 if something was wrong."""
    parser = argparse.ArgumentParser(prog="python -m tests.fuzz.cuts", description=__doc__)
    parser.add_argument("--moments", type=int, default=50)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", action="append", default=[], choices=SOURCES)
    chosen = parser.parse_args()
    try:
        for name in chosen.only or SOURCES:
            counts = cut(name, chosen.moments, chosen.seed)
            print(f"{name}: " + ", ".join(f"{n} {kind}" for kind, n in counts.items()), flush=True)
    except Wrong as error:
        print(f"wrong: {error}", file=sys.stderr)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
