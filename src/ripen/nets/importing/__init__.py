"""PyTorch networks as Caffe nets: traced, rewritten in layers of Caffe 1.0, compared, written.

`convert` takes any module; `ripen import-net` takes a network of torchvision or timm.
"""

from ripen.nets.importing.convert import Converted, convert

__all__ = ["Converted", "convert"]
