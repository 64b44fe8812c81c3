"""How many steps a second does each run do, pass by pass? A machine that something else took over shows here."""

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


steps = read("steps/*.parquet", ["study", "run", "epoch", "step_ns"])

steps["pass"] = steps["epoch"] // 1
answer = steps.groupby(["study", "run", "pass"], as_index=False).agg(
    steps=("step_ns", "size"), seconds=("step_ns", "sum")
)
answer["steps_per_second"] = answer["steps"] / (answer.pop("seconds") / 1e9)
print(answer)
