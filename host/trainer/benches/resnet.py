"""The ResNets of host/trainer/src/model/resnet.rs in PyTorch, for pytorch.py and cuda.py."""

from torch import nn
from torch.nn import functional as F


def conv(inputs, outputs, kernel, stride=1, bias=False):
    return nn.Conv2d(inputs, outputs, kernel, stride, kernel // 2, bias=bias)


class Block(nn.Module):
    def __init__(self, inputs, width, stride, project):
        super().__init__()
        self.norm1 = nn.BatchNorm2d(inputs, momentum=0.003)
        self.projection = conv(inputs, width, 1, stride) if project else None
        self.conv1 = conv(inputs, width, 3, stride)
        self.norm2 = nn.BatchNorm2d(width, momentum=0.003)
        self.conv2 = conv(width, width, 3)

    def forward(self, x):
        active = F.relu(self.norm1(x), inplace=True)
        shortcut = x if self.projection is None else self.projection(active)
        y = F.relu(self.norm2(self.conv1(active)), inplace=True)
        return self.conv2(y) + shortcut


class ResNet(nn.Module):
    """`ResNet(20)` is `resnet-20`."""

    def __init__(self, depth):
        super().__init__()
        blocks = (depth - 2) // 6
        self.first = conv(3, 16, 3)
        layers, inputs = [], 16
        for stage, width in enumerate([16, 32, 64]):
            for block in range(blocks):
                stride = 2 if stage > 0 and block == 0 else 1
                layers.append(Block(inputs, width, stride, block == 0))
                inputs = width
        self.layers = nn.Sequential(*layers)
        self.norm = nn.BatchNorm2d(64, momentum=0.003)
        self.dense = nn.Linear(64, 10)

    def forward(self, x):
        x = F.relu(self.norm(self.layers(self.first(x))), inplace=True)
        return self.dense(x.mean((2, 3)))
