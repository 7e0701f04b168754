"""Old names of `tests.ripen.images`: to be deleted with their last import."""

from tests.ripen.images import cats_and_dogs as cats_and_dogs
from tests.ripen.images import encoded as encoded
from tests.ripen.images import make_image as photograph
from tests.ripen.images import of_synsets as of_synsets
from tests.ripen.images import write_raw as write_raw
from tests.ripen.images import zipped as zipped

__all__ = ["photograph"]
