"""The base of layers whose gradient torch derives from their formula."""

from collections.abc import Sequence

import torch

from caffe.layers.base import Blobs, Layer

Tensors = list[torch.Tensor]
Shape = tuple[int, ...]


class Differentiable(Layer):
    """A layer that implements `shapes` and `compute`; the backward pass follows."""

    def shapes(self, given: list[Shape]) -> list[Shape]:
        """Return the tops' shapes from the bottoms'; by default the first bottom's."""
        return [given[0]]

    def compute(self, x: Tensors, learnt: Tensors) -> Tensors:
        """Compute the tops from the bottoms and the layer's blobs."""
        raise NotImplementedError

    def reshape(self, bottom: Blobs, top: Blobs) -> None:
        for blob, shape in zip(top, self.shapes([b.shape for b in bottom]), strict=True):
            blob.reshape(*shape)

    def forward(self, bottom: Blobs, top: Blobs) -> None:
        with torch.enable_grad():
            within = any(blob is below for blob in top for below in bottom)
            # In place, the results overwrite the inputs, which the gradient needs.
            self._x = [b.tensor.detach().clone() if within else b.tensor.detach() for b in bottom]
            for i, x in enumerate(self._x):
                x.requires_grad_(i not in self.no_backward)
            self._learnt = [b.tensor.detach().requires_grad_() for b in self.blobs]
            self._y = self.compute(self._x, self._learnt)
        for blob, y in zip(top, self._y, strict=True):
            blob.set_data(y.detach().reshape(blob.shape))

    def backward(self, top: Blobs, propagate_down: Sequence[bool], bottom: Blobs) -> None:
        self._refuse_labels(propagate_down)
        wanted = [x for x, down in zip(self._x, propagate_down, strict=True) if down]
        wanted += [
            blob
            for blob, learns in zip(self._learnt, self.param_propagate_down, strict=True)
            if learns
        ]
        pairs = [(y, b.grad.reshape(y.shape)) for y, b in zip(self._y, top, strict=True)]
        pairs = [(y, grad) for y, grad in pairs if y.requires_grad]
        if not wanted:
            return
        grads: Sequence[torch.Tensor | None] = [None] * len(wanted)
        if pairs:
            outputs, given = zip(*pairs, strict=True)
            grads = torch.autograd.grad(outputs, wanted, given, True, allow_unused=True)
        both = zip(wanted, grads, strict=True)
        found = iter([torch.zeros_like(x) if grad is None else grad for x, grad in both])
        for blob, down in zip(bottom, propagate_down, strict=True):
            if down:
                blob.set_diff(next(found))
        for blob, learns in zip(self.blobs, self.param_propagate_down, strict=True):
            if learns:
                blob.grad.add_(next(found))

    def _refuse_labels(self, propagate_down: Sequence[bool]) -> None:
        for i in sorted(self.no_backward):
            if i < len(propagate_down) and propagate_down[i]:
                raise self.error(
                    f"cannot backpropagate to bottom {i}. Allowed: values that depend on nothing "
                    "learnt"
                )
