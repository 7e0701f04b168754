"""A net of one convolution in the zoo and in `models/` of the working folder."""

from functools import partial
from pathlib import Path
from typing import Any

import pytest

import caffe
from caffe import NetSpec
from caffe import layers as L
from caffe.net_spec import Top
from ripen.nets.definition import (
    LEARNT,
    XAVIER,
    Definition,
    Source,
    average_pool,
    deploy,
    loss_and_accuracy,
    softmax,
    train_val,
)
from ripen.nets.zoo import DEFINITIONS

FILLED: dict[str, Any] = {"param": LEARNT, "weight_filler": XAVIER}
CLASSES, MAPS = 5, 6
FEATURES = {
    "extract": "frozen",
    "net": "tiny",
    "layers": ["relu"],
    "pools": ["AVE"],
    "sides": [16],
    "views": "whole",
}
"""A section of `features`."""
README = """---
name: Tiny
license: unrestricted
caffemodel: tiny.caffemodel
weights: {format: caffemodel}
input: {height: 32, width: 32, channel_order: BGR, raw_scale: 1.0, mean: [0.5, 0.5, 0.5]}
---
"""
FINETUNED: dict[str, Any] = {
    "estimator": "finetune_images",
    "inputs": ["images"],
    "layers": "all",
    "pretrained": True,
    "rate": 1.0,
    "finetune": {"from": "tiny", "replace": ["ip"], "freeze_until": "pool", "lr_mult_new": 10.0},
    "folds": 1,
    "side": 16,
    "batch_size": 4,
    "augment": {
        "mirror": True,
        "crop": "area",
        "min_area": 0.5,
        "max_aspect": 1.33,
        "brightness": 0.2,
        "contrast": 0.2,
        "saturation": 0.2,
    },
    "views": "mirror",
    "class_balance": False,
    "check_interval": 4,
    "check_images": 5,
    "solver": {
        "base_lr": 0.05,
        "lr_policy": "poly",
        "power": 1.0,
        "momentum": 0.9,
        "weight_decay": 2.0e-4,
        "iter_size": 2,
        "max_iter": 10,
    },
}
"""A section of `models` that trains it further."""


def body(n: NetSpec, dropout: float) -> Top:
    n.conv = L.Convolution(n.data, num_output=MAPS, kernel_size=5, stride=2, **FILLED)
    n.relu = L.ReLU(n.conv, in_place=True)
    n.pool = average_pool(n.relu, global_pooling=True)
    n.drop = L.Dropout(n.pool, dropout_ratio=dropout, in_place=True)
    n.ip = L.InnerProduct(n.drop, num_output=CLASSES, **FILLED)
    return n.ip


def install(monkeypatch: pytest.MonkeyPatch, dropout: float = 0.2) -> Path:
    """Add the net to the zoo, and its contract and weights to the working folder."""
    source, layers = Source({"source": "train"}, {"source": "test"}), partial(body, dropout=dropout)
    definition = Definition(
        partial(deploy, "Tiny", (1, 3, 32, 32), layers, softmax),
        partial(train_val, "Tiny", source, layers, loss_and_accuracy),
    )
    monkeypatch.setattr(DEFINITIONS, "_entries", {**DEFINITIONS, "tiny": definition})
    models = Path("models")
    if models.is_symlink():
        models.unlink()
    (models / "tiny").mkdir(parents=True, exist_ok=True)
    (models / "tiny/readme.md").write_text(README)
    caffe.set_random_seed(1)
    caffe.Net(definition.deploy(), caffe.TEST).save("models/tiny/tiny.caffemodel")
    return models / "tiny/tiny.caffemodel"
