"""Hydra finds this by its place: what conf/ asks of ripen, also where DVC does the composing."""

from ripen.settings import graph

graph.register()
