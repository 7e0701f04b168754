"""The pipeline's nets on a device: what they read and write crosses where it must.

The stand-in of `caffe`'s own tests refuses tensors of both places, as a GPU does; where there is
one, it takes its place.
"""

from collections.abc import Iterator
from contextlib import nullcontext
from importlib import import_module
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

import caffe
from caffe.device import Device, current, use
from caffe.errors import MemoryExceeded
from ripen.core.errors import ConfigError, DeviceError
from ripen.data.decode import File
from ripen.learn import complete as completed
from ripen.learn import fitting
from ripen.nets import device, frozen
from ripen.settings.compose import as_mapping, check
from ripen.settings.schema import Competition, Images
from tests.ripen.images import cats_and_dogs
from tests.ripen.learn import fits, tiny

stand_in: Any = import_module("tests.caffe.stand_in")  # of the other distribution
IMAGES = Images(labels={}, min_side=8, max_broken=0.0, crop=0.8, batch_size=5, precision="float32")
HEAD: dict[str, Any] = {
    "estimator": "head",
    "inputs": ["tiny"],
    "batch_size": 8,
    "check_interval": 5,
    "solver": {"base_lr": 0.05, "lr_policy": "fixed", "momentum": 0.9, "max_iter": 10},
}


@pytest.fixture(autouse=True, scope="module")
def composed() -> None:
    """Compose the settings while the working folder has the nets that they name."""
    for name in ("cats_vs_dogs", "avocado", "digits"):
        fits.competition(f"competitions=[{name}]")


@pytest.fixture(autouse=True)
def zoo(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    tiny.install(monkeypatch, dropout=0)  # devices draw other numbers
    monkeypatch.setattr(device, "workers", lambda: 0)


def on(name: str) -> Any:
    """Compute on a device of the tests within the block."""
    used = stand_in.device(name)
    use(used)
    return stand_in.Factories() if used is stand_in.STAND_IN else nullcontext()


@pytest.fixture(autouse=True)
def back() -> Iterator[None]:
    yield
    use(None)


def both(compute: Any) -> list[Any]:
    """Return what a function gives on the processor, and on the device."""
    found = []
    for name in ("cpu", stand_in.OTHER):
        with on(name):
            found.append(compute(name))
        use(None)
    return found


def test_features_are_those_of_the_processor() -> None:
    files = [File(name, lambda c=c: c) for name, c in cats_and_dogs(4, 3).items()]  # type: ignore[misc]
    section = tiny.FEATURES | {"views": "mirror", "sides": [16, 20]}
    settings = frozen.settings(section, "features")
    cpu, other = both(lambda _: settings.extract(files, IMAGES, 1).array())
    assert cpu.shape == (11, 4, tiny.MAPS)
    np.testing.assert_allclose(other, cpu, rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("section", [HEAD, tiny.FINETUNED], ids=["head", "finetune_images"])
def test_a_training_is_that_of_the_processor(section: dict[str, Any]) -> None:
    def outputs(name: str) -> Any:
        if section is HEAD:
            rng = np.random.default_rng(0)
            x = rng.normal(0, 1, (24, tiny.MAPS)).astype(np.float32)
            taken: Any = fits.features_input(x)
            targets, parts = ["no", "yes"] * 12, ["train"] * 20 + ["test"] * 4
            index = fits.index_of(
                "binary", targets, [k // 2 % 2 for k in range(20)] + [-1] * 4, parts
            )
        else:
            taken, targets, parts = fits.images_input(6, 3)
            folds = [k // 2 % 2 if part == "train" else -1 for k, part in enumerate(parts)]
            index = fits.index_of("binary", targets, folds, parts, ["cat", "dog"])
        tables, _ = fitting.run(fits.fit_of(section, index, taken, Path(name), seed=3))
        return np.concatenate([table[["p0", "p1"]].to_numpy() for table in tables])

    cpu, other = both(outputs)
    assert np.ptp(cpu) > 0.01
    np.testing.assert_allclose(other, cpu, rtol=1e-3, atol=1e-4)


def settings_of(name: str, **values: Any) -> Competition:
    """Return a competition's settings with some of them replaced, unresolved."""
    found = as_mapping(fits.competition(f"competitions=[{name}]")) | {"device": "auto"}
    if found["images"] is not None:
        found["images"]["batch_size"] = values.pop("batch_size", None)
    return check(found | values, Competition, "test")


@pytest.mark.parametrize(
    ("found", "given", "device", "batch"),
    [
        (True, {}, "cuda", 128),
        (False, {}, "cpu", 2),
        (True, {"device": "cpu"}, "cpu", 2),
        (True, {"engine": "real"}, "cpu", 2),
        (True, {"reproducibility": "portable"}, "cpu", 2),
        (False, {"device": "cuda:1"}, "cuda:1", 128),
        (True, {"batch_size": 7}, "cuda", 7),
    ],
)
def test_auto_is_resolved_when_settings_are_composed(
    found: bool, given: dict[str, Any], device: str, batch: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(completed, "_available", lambda: "cuda" if found else "cpu")
    resolved = completed.on_a_device(settings_of("cats_vs_dogs", **given))
    assert resolved.images is not None
    assert (resolved.device, resolved.images.batch_size) == (device, batch)


def test_the_default_competitions_stay_on_the_processor(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(completed, "_available", lambda: "cuda")
    for name in ("avocado", "digits"):
        assert completed.on_a_device(settings_of(name)).device == "cpu"


@pytest.mark.parametrize(
    ("given", "message"),
    [
        ({"device": "gpu"}, r"device: 'gpu' is no device; did you mean 'cpu'\?"),
        ({"device": "cuda:x"}, r"'cuda:x' is no device; did you mean 'cuda:0'\?"),
        (
            {"device": "cuda", "reproducibility": "portable"},
            "device 'cuda' does not give the same bytes.*Set device to cpu",
        ),
        ({"device": "cuda", "engine": "real"}, "engine 'real' has no device 'cuda': set it to cpu"),
    ],
)
def test_an_impossible_device_is_refused(given: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigError, match=message):
        settings_of("cats_vs_dogs", **given)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU")
def test_a_missing_gpu_is_one_line() -> None:
    with (
        pytest.raises(DeviceError, match=r"^device 'cuda': .*no CUDA.*device=cpu") as caught,
        device.on("cuda"),
    ):
        pass
    assert "\n" not in str(caught.value)
    assert current() is None


@pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")
def test_a_number_that_is_not_there_is_one_line() -> None:
    wanted = r"device 'cuda:99': .* torch finds \d CUDA devices"
    with pytest.raises(DeviceError, match=wanted), device.on("cuda:99"):
        pass


def broken_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let `on` find a GPU that is the processor."""
    monkeypatch.setattr(caffe, "set_device", lambda number: None)
    monkeypatch.setattr(caffe, "set_mode_gpu", lambda: use(Device("cpu", lambda x: x, lambda x: x)))


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (MemoryExceeded("too little. Try a batch of 8", 8), "Try a batch of 8: images.batch_size"),
        (RuntimeError("CUDA error: an illegal memory access\nmore"), "failed: CUDA error: an ill"),
    ],
)
def test_a_failure_on_the_way_is_one_line(
    error: Exception, message: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    broken_gpu(monkeypatch)
    with pytest.raises(DeviceError, match=message) as caught, device.on("cuda"):
        raise error
    assert "\n" not in str(caught.value)
    assert current() is None


def test_waits_name_what_is_slower() -> None:
    waits = device.Waits(decoder=3, net=1)
    assert str(waits).startswith("the net waits for the decoder: 75% of 4 s")
    assert str(device.Waits(0.1, 9.9)).startswith("the decoder waits for the net: 1% of 10 s")
    assert [*waits.drawn([1, 2])] == [1, 2]


def test_pinned_memory_is_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    done: list[Any] = []
    cudart = SimpleNamespace(
        cudaHostRegister=lambda *given: done.append(given),
        cudaHostUnregister=lambda place: done.append(place),
    )
    monkeypatch.setattr(torch.cuda, "cudart", lambda: cudart)
    array = np.zeros(3, np.float32)
    assert device.pin(array)() is None
    use(Device("cuda:0", lambda x: x, lambda x: x))
    device.pin(array)()
    assert done == [(array.ctypes.data, 12, 0), array.ctypes.data]
