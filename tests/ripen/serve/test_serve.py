"""`ripen serve`: the models' own predictions, and requests of its own page only."""

import base64
import io
import json
import re
import socket
import threading
import time
import urllib.error
import urllib.request
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import uvicorn
from PIL import Image, ImageDraw

import caffe
from ripen import cli
from ripen.competition import predictions
from ripen.competition.tasks import TASKS
from ripen.core.errors import DataError
from ripen.data.encoders import columns
from ripen.data.image_input import Input, values
from ripen.learn import fitting, seen
from ripen.learn.models import served
from ripen.learn.target_transform import ONE
from ripen.nets import frozen as frozen_nets
from ripen.nets.classify import Classifier
from ripen.serve import app, image_models, offer
from ripen.serve.answers import Served
from ripen.serve.extractors import Extractor, OfFeatures
from ripen.serve.image_models import Pixels
from ripen.serve.mixture import Mixture
from ripen.serve.rows import Table, question
from ripen.settings.schema import Images
from tests.ripen import frozen
from tests.ripen.browser import needs_chromium, opened, screenshot
from tests.ripen.images import encoded, make_image
from tests.ripen.learn import fits

ROOT = Path(__file__).parents[3]
JSON = {"Content-Type": "application/json"}
EVIL = "<img src=x onerror=document.title=1>"


def fitted(folder: Path, task: str, frame: pd.DataFrame, scale: float | None = None) -> Any:
    """Fit a linear model to 50 of 60 rows; return what serves it, and its outputs of the others."""
    signal = frame[frame.columns[0]].to_numpy()
    targets = [*fits.targets_of(task, signal[:50]), *[""] * 10]
    parts = ["train"] * 50 + ["test"] * 10
    index = fits.index_of(task, targets, [*np.arange(50) % 2, *[-1] * 10], parts)
    taken = fits.table_input(frame, scale)
    name = "ridge" if task == "regression" else "logistic_regression"
    fit = fits.fit_of({"estimator": name}, index, taken, folder / "fit")
    outputs = predictions.outputs(fitting.run(fit)[0][-1])
    (model,) = fitting.for_test_rows(fit)
    saved = folder / "saved"
    saved.mkdir()
    model.save(saved)
    kinds, training = columns.kinds(frame), frame[:50]
    fields = [question(training[each], kinds[each]) for each in frame]
    names = index.names or ["price"]
    mixture = Mixture({"linear": [served.read(saved)]})
    return Table(mixture, training, index.task, names, fields, EVIL, "A test."), outputs


def typed() -> pd.DataFrame:
    """Return 60 rows with a column of each type, some values blank."""
    frame, _ = fits.table(60)
    frame["width"] = frame["width"].round(3)
    rng = np.random.default_rng(1)
    sizes = pd.CategoricalDtype(["S", "M", "L"], ordered=True)
    frame["size"] = pd.Series(rng.choice(["S", "M", "L"], 60)).astype(sizes)
    frame["ripe"] = pd.Series(rng.random(60) < 0.5).astype("boolean")
    frame["picked"] = pd.to_datetime("2026-01-01") + pd.to_timedelta(np.arange(60), "D")
    frame["colour"] = frame["colour"].replace("", None).astype("category")
    return frame


def as_typed_in(row: "pd.Series[Any]") -> dict[str, Any]:
    """Return a row as a form sends it: text, "" where blank."""
    blank = row.isna()
    return {
        name: "" if blank[name] else str(value).lower() if name == "ripe" else str(value)
        for name, value in row.items()
    }


@contextmanager
def serving(model: Served) -> Iterator[str]:
    """Serve a model's page as `ripen serve` does; yield its address."""
    with socket.socket() as listening:
        listening.bind((app.LOCAL, 0))
        config = uvicorn.Config(app.app(model), log_level="error", lifespan="off", ws="none")
        server = uvicorn.Server(config)
        given = {"sockets": [listening]}
        thread = threading.Thread(target=server.run, kwargs=given, daemon=True)
        thread.start()
        end = time.monotonic() + 300
        while not server.started and time.monotonic() < end:
            time.sleep(0.01)
        try:
            yield f"http://{app.LOCAL}:{listening.getsockname()[1]}"
        finally:
            server.should_exit = True
            thread.join(300)


def ask(
    address: str, body: bytes | None = None, headers: Mapping[str, str] = JSON
) -> tuple[int, Any, Mapping[str, str]]:
    """Return the status of an answer, its content and its headers."""
    request = urllib.request.Request(address, body, dict(headers))
    try:
        with urllib.request.urlopen(request, timeout=300) as got:
            content = got.read()
            is_json = got.headers["Content-Type"] == "application/json"
            return got.status, json.loads(content) if is_json else content, got.headers
    except urllib.error.HTTPError as error:
        with error:
            return error.code, json.loads(error.read()), error.headers


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_a_row_gets_the_answer_of_the_pipeline(tmp_path: Path, task: str) -> None:
    frame = typed()
    table, outputs = fitted(tmp_path, task, frame)
    for row, expected in zip(range(50, 60), outputs, strict=True):
        answer = table.answer(as_typed_in(frame.iloc[row]))
        found = dict(answer.top or answer.values)
        # One row is multiplied by another kernel than ten, and a probability has 24 bits.
        told = [found[name] for name in table.names]
        np.testing.assert_allclose(told, expected, rtol=1e-6, atol=2.0**-22)
        assert [p for _, p in answer.top] == sorted((p for _, p in answer.top), reverse=True)


def test_a_form_asks_for_each_column_in_its_type(tmp_path: Path) -> None:
    frame = typed()
    table, _ = fitted(tmp_path, "binary", frame)
    asked = {each.name: each for each in table.fields}
    kinds = ["number", "number", "category", "ordered", "boolean", "date"]
    assert [each.kind for each in table.fields] == kinds
    width = frame["width"][:50]
    assert (asked["width"].least, asked["width"].most) == (width.min(), width.max())
    assert float(asked["width"].usual) == pytest.approx(width.median(), rel=1e-5)
    assert asked["colour"].levels == ("blue", "green", "red")
    assert asked["size"].levels == ("S", "M", "L")
    assert asked["ripe"].levels == ("false", "true")
    assert asked["picked"].usual == "2026-01-26 00:00:00"
    # What the form proposes can be sent as it stands, and so can a blank form.
    for row in ({name: each.usual for name, each in asked.items()}, {}):
        assert not table.answer(row).notes
    (note,) = table.answer({"width": 99}).notes
    assert note.startswith("width is 99: outside of what the model has learnt from, ")


@pytest.mark.parametrize(
    ("row", "message"),
    [
        ({"wide": 1}, "column 'wide' is unknown. Known: width, height"),
        ({"width": "broad"}, "column 'width': 'broad' is not a number"),
        ({"width": "inf"}, "column 'width': 'inf' is not a number"),
        ({"width": [1]}, "column 'width': neither a number nor a text"),
        ({"colour": "pink"}, "column 'colour': 'pink' is none of: blue, green, red"),
        ({"picked": "soon"}, "column 'picked': 'soon' is not a date"),
    ],
)
def test_a_wrong_value_is_one_line(row: dict[str, Any], message: str, linear: Table) -> None:
    with pytest.raises(DataError, match=f"^{message}"):
        linear.answer(row)


@pytest.fixture(scope="module")
def linear(tmp_path_factory: pytest.TempPathFactory) -> Table:
    table, _ = fitted(tmp_path_factory.mktemp("linear"), "binary", typed())
    return table  # type: ignore[no-any-return]


def test_the_server_answers_its_page_alone(linear: Table) -> None:
    with serving(linear) as address:
        status, page, headers = ask(address)
        assert (status, page[:15]) == (200, b"<!doctype html>")
        for name, value in app.HEADERS.items():
            assert headers[name] == value
        assert "'unsafe" not in headers["Content-Security-Policy"]
        status, about, _ = ask(f"{address}/api/model")
        assert (about["title"], about["takes"]) == (EVIL, "row")
        assert [each["name"] for each in about["fields"]] == list(typed())
        status, answer, _ = ask(f"{address}/api/predict", b'{"width": 5}')
        assert status == 200
        assert sum(each["probability"] for each in answer["top"]) == pytest.approx(1)
        assert answer["seconds"] > 0
        wrong: list[tuple[bytes | None, dict[str, str], int, str]] = [
            (b"{}", {"Content-Type": "text/plain"}, 415, "needed is application/json"),
            (b"[1]", JSON, 400, "one JSON object"),
            (b"[" * 100_000, JSON, 400, "one JSON object"),
            (b'{"wide": 1}', JSON, 400, "column 'wide' is unknown"),
            (b" " * (2**20 + 1), JSON, 413, "larger than 1 MiB"),
            (None, {}, 405, "Method Not Allowed"),
            (b"{}", JSON | {"Host": "evil.example"}, 421, "another name"),
            (b"{}", JSON | {"Host": "127.0.0.1.evil.example:80"}, 421, "another name"),
        ]
        for body, sent, code, message in wrong:
            status, found, headers = ask(f"{address}/api/predict", body, sent)
            assert (status, message in found["error"]) == (code, True), found
            assert headers["X-Content-Type-Options"] == "nosniff"


@pytest.mark.parametrize(
    ("named", "host", "ours"),
    [
        ("127.0.0.1:8000", "127.0.0.1", True),
        ("[::1]:8000", "127.0.0.1", True),
        ("ripen.localhost:8000", "127.0.0.1", True),
        ("192.168.1.7:8000", "0.0.0.0", True),
        ("My-Machine:8000", "my-machine", True),
        ("my-machine:8000", "127.0.0.1", False),
        ("localhost.evil.example", "127.0.0.1", False),
        ("", "127.0.0.1", False),
        ("[", "127.0.0.1", False),
    ],
)
def test_a_host_of_another_name_is_refused(named: str, host: str, ours: bool) -> None:
    assert app.is_ours(named, host) == ours


@pytest.fixture
def net(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> image_models.Net:
    """SqueezeNet with random weights, as a page serves it."""
    monkeypatch.chdir(tmp_path)
    frozen.with_weights("squeezenet")
    return image_models.of_the_zoo("squeezenet")


def test_an_image_gets_the_answer_of_classify(net: image_models.Net) -> None:
    image = make_image(3)
    expected = Classifier("squeezenet").classify(image, 5)
    with serving(net) as address:
        asked = f"{address}/api/predict", encoded(image, "PNG"), {"Content-Type": "image/png"}
        status, answer, _ = ask(*asked)
        assert status == 200
        assert [each["name"] for each in answer["top"]] == [each.label.name for each in expected]
        found = [each["probability"] for each in answer["top"]]
        np.testing.assert_allclose(found, [each.probability for each in expected], rtol=1e-4)
        for name in ("seen", "saliency"):
            content = base64.b64decode(answer[name].removeprefix("data:image/png;base64,"))
            assert Image.open(io.BytesIO(content)).size == (227, 227)
        status, answer, _ = ask(asked[0], b"GIF89a, and no more", asked[2])
        assert (status, answer["error"][:10]) == (400, "the image:")
        assert ask(asked[0], asked[1], JSON)[0] == 415


def test_a_net_with_a_python_layer_is_refused(net: image_models.Net) -> None:
    home = Path("models/evil")
    home.mkdir()
    (home / "readme.md").write_text(Path("models/squeezenet/readme.md").read_text())
    (home / "squeezenet.caffemodel").write_bytes(b"")
    (home / "deploy.prototxt").write_text(
        'layer { name: "data" type: "Input" top: "data" input_param { shape { dim: 1 } } }\n'
        'layer { name: "os" type: "Python" bottom: "data" top: "x" '
        'python_param { module: "os" layer: "system" } }\n'
    )
    with pytest.raises(DataError, match="Python layer"):
        offer.served("evil")


def test_pixels_of_an_image_are_the_columns_of_a_row(tmp_path: Path) -> None:
    rng = np.random.default_rng(0)
    pixels = rng.integers(0, 17, (60, 6)).astype(np.float64)
    frame = pd.DataFrame(pixels, columns=[f"pixel_{place}" for place in range(6)])
    table, outputs = fitted(tmp_path, "binary", frame, scale=16.0)
    model = Pixels(table, Input(height=2, width=3, channel_order="grey", raw_scale=16.0))
    row = frame.iloc[52].to_numpy().reshape(2, 3)
    image = Image.fromarray(np.rint(row / 16 * 255).astype(np.uint8))
    answer = model.answer(encoded(image, "PNG"))
    found = dict(answer.top)
    np.testing.assert_allclose([found[name] for name in table.names], outputs[2], atol=0.02)
    assert answer.saliency is None


@pytest.mark.parametrize("task", ["binary", "regression"])
def test_an_image_goes_through_its_features_to_the_answer_of_the_pipeline(
    tmp_path: Path, task: str
) -> None:
    images, classes, parts = fits.images_input(6, 4)
    settings = Images(labels={"read": "name"}, min_side=1, max_broken=0, crop=0.9,
                      batch_size=2, precision="float32")  # fmt: skip
    colours = frozen_nets.OfColours(bins=2)
    values = colours.extract(images.files, settings, 1).array().mean(axis=1, dtype=np.float32)
    targets = [str(float(name == "dog")) if task == "regression" else name for name in classes]
    names = () if task == "regression" else ("cat", "dog")
    index = fits.index_of(task, targets, [0, 1] * 6 + [-1] * 4, parts, names)
    name = "ridge" if task == "regression" else "logistic_regression"
    fit = fits.fit_of({"estimator": name}, index, fits.features_input(values), tmp_path / "fit")
    outputs = predictions.outputs(fitting.run(fit)[0][-1])
    (model,) = fitting.for_test_rows(fit)
    (tmp_path / "saved").mkdir()
    model.save(tmp_path / "saved")
    served_ = OfFeatures(
        Mixture({"linear": [served.read(tmp_path / "saved")]}),
        {"linear": ["colours"]},
        {"colours": Extractor(colours, settings, ())},
        index.task,
        names or ["weight"],
        "pets",
        "A test.",
    )
    for file, expected in zip(images.files[-4:], outputs, strict=True):
        answer = served_.answer(file.read())
        found = dict(answer.top or answer.values)
        np.testing.assert_allclose([found[each] for each in served_.names], expected, rtol=1e-5)
    with pytest.raises(DataError, match="^the image: "):
        served_.answer(b"GIF89a")


@pytest.mark.parametrize(
    ("task", "last", "unit"),
    [("multilabel", "Sigmoid", ONE), ("regression", "Power", ([10.0, 0.0], [2.0, 0.5]))],
)
def test_a_net_says_several_labels_or_numbers(
    tmp_path: Path, task: str, last: str, unit: Any
) -> None:
    deploy, weights = tmp_path / "deploy.prototxt", tmp_path / "model.caffemodel"
    deploy.write_text(
        'layer { name: "data" type: "Input" top: "data" '
        "input_param { shape { dim: 1 dim: 3 dim: 4 dim: 4 } } }\n"
        'layer { name: "scores" type: "InnerProduct" bottom: "data" top: "scores" '
        'inner_product_param { num_output: 2 weight_filler { type: "xavier" } } }\n'
        f'layer {{ name: "prob" type: "{last}" bottom: "scores" top: "prob" }}\n'
    )
    caffe.set_random_seed(3)
    net = caffe.Net(str(deploy), caffe.TEST)
    net.save(str(weights))
    wanted = Input(height=4, width=4, channel_order="BGR", raw_scale=1.0)
    seen.write(tmp_path, deploy, weights, None, wanted, unit)
    image = make_image(4, 8, 8)
    expected = net.forward(data=values(image, wanted)[np.newaxis])["prob"][0]
    expected = expected * np.asarray(unit[1]) + np.asarray(unit[0])
    model = image_models.trained(tmp_path, ["wide", "tall"], "plums", "A test.", TASKS[task])
    answer = model.answer(encoded(image, "PNG"))
    found = dict(answer.top or answer.values)
    np.testing.assert_allclose([found["wide"], found["tall"]], expected, rtol=1e-5)
    assert bool(answer.values) == (task == "regression")


@pytest.mark.parametrize(
    ("words", "code", "message"),
    [
        (["avocato"], 2, "no competition or net 'avocato'; did you mean 'avocado'?"),
        (["avocado"], 1, "avocado is not trained here (data/avocado/inputs/prepared/index.csv: no "
         "such file). Run: ripen run 'competitions=[avocado]'"),
        (["squeezenet", "--model", "net"], 2, "--model is of competitions, and 'squeezenet' is"),
        (["--host", "192.0.2.1"], 2, "192.0.2.1, port 8000, is not available: "),
    ],
)  # fmt: skip
def test_what_cannot_be_served_is_one_line(
    words: list[str],
    code: int,
    message: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    for name in ("conf", "models"):
        (tmp_path / name).symlink_to(ROOT / name)
    port = [] if "--host" in words else ["--port", str(free_port())]
    assert cli.main(["serve", *words, *port]) == code
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"ripen: {message}")


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({"full": ["images"]}, "it: 'blend' uses 'full', which has a net for each fold"),
        ({"joined": ["tiny", "table"]}, "it: 'blend' takes an image and the columns beside it"),
        ({"head": ["tiny"], "columns": ["table"]}, "it: 'blend' takes an image and the columns"),
    ],
)
def test_a_page_asks_for_an_image_or_a_row(inputs: dict[str, list[str]], message: str) -> None:
    with pytest.raises(DataError, match=re.escape(message)):
        offer.check_askable("it", "blend", inputs)
    offer.check_askable("it", "blend", {"a": ["table"], "b": ["table"]})
    offer.check_askable("it", "blend", {"a": ["tiny"], "b": ["tiny", "wide"]})


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind((app.LOCAL, 0))
        return int(probe.getsockname()[1])


def test_a_port_that_is_taken_is_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    with socket.socket() as other:
        other.bind((app.LOCAL, 0))
        other.listen()
        port = other.getsockname()[1]
        assert cli.main(["serve", "--port", str(port)]) == 2
    said = f"port {port}, is not available: address already in use. If ripen serve is not running"
    assert said in capsys.readouterr().err


def avocado() -> Image.Image:
    """Return a drawn avocado, cut in half."""
    image = Image.new("RGB", (480, 360), (225, 228, 215))
    draw = ImageDraw.Draw(image)
    turns = np.linspace(0, 2 * np.pi, 200)
    x, y = 0.72 * (1 - 0.28 * np.sin(turns)) * np.cos(turns), -1.1 * np.sin(turns)
    layers = [(145, (46, 66, 30)), (136, (120, 150, 60)), (126, (214, 220, 140)),
              (112, (232, 230, 165))]  # fmt: skip
    for size, colour in layers:
        draw.polygon([*zip(240 + size * x, 190 + size * y, strict=True)], fill=colour)
    draw.ellipse((190, 180, 290, 280), fill=(110, 66, 36))
    return image


@needs_chromium
@pytest.mark.slow
def test_a_browser_drops_an_image_and_fills_in_a_form(net: image_models.Net, linear: Table) -> None:
    Path("avocado.png").write_bytes(encoded(avocado(), "PNG"))
    with serving(net) as address, opened(address, 700) as (page, errors):
        # A drop, as a browser makes it: the page gets the file from the event.
        page.wait_for_selector("#drop:not([hidden])")
        content = base64.b64encode(Path("avocado.png").read_bytes()).decode()
        page.evaluate(
            """content => {
                const bytes = Uint8Array.from(atob(content), letter => letter.charCodeAt(0));
                const data = new DataTransfer();
                data.items.add(new File([bytes], "avocado.png", { type: "image/png" }));
                const event = new DragEvent("drop", { dataTransfer: data, bubbles: true });
                document.getElementById("drop").dispatchEvent(event);
            }""",
            content,
        )
        page.wait_for_selector("#answer:not([hidden])")
        assert page.locator("#rows tr").count() == 5
        assert page.locator("#saliency").evaluate("image => image.naturalWidth") == 227
        assert "ms" in page.inner_text("#time")
        page.set_input_files("#file", {"name": "x.png", "mimeType": "image/png", "buffer": b"x"})
        page.wait_for_selector("#error:not(:empty)")
        assert "is not an image" in page.inner_text("#error")
        # Nothing of the image before is left beside the error.
        assert page.is_visible("#invite")
        for gone in ("answer", "image", "time"):
            assert not page.is_visible(f"#{gone}")
        page.evaluate(
            """() => {
                const data = new DataTransfer();
                data.setData("text/plain", "https://example.org/cat.jpg");
                const event = new ClipboardEvent("paste", { clipboardData: data, bubbles: true });
                document.dispatchEvent(event);
            }"""
        )
        assert page.inner_text("#error").startswith("No file came with it.")
        assert errors == ["400 /api/predict"]
    with serving(linear) as address, opened(address, 390) as (page, errors):
        page.wait_for_selector("#form:not([hidden])")
        assert page.inner_text("h1") == EVIL  # as text: it is no element of the page
        assert page.title() == f"{EVIL} · ripen"
        page.fill("input[name=width]", "9")
        page.select_option("select[name=colour]", "red")
        page.click("button")
        page.wait_for_selector("#answer:not([hidden])")
        shown = page.locator("#rows td.number").all_inner_texts()
        row = {each.name: each.usual for each in linear.fields} | {"width": "9", "colour": "red"}
        assert shown == [f"{p:.1%}" for _, p in linear.answer(row).top]
        assert page.evaluate("document.documentElement.scrollWidth") <= 390
        assert errors == []
        screenshot(page, "serve-form")
