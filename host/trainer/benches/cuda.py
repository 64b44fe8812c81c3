"""PyTorch's part of cuda.rs: the same network, trained on a GPU as a good user of PyTorch would.

    python cuda.py MODEL BATCH VARIANT ...

says `ready VARIANT SECONDS` for each variant that works here, with what it took to begin (or `without VARIANT: why`), then
`go VERSION`, and answers each line `VARIANT STEPS` of its input with the seconds that so many steps took. One batch is on
the device from the beginning: what reading and augmenting pictures costs is not counted against PyTorch.
"""

import sys
import time
import warnings

warnings.filterwarnings("ignore")

import torch
from torch import nn
from torch.nn import functional as F

from resnet import ResNet, conv


class Group(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.conv1, self.conv2 = conv(inputs, width, 3), conv(width, width, 3)
        self.norm1, self.norm2 = (nn.BatchNorm2d(width, eps=1e-12, momentum=0.4) for _ in range(2))
        for norm in (self.norm1, self.norm2):
            norm.weight.requires_grad_(False)

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Airbench(nn.Module):
    """host/trainer/src/model/airbench.rs."""

    def __init__(self):
        super().__init__()
        self.whitening = nn.Conv2d(3, 24, 2)
        self.whitening.weight.requires_grad_(False)
        self.groups = nn.Sequential(Group(24, 64), Group(64, 256), Group(256, 256))
        self.dense = nn.Linear(256, 10, bias=False)

    def forward(self, x):
        x = F.max_pool2d(self.groups(F.gelu(self.whitening(x))), 3)
        return self.dense(x.flatten(1)) / 9


def build(name):
    """The network, and what its optimizer and its loss are given."""
    if name == "airbench":
        return Airbench(), {"momentum": 0.85, "weight_decay": 1e-3, "nesterov": True}, {"label_smoothing": 0.2}
    return ResNet(int(name.removeprefix("resnet-"))), {"momentum": 0.9, "weight_decay": 2e-4}, {}


def trainer(name, batch, variant):
    """Trains for a number of steps."""
    words = variant.split("+")
    torch.manual_seed(0)
    model, options, smoothing = build(name)
    model = model.cuda()
    pictures = torch.randn(batch, 3, 32, 32, device="cuda")
    labels = torch.randint(0, 10, (batch,), device="cuda")
    if "channels_last" in words:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    if "half" in words:
        model, pictures = model.half(), pictures.half()
        for module in model.modules():
            if isinstance(module, nn.BatchNorm2d):
                module.float()
    trained = [parameter for parameter in model.parameters() if parameter.requires_grad]
    optimizer = torch.optim.SGD(trained, lr=1e-3, fused="fused" in words, **options)
    if "compile" in words:
        model = torch.compile(model, mode="reduce-overhead")

    def train(steps):
        torch.cuda.synchronize()
        began = time.perf_counter()
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cuda", dtype=torch.bfloat16, enabled="bfloat16" in words):
                loss = F.cross_entropy(model(pictures), labels, **smoothing)
            loss.backward()
            optimizer.step()
        torch.cuda.synchronize()
        return time.perf_counter() - began

    return train


def main():
    name, batch, *variants = sys.argv[1:]
    torch.backends.cudnn.benchmark = True
    trainers = {}
    for variant in variants:
        began = time.perf_counter()
        try:
            train = trainer(name, int(batch), variant)
            train(10)
        except Exception as problem:
            first = (str(problem).strip() or repr(problem)).splitlines()[0]
            print(f"without {variant}: {first}", flush=True)
            continue
        trainers[variant] = train
        print(f"ready {variant} {time.perf_counter() - began:.1f}", flush=True)
    print(f"go {torch.__version__}", flush=True)
    for line in sys.stdin:
        variant, steps = line.split()
        print(trainers[variant](int(steps)), flush=True)


main()
