"""PyTorch's part of pytorch.rs: the same models, trained as a good user of PyTorch would.

    python pytorch.py MODEL BATCH THREADS VARIANT ...

says `ready VARIANT` for each variant that works here (or `without VARIANT: why`), then `go`, and answers each line
`VARIANT STEPS` of its input with the seconds that so many steps took. One batch is in memory from the beginning: what
reading and augmenting pictures costs is not counted against PyTorch.
"""

import os
import sys
import time
import warnings

# Those of CUDA's functions that nobody calls need not be there.
sys.setdlopenflags(os.RTLD_LAZY)
warnings.filterwarnings("ignore")

import torch
from torch import nn
from torch.nn import functional as F

from resnet import ResNet, conv


def mnist_convnet():
    """host/trainer/src/model/convnet.rs, `mnist`."""

    def stage(inputs, outputs):
        return [conv(inputs, outputs, 5, bias=True), nn.ReLU(inplace=True), nn.MaxPool2d(2)]

    dense = [nn.Flatten(), nn.Linear(3136, 1024), nn.ReLU(inplace=True), nn.Dropout(0.4), nn.Linear(1024, 10)]
    return nn.Sequential(*stage(1, 32), *stage(32, 64), *dense)


def convnet():
    """host/trainer/src/model/convnet.rs, `small`."""
    layers = []
    for inputs, outputs in [(3, 16), (16, 32), (32, 64)]:
        layers += [conv(inputs, outputs, 3, 2), nn.BatchNorm2d(outputs), nn.ReLU(inplace=True)]
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(64, 10))


def build(name):
    torch.manual_seed(0)
    if name == "mnist-convnet":
        return mnist_convnet(), (1, 28, 28)
    if name == "convnet":
        return convnet(), (3, 32, 32)
    return ResNet(int(name.removeprefix("resnet-"))), (3, 32, 32)


def trainer(name, batch, variant):
    """Trains for a number of steps."""
    words = variant.split("+")
    model, shape = build(name)
    # As it comes, for `eager`; else the quickest that torch.optim has for a CPU.
    options = {} if variant == "eager" else {"fused": True}
    pictures, labels = torch.randn(batch, *shape), torch.randint(0, 10, (batch,))
    if "channels_last" in words:
        model = model.to(memory_format=torch.channels_last)
        pictures = pictures.to(memory_format=torch.channels_last)
    if name == "mnist-convnet":
        optimizer = torch.optim.Adam(model.parameters(), lr=1e-4, **options)
    else:
        optimizer = torch.optim.SGD(model.parameters(), lr=0.01, momentum=0.9, weight_decay=2e-4, **options)
    if "compile" in words:
        model = torch.compile(model)

    def train(steps):
        for _ in range(steps):
            optimizer.zero_grad(set_to_none=True)
            with torch.autocast("cpu", dtype=torch.bfloat16, enabled="bfloat16" in words):
                loss = F.cross_entropy(model(pictures), labels)
            loss.backward()
            optimizer.step()
        loss.item()

    return train


def main():
    name, batch, threads, *variants = sys.argv[1:]
    torch.set_num_threads(int(threads))
    trainers = {}
    for variant in variants:
        try:
            train = trainer(name, int(batch), variant)
            train(3)
        except Exception as problem:
            first = (str(problem).strip() or repr(problem)).splitlines()[0]
            print(f"without {variant}: {first}", flush=True)
            continue
        trainers[variant] = train
        print(f"ready {variant}", flush=True)
    print(f"go {torch.__version__}", flush=True)
    for line in sys.stdin:
        variant, steps = line.split()
        began = time.perf_counter()
        trainers[variant](int(steps))
        print(time.perf_counter() - began, flush=True)


main()
