"""CSV files: read as text in any of their usual forms, and each fault reported in one line."""

import gzip
from pathlib import Path

import pandas as pd
import pytest

from ripen.core import csv_files
from ripen.core.archives import Limits
from ripen.core.csv_files import read_text, sniff
from ripen.core.errors import DataError

ROWS = [["1", "Zoë, née Ørsted", "1,5"], ["007", "", "-20,25"]]
TABLE = pd.DataFrame(ROWS, columns=["id", "name", "größe"], dtype="str")
FORMS = {  # what is written, and what a sniffed file needs
    "plain": ((",", "utf-8"), {}),
    "byte order mark": ((",", "utf-8-sig"), {}),
    "Latin-1": ((",", "latin-1"), {"encoding": "latin-1"}),
    "German": ((";", "utf-8"), {"separator": ";", "decimal": ","}),
    "German, Latin-1": (
        (";", "latin-1"),
        {"separator": ";", "decimal": ",", "encoding": "latin-1"},
    ),
    "tabs": (("\t", "utf-8"), {"separator": "\t", "decimal": ","}),
}


@pytest.mark.parametrize("form", FORMS)
def test_any_form_is_found_and_read_as_it_stands(form: str, tmp_path: Path) -> None:
    (separator, encoding), needed = FORMS[form]
    path = tmp_path / "a.csv"
    TABLE.to_csv(path, index=False, sep=separator, encoding=encoding)
    assert sniff(path) == needed
    found = {key: value for key, value in needed.items() if key != "decimal"}
    pd.testing.assert_frame_equal(read_text(path, **found), TABLE)


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"", "the file is empty"),
        (b"a,b\n", "has a header and no rows"),
        (
            b"a,b\n1,2\n3\n",
            r"row 2, the last one, has 1 fields, and the header 2. Is the file truncated\?",
        ),
        (b"a,b\n1,2,3\n", "not a table of one header and equal rows"),
        (b'a,b\n1,2\n3,"x\n', "not a table of one header and equal rows: .*EOF inside string"),
        ("a,b\n1,ö\n".encode("latin-1"), r"byte 6 is not UTF-8. Set csv.encoding"),
    ],
)
def test_a_fault_is_one_line(content: bytes, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"a.csv: .*{message}") as caught:
        read_text(path)
    assert "\n" not in str(caught.value)


def test_a_missing_file_and_an_unknown_encoding_are_reported(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"a.csv: no such file"):
        read_text(tmp_path / "a.csv")
    with pytest.raises(DataError, match=r"a.csv: no such file"):
        sniff(tmp_path / "a.csv")
    (tmp_path / "a.csv").write_text("a\n1\n", encoding="utf-8")
    with pytest.raises(DataError, match=r"csv.encoding 'klingon' is unknown to Python"):
        read_text(tmp_path / "a.csv", encoding="klingon")


def test_gzip_is_read_as_what_it_holds(tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id;x\n1;2,5\n2;3,5\n"))
    assert sniff(path) == {"separator": ";", "decimal": ","}
    assert read_text(path, ";").to_dict("list") == {"id": ["1", "2"], "x": ["2,5", "3,5"]}


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"id,x\n1,2\n", "a.csv.gz: is not gzip, or is truncated: Not a gzipped file"),
        (gzip.compress(b"id,x\n1,2\n" * 99)[:-12], "a.csv.gz: is not gzip, or is truncated"),
        (gzip.compress(b"id,x\n1,2\n3\n"), "a.csv.gz: row 2, the last one, has 1 fields"),
        (None, "a.csv.gz: no such file"),
    ],
    ids=["plain", "truncated", "short row", "none"],  # gzip holds the time: other processes differ
)
def test_damaged_gzip_is_one_line(content: bytes | None, message: str, tmp_path: Path) -> None:
    path = tmp_path / "a.csv.gz"
    if content is not None:
        path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        read_text(path)


def test_gzip_larger_than_a_table_may_be_is_one_line(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(csv_files, "Limits", lambda: Limits(at_once=1000))
    path = tmp_path / "a.csv.gz"
    path.write_bytes(gzip.compress(b"id,x\n" + b"1,2\n" * 999))
    with pytest.raises(
        DataError, match=r"a\.csv\.gz: has more than 1000 bytes when it is unpacked"
    ):
        read_text(path)


def test_cells_of_pixels_become_columns_and_other_numbers_stay_text(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    pixels = [" ".join(str(i * k) for i in range(36)) for k in (1, 2)]
    path.write_text(f"id,pixels,rle,few\n1,{pixels[0]},{pixels[0]},1 2\n2,{pixels[1]},1 2,3 4\n")
    found = read_text(path)
    assert found["pixels_mean"].tolist() == ["17.5", "35.0"]
    assert found["pixels_box_0_1"].tolist() == ["1.0", "2.0"]
    assert found["rle"].tolist() == [pixels[0], "1 2"]
    assert found["few"].tolist() == ["1 2", "3 4"]
