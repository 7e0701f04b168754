"""PyTorch networks as Caffe nets: traced, rewritten in layers that Caffe 1.0 has, checked, written.

`convert` takes any module; `ripen import-net` one of torchvision's or timm's.
"""

from ripen.nets.importing.convert import Converted, convert

__all__ = ["Converted", "convert"]
