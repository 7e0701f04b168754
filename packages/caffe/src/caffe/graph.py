"""From a definition to the layers that run: filtering by phase, and inserting Split layers."""

from collections import Counter, defaultdict

from caffe.errors import NetError
from caffe.proto.caffe_pb2 import LayerParameter, NetParameter, NetState, NetStateRule


def filter_net(net: NetParameter) -> NetParameter:
    """Return the net with only the layers that match its state (net.cpp, FilterNet).

    Raises
    ------
    NetError
        If a layer has both include and exclude rules.
    """
    kept = NetParameter()
    kept.CopyFrom(net)
    del kept.layer[:]
    stages = frozenset(net.state.stage)
    for layer in net.layer:
        if layer.include and layer.exclude:
            raise NetError(f"layer '{layer.name}': has include and exclude rules. Allowed: one")
        unmet_rules = (unmet(net.state, rule, stages) for rule in layer.include or layer.exclude)
        meets = any(reason is None for reason in unmet_rules)
        if meets if layer.include else not meets:
            kept.layer.append(layer)
    return kept


def unmet(state: NetState, rule: NetStateRule, stages: frozenset[str]) -> tuple[str, str] | None:
    """Return why a state, with its stages as a set, does not meet a rule; None if it does.

    Returns
    -------
    (str, str)
        The source line of Caffe that logs it, and the text.
    """
    if rule.HasField("phase") and rule.phase != state.phase:
        differs = f"The NetState phase ({state.phase}) differed from the phase ({rule.phase})"
        return "net.cpp:296", differs
    if rule.HasField("min_level") and state.level < rule.min_level:
        below = f"The NetState level ({state.level}) is above the min_level ({rule.min_level})"
        return "net.cpp:306", below  # "above" is Caffe's own slip
    if rule.HasField("max_level") and state.level > rule.max_level:
        above = f"The NetState level ({state.level}) is above the max_level ({rule.max_level})"
        return "net.cpp:316", above
    for stage in rule.stage:
        if stage not in stages:
            return "net.cpp:332", f"The NetState did not contain stage '{stage}'"
    for stage in rule.not_stage:
        if stage in stages:
            return "net.cpp:347", f"The NetState contained a not_stage '{stage}'"
    return None


def insert_splits(net: NetParameter) -> NetParameter:
    """Return the net with a Split layer after each blob that several layers use.

    A loss that is a bottom as well counts as used twice; its weight goes to the split's first top
    (insert_splits.cpp).

    Raises
    ------
    NetError
        If a bottom is not the top of an earlier layer.
    """
    made_by: dict[str, tuple[int, int]] = {}
    source: dict[tuple[int, int], tuple[int, int]] = {}
    uses: Counter[tuple[int, int]] = Counter()
    for i, layer in enumerate(net.layer):
        for j, name in enumerate(layer.bottom):
            if name not in made_by:
                raise NetError(_unknown_bottom(net, layer, j))
            source[i, j] = made_by[name]
            uses[made_by[name]] += 1
        for j, name in enumerate(layer.top):
            made_by[name] = (i, j)
        for j, weight in enumerate(layer.loss_weight[: len(layer.top)]):
            uses[i, j] += weight != 0
    return _with_splits(net, source, uses)


def _with_splits(
    net: NetParameter,
    source: dict[tuple[int, int], tuple[int, int]],
    uses: Counter[tuple[int, int]],
) -> NetParameter:
    result = NetParameter()
    result.CopyFrom(net)
    del result.layer[:]
    taken: defaultdict[tuple[int, int], int] = defaultdict(int)
    for i, original in enumerate(net.layer):
        layer = result.layer.add()
        layer.CopyFrom(original)
        for j, name in enumerate(original.bottom):
            made = source[i, j]
            if uses[made] > 1:
                maker = net.layer[made[0]].name
                layer.bottom[j] = _split_top(maker, name, made[1], taken[made])
                taken[made] += 1
        for j, name in enumerate(original.top):
            if uses[i, j] > 1:
                split = result.layer.add(
                    type="Split", name=_split_name(original.name, name, j), bottom=[name]
                )
                split.top.extend(_split_top(original.name, name, j, k) for k in range(uses[i, j]))
                weights = original.loss_weight
                if j < len(weights) and weights[j]:
                    # The loss is counted at the split's first top, which no other layer uses.
                    split.loss_weight.extend([weights[j]] + [0.0] * (uses[i, j] - 1))
                    del layer.loss_weight[:]
                    taken[i, j] += 1
    return result


def _split_name(layer: str, blob: str, top: int) -> str:
    return f"{blob}_{layer}_{top}_split"


def _split_top(layer: str, blob: str, top: int, index: int) -> str:
    return f"{_split_name(layer, blob, top)}_{index}"


def _unknown_bottom(net: NetParameter, layer: LayerParameter, index: int) -> str:
    name = layer.bottom[index]
    message = f"unknown bottom blob '{name}' (layer '{layer.name}', bottom index {index})"
    maker = next((other for other in net.layer if name in other.top), None)
    if maker is None:
        return message
    if set(maker.bottom) & _made_from(net, layer) or maker == layer:
        return f"{message}. Layer '{maker.name}' produces it and depends on it: a cycle"
    return f"{message}. Layer '{maker.name}' produces it, but comes later"


def _made_from(net: NetParameter, layer: LayerParameter) -> set[str]:
    """Return all blobs that depend on a layer's tops, these included."""
    users = defaultdict(list)
    for other in net.layer:
        for name in other.bottom:
            users[name].append(other)
    made: set[str] = set()
    waiting = list(layer.top)
    while waiting:
        name = waiting.pop()
        if name not in made:
            made.add(name)
            waiting += (top for other in users[name] for top in other.top)
    return made
