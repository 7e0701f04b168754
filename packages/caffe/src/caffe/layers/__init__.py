"""The layers, one family per file; importing this package registers them all.

No list of the families exists: a new file of this folder is found by itself.
"""

import importlib
import pkgutil

from caffe.layers.base import Layer, layer_type_list, registry

__all__ = ["Layer", "layer_type_list", "registry"]

for _module in pkgutil.iter_modules(__path__):
    importlib.import_module(f"{__name__}.{_module.name}")
