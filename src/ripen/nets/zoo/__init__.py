"""The zoo: nets with a published definition or published weights, by name.

A net is a definition in one file of this folder and a folder of the same name in `models/`, whose
readme is its contract (`ripen.nets.contract`). The files are found, not listed: a new family of
nets is a new file and changes no other.
"""

from ripen.nets.definition import DEFINITIONS

__all__ = ["DEFINITIONS"]
