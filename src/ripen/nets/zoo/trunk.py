"""A net without its end: what does not learn, and so need be run only once for each picture."""

from collections.abc import Sequence

from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, PoolingParameter
from ripen.core.errors import ConfigError
from ripen.settings.compose import nearest

POOLS = {"AVE": ("mean", PoolingParameter.AVE), "MAX": ("max", PoolingParameter.MAX)}


def trunk(
    net: NetParameter,
    layers: Sequence[str],
    pools: Sequence[str],
    side: int,
    prefix: str = "",
) -> NetParameter:
    """Return a deploy net that ends with some of its layers, each of their maps pooled whole.

    Parameters
    ----------
    net : NetParameter
        Is left as it is. Its first layer is its Input.
    layers : sequence of str
        What these give comes side by side, in this order, as the one output: shape (N, C, 1, 1).
    pools : sequence of str
        "AVE", "MAX": each map becomes that many numbers. What is pooled already stays as it is.
    side : int
        Height and width of the input, in pixels.
    prefix : str
        Goes before the names of all layers and blobs, so that two nets can be one.

    Raises
    ------
    ConfigError
        If there is no such layer.
    """
    names = [layer.name for layer in net.layer]
    for name in layers:
        if name not in names:
            raise ConfigError(
                f"features: net '{net.name}' has no layer '{name}'{nearest(name, names)}"
            )
    result = NetParameter(name=net.name)
    result.layer.extend(net.layer[: max(map(names.index, layers)) + 1])
    result.layer[0].input_param.shape[0].dim[2:] = (side, side)
    pooled = [
        top for name in layers for top in _pooled(result, result.layer[names.index(name)], pools)
    ]
    if len(pooled) > 1:
        result.layer.add(name="features", type="Concat", bottom=pooled, top=["features"])
    return prefixed(result, prefix)


def output(net: NetParameter) -> str:
    """Return the blob that a trunk ends with."""
    return str(net.layer[-1].top[0])


def prefixed(net: NetParameter, prefix: str) -> NetParameter:
    """Return a net with something before the names of its layers and blobs."""
    result = NetParameter()
    result.CopyFrom(net)
    for layer in result.layer:
        layer.name = prefix + layer.name
        for tops in (layer.bottom, layer.top):
            tops[:] = [prefix + top for top in tops]
    return result


def _pooled(net: NetParameter, layer: LayerParameter, pools: Sequence[str]) -> list[str]:
    """Add what pools whole maps of a layer; return the blobs."""
    given = str(layer.top[0])
    if layer.type == "Pooling" and layer.pooling_param.global_pooling:
        return [given]
    for pool in pools:
        name, method = POOLS[pool]
        added = net.layer.add(name=f"{layer.name}/{name}", type="Pooling", bottom=[given])
        added.top.append(added.name)
        added.pooling_param.pool, added.pooling_param.global_pooling = method, True
    return [str(added.name) for added in net.layer[-len(pools) :]]
