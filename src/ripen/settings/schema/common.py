"""What every competition has a section of."""

from typing import Annotated, Literal

from pydantic import Field

from ripen.settings.schema.types import Count, Share, typed


@typed
class Compute:
    """How a competition's stages compute: both are part of the result (`ripen.core.reproducibility`)."""

    reproducibility: Literal["portable", "fast"]
    threads: Count


@typed
class Prepare:
    """The split and the scaling."""

    validation_size: Share


@typed
class Evaluate:
    """What the evaluation draws."""

    calibration_bins: Annotated[int, Field(ge=2)]


@typed
class Predict:
    """What is submitted: `model` is "best" (by validation log loss) or a name of the leaderboard.

    With `temperature` probabilities are scaled by the one that suits the validation rows best.
    Then they are clipped to [clip, 1 - clip]; "validation" is the clip that suits these best.
    """

    model: str
    temperature: bool
    clip: Literal["validation"] | Annotated[float, Field(ge=0, lt=0.5)]
