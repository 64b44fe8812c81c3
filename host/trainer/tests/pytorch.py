"""What PyTorch's SGD, Adam and AdamW make of a small problem, for pytorch.rs to agree with.

    python pytorch.py    a line for each optimizer and each of some steps: name, steps done, the parameters

The golden file that pytorch.rs always reads was printed with PyTorch 2.11.0.
"""

import math
import sys

import torch

STEPS = 100
SHOWN = (1, 2, 10, 50, 100)


def rate(step):
    return 0.01 + 0.0001 * step


def momentum(step):
    return 0.85 + 0.001 * step


def start():
    return torch.tensor([math.sin(i + 1.0) for i in range(12)], dtype=torch.float32).reshape(3, 4)


def gradient(parameter):
    """Of a bowl that is steeper in each direction, with a wave on it."""
    slopes = torch.arange(1, 13, dtype=torch.float32).reshape(3, 4) / 4
    return slopes * (parameter - 0.3) + 0.1 * torch.cos(3 * parameter)


def train(name, build, moves_momentum):
    parameter = torch.nn.Parameter(start())
    optimizer = build([parameter])
    (group,) = optimizer.param_groups
    for step in range(STEPS):
        group["lr"] = rate(step)
        if moves_momentum:
            group["momentum"] = momentum(step)
        parameter.grad = gradient(parameter.detach())
        optimizer.step()
        if step + 1 in SHOWN:
            values = " ".join(f"{value:.9g}" for value in parameter.detach().flatten().tolist())
            print(name, step + 1, values)


train("sgd", lambda p: torch.optim.SGD(p, lr=1, momentum=0.9), False)
train("sgd-decay", lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.02), False)
train("sgd-moving-momentum", lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.02), True)
train("sgd-plain", lambda p: torch.optim.SGD(p, lr=1), False)
train("sgd-nesterov", lambda p: torch.optim.SGD(p, lr=1, momentum=0.9, weight_decay=0.02, nesterov=True), False)
train("adam", lambda p: torch.optim.Adam(p, lr=1), False)
train("adam-decay", lambda p: torch.optim.Adam(p, lr=1, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.02), False)
train("adamw", lambda p: torch.optim.AdamW(p, lr=1, betas=(0.8, 0.99), eps=1e-6, weight_decay=0.5), False)
print(f"PyTorch {torch.__version__}", file=sys.stderr)
