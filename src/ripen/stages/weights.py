"""weights: a net of the zoo as it is published, fetched, checked and decoded."""

from ripen.nets.published import caffemodel


def run(net: str) -> None:
    """Write the net's caffemodel beside its contract, where it is not there yet."""
    caffemodel(net)
