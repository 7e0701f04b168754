"""A net of the zoo as it is: it learns nothing, and names images of the classes that it knows."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from ripen.learn.convergence import Training
from ripen.learn.estimator import ESTIMATORS, Estimator, Outputs, Rows, Work
from ripen.settings.typed import Count, typed

DIGITS = 6  # of a probability: there are a thousand of them in a row


@ESTIMATORS.register("pretrained")
@typed
class Pretrained(Estimator):
    """A net of the zoo, whose contract says how it takes an image; `batch_size` images at once."""

    net: str
    batch_size: Count

    does = "classifies"
    refits = True
    learns = False
    has_learning_curve = False
    cost = 50

    def nets(self) -> list[str]:
        """Return the net itself (`Estimator.nets`)."""
        return [self.net]

    def fit(self, train: Rows, validation: Rows | None, work: Work) -> "FittedPretrained":
        """Load the net (`Estimator.fit`)."""
        # Here, because the settings are read where no net runs, and these import torch.
        from caffe.formats import to_text
        from ripen.core.atomic import write_text
        from ripen.learn import seen
        from ripen.nets.contract import contract
        from ripen.nets.published import caffemodel, definition

        self.check_task(work.task)
        if work.settings.device != "cpu":
            work.start_engine()  # which is on the device, and so are all nets from now on
        deploy = work.folder / "deploy.prototxt"
        write_text(deploy, to_text(definition(self.net).deploy()))
        wanted = contract(self.net).input
        seen.write(work.folder, deploy, caffemodel(self.net), None, wanted)
        return FittedPretrained(self.net, self.batch_size, work.threads)


@dataclass(frozen=True)
class FittedPretrained:
    """A net of the zoo."""

    net: str
    batch_size: int
    threads: int
    training: Training | None = None

    def predict(self, x: Any) -> Outputs:
        """Return the net's probabilities for image files (`Fitted.predict`)."""
        from ripen.data import image_input
        from ripen.data.batches import batches
        from ripen.nets.contract import contract
        from ripen.nets.published import load

        net, wanted = load(self.net), contract(self.net).input
        found = []
        # The one view that the contract promises.
        prepare = lambda image, _: image_input.values(image, wanted)[np.newaxis]  # noqa: E731
        for batch in batches(x, wanted, prepare, self.batch_size, self.threads):
            net.blobs["data"].reshape(*batch.data.shape)
            (scores,) = net.forward(data=batch.data).values()
            found.append(np.asarray(scores, np.float64).reshape(len(batch.data), -1))
        return np.concatenate(found).round(DIGITS)

    def save(self, folder: Path) -> None:
        """Write nothing: the zoo has the net."""
