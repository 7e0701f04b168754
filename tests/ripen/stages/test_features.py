"""features: the numbers that the net computes, for every image at every run."""

from collections.abc import Callable
from itertools import product
from typing import Any

import h5py
import numpy as np
import pytest
from numpy.typing import NDArray
from PIL import Image

import caffe
from ripen.competition import index as indexes
from ripen.core.errors import ConfigError
from ripen.core.layout import Layout
from ripen.data import batches, decode, image_index, image_input
from ripen.data.decode import open_archives
from ripen.data.image_input import Input
from ripen.nets import frozen
from ripen.nets.zoo import DEFINITIONS
from ripen.settings.compose import load_competition
from ripen.stages import features
from tests.ripen.frozen import ALONE, with_weights

LAYOUT = Layout("cats_vs_dogs")
SIDE = 83
WANTED = Input(
    height=SIDE, width=SIDE, channel_order="BGR", raw_scale=255.0, mean=[104.0, 117.0, 123.0]
)
SMALLER = 67
SINGLE = "images.precision=float32"
Prepared = Callable[..., None]


@pytest.fixture
def prepared(cats: Callable[..., dict[str, Any]]) -> Prepared:
    """Return a function that prepares 8 images, and SqueezeNet with random weights."""

    def make(*overrides: str) -> None:
        sides = f"features.squeezenet.sides=[{SIDE}]"
        cats(*ALONE, sides, "images.batch_size=3", *overrides, each=3, tests=2)
        with_weights("squeezenet")

    return make


def run(*names: str) -> None:
    for name in names or ("squeezenet",):
        features.run("cats_vs_dogs", name)


def found(name: str = "squeezenet") -> NDArray[np.floating]:
    with h5py.File(LAYOUT.features / f"{name}.h5") as file:
        return np.asarray(file["features"])


def expected(mirror: bool, side: int = SIDE) -> NDArray[np.float32]:
    """Return the pooled maps of the whole net, computed image by image."""
    definition = DEFINITIONS["squeezenet"].deploy()
    (relu,) = (layer for layer in definition.layer if layer.name == "relu_conv_final")
    relu.top[0] = "after"
    definition.layer[-2].bottom[0] = "after"
    net = caffe.Net(definition, caffe.TEST, weights="models/squeezenet/squeezenet.caffemodel")
    net.blobs["data"].reshape(1, 3, side, side)
    rows = []
    index = indexes.read(LAYOUT, load_competition("cats_vs_dogs"))
    with open_archives(LAYOUT.raw) as archives:
        for file in image_index.files(index.rows, archives):
            image = decode.decode(file.read(), file.name)
            values = image_input.values(image, WANTED.sized(side, side), mirror=mirror)
            net.forward(data=values[np.newaxis])
            maps = [net.blobs[name].data[0] for name in ("fire9/concat", "conv_final")]
            pooled = [f(m, axis=(1, 2)) for m in maps for f in (np.mean, np.max)]
            rows.append(np.concatenate(pooled))
    return np.array(rows)


def test_features_of_both_views(prepared: Prepared) -> None:
    prepared(SINGLE)
    run()
    with h5py.File(LAYOUT.features / "squeezenet.h5") as file:
        assert file["row"][()].tolist() == list(range(8))
        assert dict(file.attrs)["views"] == "mirror"
    assert found().shape == (8, 2, 2 * 512 + 2 * 1000)
    for view, mirror in enumerate((False, True)):
        np.testing.assert_allclose(found()[:, view], expected(mirror), rtol=1e-4, atol=1e-4)


def test_views_of_one_size_follow_those_of_the_other(prepared: Prepared) -> None:
    prepared(SINGLE, f"features.squeezenet.sides=[{SIDE},{SMALLER}]")
    run()
    assert found().shape == (8, 4, 3024)
    for view, (side, mirror) in enumerate(product((SIDE, SMALLER), (False, True))):
        np.testing.assert_allclose(found()[:, view], expected(mirror, side), rtol=1e-4, atol=1e-4)


def test_half_precision_is_rounded_single_precision(prepared: Prepared) -> None:
    prepared()
    run()
    assert found().dtype == np.float16
    np.testing.assert_allclose(found()[:, 0], expected(False), rtol=1e-3, atol=1e-3)


def test_a_change_of_decoding_changes_what_is_written(
    prepared: Prepared, monkeypatch: pytest.MonkeyPatch
) -> None:
    prepared()
    names = "squeezenet", "histogram"
    run(*names)
    first = {path.name: path.read_bytes() for path in LAYOUT.features.iterdir()}
    run(*names)
    assert {path.name: path.read_bytes() for path in LAYOUT.features.iterdir()} == first

    plain = decode.decode

    def darker(*given: Any) -> Image.Image:
        return plain(*given).point(lambda value: value // 2)

    monkeypatch.setattr(batches, "decode", darker)
    monkeypatch.setattr(frozen, "decode", darker)
    run(*names)
    second = {path.name: path.read_bytes() for path in LAYOUT.features.iterdir()}
    assert second["squeezenet.h5"] != first["squeezenet.h5"]
    assert second["histogram.h5"] != first["histogram.h5"]


def test_broken_images_have_no_features(prepared: Prepared) -> None:
    prepared()
    file = LAYOUT.prepared / indexes.INDEX
    index = indexes.read(LAYOUT, load_competition("cats_vs_dogs")).rows
    index.loc[2, "problem"] = "is broken"
    index.to_csv(file, index=False)
    run()
    with h5py.File(LAYOUT.features / "squeezenet.h5") as features_file:
        assert features_file["row"][()].tolist() == [0, 1, *range(3, 8)]


def test_an_unknown_layer_suggests_a_known_one(prepared: Prepared) -> None:
    prepared("features.squeezenet.layers=[fire9/conca]")
    with pytest.raises(ConfigError, match="'FireNet' has no layer 'fire9/conca'; did you mean"):
        run()
    assert not LAYOUT.features.exists()
