"""Logs the runs beside this file to Weights & Biases: `python import.py [PROJECT]`.

It needs `pip install wandb`. With WANDB_MODE=offline it needs no account: `wandb sync` uploads the runs later. A study is
a group; the project is "pixelrate" if none is named. A run that was logged before is logged over.
"""

import hashlib
import json
import os
import pathlib
import sys

import wandb

PROJECT = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("WANDB_PROJECT", "pixelrate")


def numbers(line):
    """A line's numbers; those that JSON has no name for ("NaN", "inf") are written as words."""
    return {name: float(value) for name, value in line.items() if name not in ("step", "time")}


def identity(head):
    """What W&B tells runs apart by: of letters and digits alone, and not the same for two pairs of a study and a run."""
    return hashlib.sha256(f"{head['study']}/{head['run']}".encode()).hexdigest()[:16]


for path in sorted(pathlib.Path(__file__).parent.glob("*/*.jsonl")):
    with open(path) as lines:
        head = json.loads(next(lines))
        run = wandb.init(
            project=PROJECT,
            group=head["study"],
            name=head["run"],
            id=identity(head),
            config=head["config"],
            settings=wandb.Settings(console="off"),
        )
        # An evaluation after so many steps and the step of that number are one point to W&B.
        step, point = None, {}
        for line in map(json.loads, lines):
            if step is not None and line["step"] != step:
                run.log(point, step=step)
                point = {}
            step = line["step"]
            point.update(numbers(line), _timestamp=line["time"])
        if point:
            run.log(point, step=step)
        for name, value in (head["summary"] or {}).items():
            if value is not None:
                run.summary[name] = value
        run.finish()
    print(path)
