"""Databases: round trips; a damaged file is an error, never a crash."""

import shutil
import signal
import subprocess
import sys

import lmdb
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from caffe.databases import LEVELDB, LMDB, Writer, backend_of, records
from caffe.errors import FormatError
from caffe.lmdb_pages import Pages
from tests.caffe.image_case import database, datum, random_image


def test_written_and_read(tmp_path):
    pairs = [(f"{i:05}".encode(), bytes([i % 256]) * (i % 50 + 1)) for i in range(2345)]
    with Writer(tmp_path / "db") as writer:
        for pair in reversed(pairs):
            writer.put(*pair)
    assert writer.count == 2345
    assert list(records(tmp_path / "db")) == pairs


def test_database_grows_beyond_its_first_map_size(tmp_path):
    blocks = [np.random.default_rng(i).bytes(5 << 20) for i in range(9)]
    with Writer(tmp_path / "db") as writer:
        for i, block in enumerate(blocks):
            writer.put(b"%d" % i, block)
    assert [value for _, value in records(tmp_path / "db")] == blocks


def test_existing_folder_is_not_overwritten(tmp_path):
    (tmp_path / "db").mkdir()
    with pytest.raises(
        FormatError, match="db: a new database cannot be created there: File exists"
    ):
        Writer(tmp_path / "db")


def test_leveldb_is_refused(tmp_path):
    with pytest.raises(FormatError, match="LevelDB is not supported.*Allowed: LMDB"):
        Writer(tmp_path / "db", LEVELDB)
    with pytest.raises(FormatError, match="LevelDB is not supported.*Allowed: LMDB"):
        next(records(tmp_path, LEVELDB))


def test_names_of_backends():
    assert (backend_of("lmdb"), backend_of("LEVELDB")) == (LMDB, LEVELDB)
    with pytest.raises(FormatError, match="unknown database backend 'rocksdb'. Allowed: lmdb"):
        backend_of("rocksdb")


def test_database_that_the_script_has_open(tmp_path):
    database(tmp_path / "db", [datum(random_image(2, 2))])
    with lmdb.open(str(tmp_path / "db")) as environment:
        reading = records(tmp_path / "db")
        key, value = next(reading)
        with environment.begin() as transaction:
            assert transaction.get(key) == value
    with lmdb.open(str(tmp_path / "db"), readonly=True) as environment:
        assert environment.stat()["entries"] == 1


@settings(max_examples=20)
@given(st.dictionaries(st.binary(min_size=1, max_size=300), st.binary(max_size=9000), max_size=40))
def test_pages_are_read_as_lmdb_reads_them(tmp_path_factory, pairs):
    folder = tmp_path_factory.mktemp("pages")
    with lmdb.open(str(folder), map_size=1 << 24) as environment:
        for key, value in pairs.items():  # a commit each: the tree is rewritten, pages are freed
            with environment.begin(write=True) as transaction:
                transaction.put(key, value)
        with environment.begin() as transaction:
            expected = list(transaction.cursor())
    assert list(Pages(folder / "data.mdb")) == expected


@pytest.mark.parametrize("content", [b"", b"no database", b"\0" * 8192])
def test_other_files_are_refused(tmp_path, content):
    (tmp_path / "data.mdb").write_bytes(content)
    with pytest.raises(FormatError, match="cannot be opened as LMDB|truncated or corrupt"):
        next(records(tmp_path))


def test_truncated_database_is_refused(tmp_path):
    database(tmp_path / "db", [datum(random_image(40, 40, seed=i)) for i in range(9)])
    file = tmp_path / "db" / "data.mdb"
    file.write_bytes(file.read_bytes()[:-4096])
    with pytest.raises(FormatError, match="db: .*truncated"):
        next(records(tmp_path / "db"))


READ = """
import sys
from caffe.databases import records
from caffe.errors import FormatError
for folder in sys.argv[1:]:
    try:
        print("read", sum(1 for _ in records(folder)))
    except FormatError as error:
        print("refused", str(error).count(folder))
"""


@pytest.mark.slow
def test_damaged_database_never_ends_the_process(tmp_path):
    """Databases with random bytes at random offsets, read in a separate process."""
    folder = tmp_path / "damaged"
    folder.mkdir()
    database(folder / "good", [datum(random_image(9, 9 + i, seed=i)) for i in range(40)])
    content = (folder / "good" / "data.mdb").read_bytes()
    generator = np.random.default_rng(0)
    names = []
    for i in range(180):
        damaged = np.frombuffer(content, np.uint8).copy()
        page = int(generator.integers(len(content) // 4096)) * 4096
        places = page + generator.integers(0, (64, 4096)[i % 2], (8, 400)[i % 2])
        damaged[places] = generator.integers(0, 256, len(places))
        (folder / f"{i}").mkdir()
        (folder / f"{i}" / "data.mdb").write_bytes(damaged.tobytes())
        names.append(str(folder / f"{i}"))
    done = subprocess.run(
        [sys.executable, "-c", READ, *names], capture_output=True, text=True, check=False
    )
    shutil.rmtree(folder)
    assert done.returncode == 0, done.stderr
    answers = done.stdout.splitlines()
    assert len(answers) == 180
    assert set(answers) <= {"read 40", "refused 1"}
    assert "refused 1" in answers


def test_a_killed_writer_leaves_nothing_after_the_next(tmp_path):
    code = """
import os, signal
from caffe.databases import Writer
with Writer("killed") as database:
    database.put(b"0", bytes(1000))
    database.commit()
    os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert [path.suffix for path in tmp_path.iterdir()] == [".tmp"]
    with Writer(tmp_path / "one") as first, Writer(tmp_path / "other") as second:
        assert len(list(tmp_path.iterdir())) == 2  # these two's: neither took the other's away
        for database in (first, second):
            database.put(b"0", b"value")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["one", "other"]
