"""How long does each run take to an accuracy of 0.5 on the test set: in steps, and in seconds of training? Runs that never
get there are left out."""

import glob
import sys

import pandas

folder = sys.argv[1]


def read(files, columns, **options):
    """One table of all runs. Its strings, which come as categories of each run's own, as plain strings."""
    paths = sorted(glob.glob(f"{folder}/*/*/{files}"))
    table = pandas.concat(pandas.read_parquet(path, columns=columns, **options) for path in paths)
    words = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(words, "object")).reset_index(drop=True)


evals = read("evals/*.parquet", ["study", "run", "step", "split", "accuracy"])
steps = read("steps/*.parquet", ["study", "run", "step", "step_ns"])

there = evals[(evals["split"] == "test") & (evals["accuracy"] >= 0.5)]
reached = there.groupby(["study", "run"], as_index=False).agg(target=("step", "min"))
before = steps.merge(reached, on=["study", "run"]).query("step < target")
answer = before.groupby(["study", "run"], as_index=False).agg(steps=("target", "max"), seconds=("step_ns", "sum"))
answer["seconds"] /= 1e9
print(answer)
