"""What area does each run's learning rate enclose over its steps, how high does it go, and how well did the run end? Two
schedules of one area moved the weights about as far, if the gradients were alike. Areas that differ by the rounding of their
sums are one."""

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


steps = read("steps/*.parquet", ["study", "run", "learning_rate"])
runs = read("summary.parquet", ["study", "run", "schedule", "final_eval_accuracy"])

areas = steps.groupby(["study", "run"], as_index=False).agg(
    area=("learning_rate", "sum"), peak=("learning_rate", "max")
)
answer = areas.merge(runs, on=["study", "run"])[
    ["study", "run", "schedule", "area", "peak", "final_eval_accuracy"]
].sort_values(
    ["area", "study", "run"],
    ascending=[False, True, True],
    key=lambda column: column.round(9) if column.name == "area" else column,
)
print(answer)
