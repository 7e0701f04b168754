"""Layers written in Python for the tests; real Caffe runs them too."""

import numpy as np

import caffe


class Euclidean(caffe.Layer):
    """Half the squared distance of two blobs, per item: a loss in numpy."""

    def setup(self, bottom, top):
        if len(bottom) != 2:
            raise ValueError("two bottoms are needed")

    def reshape(self, bottom, top):
        if bottom[0].count != bottom[1].count:
            raise ValueError("the bottoms differ in size")
        self.difference = np.zeros_like(bottom[0].data)
        top[0].reshape(1)

    def forward(self, bottom, top):
        self.difference[...] = bottom[0].data - bottom[1].data
        top[0].data[...] = np.sum(self.difference**2) / bottom[0].num / 2

    def backward(self, top, propagate_down, bottom):
        for i, sign in enumerate((1, -1)):
            if propagate_down[i]:
                scale = sign * top[0].diff[0] / bottom[i].num
                bottom[i].diff[...] = scale * self.difference.reshape(bottom[i].data.shape)


class Times(caffe.Layer):
    """`param_str` times the bottom, and once more in the test phase."""

    def setup(self, bottom, top):
        self.factor = float(self.param_str) * (2 if self.phase == caffe.TEST else 1)

    def reshape(self, bottom, top):
        top[0].reshape(*bottom[0].data.shape)

    def forward(self, bottom, top):
        top[0].data[...] = self.factor * bottom[0].data

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[...] = self.factor * top[0].diff


class Slope(caffe.Layer):
    """Two learnt blobs: a factor for each channel, and one offset."""

    def setup(self, bottom, top):
        self.blobs.add_blob(bottom[0].channels)
        self.blobs.add_blob(1)
        self.blobs[0].data[...] = np.arange(1, 1 + bottom[0].channels)

    def reshape(self, bottom, top):
        top[0].reshape(bottom[0].num, bottom[0].channels)

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data * self.blobs[0].data + self.blobs[1].data

    def backward(self, top, propagate_down, bottom):
        self.blobs[0].diff[...] += (top[0].diff * bottom[0].data).sum(0)
        self.blobs[1].diff[...] += top[0].diff.sum()
        if propagate_down[0]:
            bottom[0].diff[...] = top[0].diff * self.blobs[0].data


class Halves(caffe.Layer):
    """Two tops: the first channels, and the others."""

    def setup(self, bottom, top):
        self.at = bottom[0].channels // 2

    def reshape(self, bottom, top):
        shape = list(bottom[0].shape)
        # By number: pycaffe cannot iterate over a layer's blobs.
        top[0].reshape(shape[0], self.at, *shape[2:])
        top[1].reshape(shape[0], shape[1] - self.at, *shape[2:])

    def forward(self, bottom, top):
        top[0].data[...] = bottom[0].data[:, : self.at]
        top[1].data[...] = bottom[0].data[:, self.at :]

    def backward(self, top, propagate_down, bottom):
        bottom[0].diff[:, : self.at] = top[0].diff
        bottom[0].diff[:, self.at :] = top[1].diff


class Source(caffe.Layer):
    """No bottoms: counts its passes."""

    def setup(self, bottom, top):
        top[0].reshape(2, 3)
        self.passes = 0

    def reshape(self, bottom, top):
        pass

    def forward(self, bottom, top):
        self.passes += 1
        top[0].data[...] = self.passes

    def backward(self, top, propagate_down, bottom):
        pass


class Careless(caffe.Layer):
    """Lacks backward, and its forward fails."""

    def forward(self, bottom, top):
        raise ZeroDivisionError("of the user's own")


def not_a_layer(param):
    return param
