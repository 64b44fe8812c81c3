"""What PyTorch's own modules make of the network of host/trainer/src/model/airbench.rs, for airbench.rs to agree with.

    python airbench.py    lines of numbers: the logits in testing, those in training, the loss with label smoothing, and the
                          norm of its gradient by each parameter

Parameters, buffers and pictures are sines of their numbers' places, so that nothing needs to be handed over. The golden file
that airbench.rs always reads was printed with PyTorch 2.11.0.
"""

import math
import os
import sys

# Those of CUDA's functions that nobody calls need not be there.
sys.setdlopenflags(os.RTLD_LAZY)

import torch
from torch import nn
from torch.nn import functional as F


def waves(size, phase, scale):
    places = torch.arange(math.prod(size), dtype=torch.float64)
    return (scale * torch.sin(0.7 * places + phase)).reshape(size).float()


class Norm(nn.BatchNorm2d):
    """The scale stays one. airbench.rs holds a bias at an eighth of what it is."""

    def __init__(self, width):
        super().__init__(width, eps=1e-12, momentum=0.4)
        self.weight.requires_grad_(False)


class Group(nn.Module):
    def __init__(self, inputs, width):
        super().__init__()
        self.conv1 = nn.Conv2d(inputs, width, 3, padding="same", bias=False)
        self.norm1 = Norm(width)
        self.conv2 = nn.Conv2d(width, width, 3, padding="same", bias=False)
        self.norm2 = Norm(width)

    def forward(self, x):
        x = F.gelu(self.norm1(F.max_pool2d(self.conv1(x), 2)))
        return F.gelu(self.norm2(self.conv2(x)))


class Airbench(nn.Module):
    def __init__(self):
        super().__init__()
        self.whitening = nn.Conv2d(3, 24, 2)
        self.whitening.weight.requires_grad_(False)
        self.group1, self.group2, self.group3 = Group(24, 64), Group(64, 256), Group(256, 256)
        self.dense = nn.Linear(256, 10, bias=False)

    def forward(self, x):
        x = F.gelu(self.whitening(x))
        x = F.max_pool2d(self.group3(self.group2(self.group1(x))), 3)
        return self.dense(x.flatten(1)) / 9


def fill(model):
    tensors = {name: it for name, it in model.state_dict().items() if "num_batches" not in name}
    for phase, (name, tensor) in enumerate(sorted(tensors.items())):
        if "norm" in name and name.endswith("weight"):
            continue
        scale = 1 / math.sqrt(math.prod(tensor.shape[1:])) if tensor.dim() > 1 else 0.1
        values = waves(tensor.shape, phase, scale)
        if name.endswith("running_var"):
            values = 1 + values
        if "norm" in name and name.endswith("bias"):
            values = 8 * values
        tensor.copy_(values)


def show(word, tensor):
    print(word, " ".join(f"{value:.9g}" for value in tensor.flatten().tolist()))


torch.set_num_threads(1)
model = Airbench()
fill(model)
pictures, labels = waves((4, 3, 32, 32), 0.5, 1.0), torch.tensor([1, 0, 9, 4])
with torch.no_grad():
    show("testing", model.eval()(pictures))
logits = model.train()(pictures)
show("training", logits)
loss = F.cross_entropy(logits, labels, label_smoothing=0.2)
loss.backward()
show("loss", loss)
for name, parameter in sorted(model.named_parameters()):
    if parameter.grad is not None:
        # Of a bias that is held at an eighth, the gradient is eight times as large.
        scale = 8 if "norm" in name else 1
        show(name, scale * parameter.grad.norm())
with torch.no_grad():
    show("tested", model.eval()(pictures))
print(f"PyTorch {torch.__version__}", file=sys.stderr)
