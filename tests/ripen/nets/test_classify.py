"""`ripen classify`: Caffe's cat, and files that are not images."""

import io
import json
import shutil
import sys
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from ripen import cli

ROOT = Path(__file__).parents[3]


@pytest.fixture(autouse=True)
def _at_root(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)


@pytest.fixture
def cat(mirror: Path) -> Path:
    return mirror / "BVLC/caffe/examples/images/cat.jpg"


def test_probabilities_of_the_cat_are_real_caffes(
    cat: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["classify", str(cat), "--json", "--top", "4"]) == 0
    (found,) = json.loads(capsys.readouterr().out)
    assert found["image"] == str(cat)
    names = [each["name"].partition(",")[0] for each in found["top"]]
    assert names == ["kit fox", "Pembroke", "red fox", "tabby"]
    # Real Caffe's numbers for this net and image.
    expected = [0.45, 0.21, 0.21, 0.018]
    assert [g["probability"] for g in found["top"]] == pytest.approx(expected, abs=0.006)
    assert found["top"][3]["synset"] == "n02123045"


def test_only_json_is_on_standard_output_while_weights_are_fetched(
    cat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    fetched = shutil.ignore_patterns("*.prototxt", "*.caffemodel", "*.net", "*.pth")
    shutil.copytree("models", tmp_path / "models", ignore=fetched)
    (tmp_path / "conf").mkdir()
    (tmp_path / "conf/config.yaml").touch()
    monkeypatch.chdir(tmp_path)
    assert cli.main(["classify", str(cat), "--json", "--top", "1"]) == 0
    shown = capsys.readouterr()
    assert json.loads(shown.out)[0]["top"][0]["name"].startswith("kit fox")
    assert "squeezenet.net" in shown.err


def test_the_table_has_a_bar_for_each_class(cat: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["classify", str(cat)]) == 0
    first, *lines = capsys.readouterr().out.splitlines()
    assert first == f"{cat}: kit fox"
    assert [line.split("%")[1].replace("█", "").strip() for line in lines] == [
        "kit fox",
        "Pembroke",
        "red fox",
        "tabby",
        "grey fox",
    ]
    bars = [line.count("█") for line in lines]
    assert bars == [round(30 * float(line.split("%")[0]) / 100) for line in lines]


def test_a_truncated_image_is_reported_and_the_others_are_classified(
    cat: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "half.jpg").write_bytes(cat.read_bytes()[:9000])
    (tmp_path / "text.png").write_text("a cat")
    (tmp_path / "notes.txt").write_text("not an image")
    shutil.copy(cat, tmp_path / "cat.jpg")
    assert cli.main(["classify", str(tmp_path), "--top", "1"]) == 1
    shown = capsys.readouterr()
    assert shown.out.splitlines()[0] == f"{tmp_path / 'cat.jpg'}: kit fox"
    half, text = shown.err.splitlines()
    assert half.startswith(f"ripen: {tmp_path / 'half.jpg'}: cannot be read: image file is truncat")
    assert text == f"ripen: {tmp_path / 'text.png'}: is not an image that Pillow can read"


def test_standard_input_and_unusual_images(
    cat: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Image.open(cat) as image:
        for mode, suffix in (("L", "png"), ("CMYK", "jpg"), ("RGBA", "png"), ("P", "gif")):
            image.convert(mode).save(tmp_path / f"{mode}.{suffix}")
        turned = Image.Exif()
        turned[274] = 6  # EXIF: the camera was rotated
        image.transpose(Image.Transpose.ROTATE_90).save(tmp_path / "turned.png", exif=turned)
    stream = io.TextIOWrapper(io.BytesIO(cat.read_bytes()))
    monkeypatch.setattr(sys, "stdin", stream)
    unusual = sorted(map(str, tmp_path.iterdir()))
    assert cli.main(["classify", "-", *unusual, "--json", "--top", "5"]) == 0
    found = {each["image"]: each["top"] for each in json.loads(capsys.readouterr().out)}
    assert list(found) == ["-", *unusual]
    whole = found["-"]
    assert whole[0]["name"].startswith("kit fox")
    for name in ("RGBA.png", "turned.png"):
        same = found[str(tmp_path / name)]
        assert [g["probability"] for g in same] == [g["probability"] for g in whole]
    assert all(np.isfinite(g["probability"]) for top in found.values() for g in top)


def test_a_missing_file(mirror: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert mirror.is_dir()
    assert cli.main(["classify", "nowhere.jpg"]) == 1
    assert capsys.readouterr().err == (
        "ripen: nowhere.jpg: cannot be read: No such file or directory\n"
    )


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["x.jpg", "--net", "cafenet"], "no net 'cafenet' in models/; did you mean 'caffenet'?"),
        (["x.jpg", "--net", "lenet"], "net 'lenet' has no class names"),
    ],
)
def test_usage_errors(
    arguments: list[str], message: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["classify", *arguments]) == 2
    assert capsys.readouterr().err.startswith(f"ripen: {message}")


def test_top_must_be_a_count(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        cli.main(["classify", "x.jpg", "--top", "0"])
    assert "argument --top: '0'. Allowed: 1 or more" in capsys.readouterr().err


def test_a_folder_without_images(
    mirror: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert mirror.is_dir()
    assert cli.main(["classify", str(tmp_path)]) == 2
    assert "the folder has no images" in capsys.readouterr().err
