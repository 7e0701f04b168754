"""Small PyTorch networks modelled on well-known ones, without a zero among their weights."""

from collections.abc import Callable

import torch
from torch import Tensor, nn
from torch.nn import functional as F

SIZE = 21
SHAPE = (3, SIZE, SIZE)


class Residual(nn.Module):
    """ResNet's basic block."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
        self.bn1 = nn.BatchNorm2d(outputs)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(outputs)
        self.shortcut = nn.Sequential()
        if stride != 1:
            conv = nn.Conv2d(inputs, outputs, 1, stride, bias=False)
            self.shortcut = nn.Sequential(conv, nn.BatchNorm2d(outputs))

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu(self.bn1(self.conv1(x)))))
        y += self.shortcut(x)
        return self.relu(y)


def resnet() -> nn.Module:
    """Return a ResNet whose first pooling depends on whether its size is rounded up or down."""
    stem = [nn.Conv2d(3, 6, 7, 2, 3, bias=False), nn.BatchNorm2d(6), nn.ReLU(inplace=True)]
    blocks = [nn.MaxPool2d(3, 2, 1), Residual(6, 6, 1), Residual(6, 8, 2)]
    return nn.Sequential(*stem, *blocks, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(8, 5))


def vgg() -> nn.Module:
    conv = [nn.Conv2d(3, 6, 3, padding=1), nn.BatchNorm2d(6), nn.ReLU(True), nn.MaxPool2d(2, 2)]
    more = [nn.Conv2d(6, 8, 3, padding=1), nn.ReLU(True), nn.MaxPool2d(2, 2)]
    rows = [nn.AdaptiveAvgPool2d(5), nn.Flatten(), nn.Linear(200, 12), nn.ReLU(True)]
    return nn.Sequential(*conv, *more, *rows, nn.Dropout(), nn.Linear(12, 5))


class Inverted(nn.Module):
    """MobileNet's block, padded on one side as in TensorFlow."""

    def __init__(self, inputs: int, outputs: int, stride: int) -> None:
        super().__init__()
        wide = 3 * inputs
        self.expand = nn.Sequential(
            nn.Conv2d(inputs, wide, 1, bias=False), nn.BatchNorm2d(wide), nn.ReLU6(True)
        )
        self.pad = (0, 1, 0, 1) if stride == 2 else (1, 1, 1, 1)
        self.depthwise = nn.Conv2d(wide, wide, 3, stride, groups=wide, bias=False)
        self.bn = nn.BatchNorm2d(wide)
        self.project = nn.Sequential(nn.Conv2d(wide, outputs, 1), nn.BatchNorm2d(outputs))
        self.residual = stride == 1

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn(self.depthwise(F.pad(self.expand(x), self.pad)))
        y = self.project(F.hardtanh(y, 0, 6))
        return x + y if self.residual else y


class MobileNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 4, 3, 2, 1)
        self.blocks = nn.Sequential(Inverted(4, 4, 1), Inverted(4, 6, 2))
        self.fc = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.blocks(F.relu6(self.stem(x))).mean([2, 3])
        return self.fc(F.dropout(x, 0.2, self.training)).softmax(1)


class DenseNet(nn.Module):
    """Its normalizations come before the convolutions and cannot be folded."""

    def __init__(self) -> None:
        super().__init__()
        self.conv0 = nn.Conv2d(3, 4, 3, bias=False)
        self.norm1, self.conv1 = nn.BatchNorm2d(4), nn.Conv2d(4, 3, 3, padding=1, bias=False)
        self.norm2, self.conv2 = nn.BatchNorm2d(7), nn.Conv2d(7, 3, 3, padding=1)
        self.pool, self.last = nn.AvgPool2d(2, 2), nn.BatchNorm2d(10, affine=False)
        self.classifier = nn.Linear(10, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = self.conv0(x)
        for norm, conv in ((self.norm1, self.conv1), (self.norm2, self.conv2)):
            x = torch.cat([x, conv(F.relu(norm(x)))], 1)
        x = F.adaptive_avg_pool2d(F.relu(self.last(self.pool(x))), (1, 1))
        return self.classifier(torch.flatten(x, 1))


class SqueezeNet(nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.conv = nn.Conv2d(3, 6, (3, 5), (2, 1), (1, 2))
        self.pool = nn.MaxPool2d(3, 2, ceil_mode=True)
        self.squeeze, self.relu = nn.Conv2d(6, 3, 1), nn.ReLU(inplace=True)
        self.narrow = nn.Conv2d(3, 4, 1)
        self.wide = nn.Conv2d(3, 4, 3, padding="same", dilation=2)
        self.scores = nn.Conv2d(8, 5, 1)

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.squeeze(self.pool(self.relu(self.conv(x)))))
        x = torch.cat([self.relu(self.narrow(x)), self.relu(self.wide(x))], dim=-3)
        x = F.avg_pool2d(self.scores(x), 3, 2, padding=1)
        return F.adaptive_avg_pool2d(x, 1).view(x.size(0), -1)


class Gated(nn.Module):
    """Squeeze and excitation, and the activations of later networks."""

    def __init__(self) -> None:
        super().__init__()
        self.conv, self.more = nn.Conv2d(3, 6, 3), nn.Conv2d(6, 6, 2, padding="same")
        self.fc1, self.fc2 = nn.Conv2d(6, 3, 1), nn.Conv2d(3, 6, 1)
        self.head = nn.Linear(6, 5)

    def forward(self, x: Tensor) -> Tensor:
        x = F.silu(self.conv(x))
        gate = torch.sigmoid(self.fc2(F.leaky_relu(self.fc1(F.adaptive_avg_pool2d(x, 1)), 0.2)))
        x = F.hardswish(self.more(gate * x) * 2 - 0.5) - torch.tanh(x) / 4
        x = F.hardsigmoid(x).clamp(min=0) * x
        return self.head(x.mean((-1, -2), keepdim=True).squeeze((2, 3)))


NETWORKS: dict[str, Callable[[], nn.Module]] = {
    "resnet": resnet,
    "vgg": vgg,
    "mobilenet": MobileNet,
    "densenet": DenseNet,
    "squeezenet": SqueezeNet,
    "gated": Gated,
}


def network(name: str) -> nn.Module:
    """Return a network in evaluation mode whose normalizations are not the identity."""
    torch.manual_seed(0)
    made = NETWORKS[name]()
    for each in made.modules():
        if isinstance(each, nn.BatchNorm2d):
            nn.init.normal_(each.running_mean, std=0.3)
            nn.init.uniform_(each.running_var, 0.5, 2)
            if each.affine:
                nn.init.uniform_(each.weight, 0.5, 2)
                nn.init.normal_(each.bias, std=0.3)
    return made.eval()


def outputs(module: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return module(images)
