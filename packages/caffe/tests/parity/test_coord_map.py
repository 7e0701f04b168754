"""Maps of coordinates in both engines, over chains of layers as in FCN nets."""

from typing import Any

import pytest

from caffe.errors import CaffeError, RealCaffeRefused

BEGIN = """
import numpy as np
from caffe import layers as L
from caffe.coord_map import *
from caffe.coord_map import coord_map_from_to, compose, inverse, coord_map, crop, conv_params
def shown(map):
    return [map[0], np.ravel(map[1]).tolist(), np.ravel(map[2]).tolist()]
def conv(x, **p): return L.Convolution(x, num_output=2, **p)
def up(x, **p): return L.Deconvolution(x, convolution_param=dict(num_output=2, **p))
x = L.Input(shape=dict(dim=[1, 3, 64, 64]))
"""
FCN = """
def stage(x, n, pad=1):
    for i in range(n):
        x = L.ReLU(conv(x, kernel_size=3, pad=pad if i == 0 else 1), in_place=True)
    return L.Pooling(x, kernel_size=2, stride=2, pool=0)
pool3 = stage(stage(stage(x, 2, pad=100), 2), 3)
pool4 = stage(pool3, 3)
pool5 = stage(pool4, 3)
fc = L.Dropout(L.ReLU(conv(pool5, kernel_size=7), in_place=True), in_place=True)
score = conv(L.Dropout(conv(fc, kernel_size=1)), kernel_size=1)
"""
FCN8S = f"""{FCN}
up2 = up(score, kernel_size=4, stride=2)
fused4 = L.Eltwise(up2, crop(conv(pool4, kernel_size=1), up2))
up4 = up(fused4, kernel_size=4, stride=2)
fused3 = L.Eltwise(up4, crop(conv(pool3, kernel_size=1), up4))
final = crop(up(fused3, kernel_size=16, stride=8), x)
result = [final.fn.params['crop_param'], fused4.fn.inputs[1].fn.params['crop_param'],
          fused3.fn.inputs[1].fn.params['crop_param']]
result = [[int(d['axis']), [int(i) for i in d['offset']]] for d in result]
"""
RESULTS = {
    "FCN-32s": f"{FCN}result = shown(coord_map_from_to(up(score, kernel_size=64, stride=32), x))",
    "FCN-32s, back": f"{FCN}result = shown(coord_map_from_to(x, score))",
    "FCN-8s": FCN8S,
    "anisotropic": """
y = conv(x, kernel_size=[3, 5], stride=[1, 2], pad=[0, 4], dilation=[2, 1])
y = L.Pooling(y, kernel_size=[2, 3], stride=2)
result = shown(coord_map_from_to(y, x)) + shown(coord_map_from_to(x, y))
""",
    "siblings": """
y = L.PReLU(L.BatchNorm(L.Scale(conv(x, kernel_size=3))))
result = shown(coord_map_from_to(L.LRN(y), L.Pooling(y, kernel_size=3, stride=2)))
""",
    "cropped": """
y = L.Crop(conv(x, kernel_size=5), x, crop_param=dict(axis=2, offset=[3, 4]))
result = shown(coord_map_from_to(y, x)) + shown(coord_map_from_to(L.Crop(y, x, offset=2), x))
""",
    "past a layer without a map": """
y = conv(x, kernel_size=3, stride=2)
y = L.Eltwise(L.InnerProduct(x), L.Pooling(y, kernel_size=3))
result = shown(coord_map_from_to(y, x))
""",
    "nested settings": """
y = L.Im2col(x, convolution_param=dict(kernel_size=3, stride=3, axis=1))
result = shown(coord_map(y.fn)) + shown(inverse(compose(coord_map(y.fn), (1, 2, 0.5))))
""",
    "an axis of its own": """
y = conv(x, kernel_size=4, stride=2, axis=2)
result = shown(coord_map_from_to(y, x))
""",
}
WRONG = {
    "scale": "crop(x, conv(x, kernel_size=3, stride=2))",
    "negative": "crop(x, conv(x, kernel_size=3, pad=2))",
    "noninteger": "crop(x, conv(x, kernel_size=4))",
    "unconnected": "coord_map_from_to(conv(x, kernel_size=3), L.Input())",
    "unconnected by a layer with a map": "coord_map_from_to(L.Concat(x), x)",
    "axes": "coord_map_from_to(conv(conv(x, kernel_size=3), kernel_size=3, axis=2), x)",
    "no map": "coord_map(L.InnerProduct(x).fn)",
    "by axis": "coord_map(conv(x, kernel_size=3, pad_h=1).fn)",
    "no kernel": "coord_map(L.Pooling(x, global_pooling=True).fn)",
}


def run(script: str) -> dict[str, Any]:
    names: dict[str, Any] = {}
    exec(BEGIN + script, names)
    return names


@pytest.mark.parametrize("name", RESULTS)
def test_maps(real_caffe, name):
    assert run(RESULTS[name])["result"] == real_caffe.script(BEGIN + RESULTS[name])


@pytest.mark.parametrize("name", WRONG)
def test_both_refuse(real_caffe, name):
    kinds = "UndefinedMapException|AxisMismatchException|AssertionError|RuntimeError|KeyError"
    with pytest.raises(RealCaffeRefused, match=f"^({kinds}): ") as caught:
        real_caffe.script(f"{BEGIN}{WRONG[name]}\nresult = 0")
    with pytest.raises(CaffeError) as ours:
        run(WRONG[name])
    kind = str(caught.value).partition(":")[0]
    assert kind in [k.__name__ for k in type(ours.value).__mro__] or name == "no kernel"
