"""The zoo: nets whose definitions or weights are published, by name.

A net here is its definition in Python, and a folder of the same name in `models/` whose readme is
its contract: what goes in, what comes out, whose it is, where its weights are.
"""

from ripen.nets.zoo.alexnet import alexnet, caffenet, flickr_style, rcnn_ilsvrc13
from ripen.nets.zoo.cifar10 import (
    cifar10_full,
    cifar10_full_sigmoid,
    cifar10_full_sigmoid_bn,
    cifar10_quick,
)
from ripen.nets.zoo.definition import Definition
from ripen.nets.zoo.efficientnet_lite import (
    efficientnet_lite0,
    efficientnet_lite1,
    efficientnet_lite2,
)
from ripen.nets.zoo.googlenet import googlenet
from ripen.nets.zoo.lenet import lenet
from ripen.nets.zoo.lenet8 import digits
from ripen.nets.zoo.resnet import resnet50
from ripen.nets.zoo.squeezenet import squeezenet
from ripen.nets.zoo.vgg import vgg16

DEFINITIONS: dict[str, Definition] = {
    "alexnet": alexnet,
    "caffenet": caffenet,
    "cifar10_full": cifar10_full,
    "cifar10_full_sigmoid": cifar10_full_sigmoid,
    "cifar10_full_sigmoid_bn": cifar10_full_sigmoid_bn,
    "cifar10_quick": cifar10_quick,
    "efficientnet_lite0": efficientnet_lite0,
    "efficientnet_lite1": efficientnet_lite1,
    "efficientnet_lite2": efficientnet_lite2,
    "flickr_style": flickr_style,
    "googlenet": googlenet,
    "lenet": lenet,
    "lenet8": digits,
    "rcnn_ilsvrc13": rcnn_ilsvrc13,
    "resnet50": resnet50,
    "squeezenet": squeezenet,
    "vgg16": vgg16,
}

__all__ = ["DEFINITIONS", "Definition"]
