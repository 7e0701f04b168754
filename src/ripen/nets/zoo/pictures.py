"""What `ripen.data` does to an image for a net, under the names that callers use still."""

from ripen.data.decode import decode as read
from ripen.data.image_input import RESAMPLING, middle, values

__all__ = ["RESAMPLING", "middle", "read", "values"]
