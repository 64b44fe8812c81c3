"""What did each swap change? The mean loss and the mean learning rate of the hundred steps before it, and of the hundred
from it on."""

import glob
import sys

import pandas
import pyarrow.parquet

folder = sys.argv[1]


def read(files, columns):
    """One table of all runs. Its strings, which come as categories of each run's own, as plain strings; a column that a
    file is too old for is empty."""
    tables = []
    for path in sorted(glob.glob(f"{folder}/*/*/{files}")):
        there = set(pyarrow.parquet.read_schema(path).names)
        tables.append(pandas.read_parquet(path, columns=[name for name in columns if name in there]))
    table = pandas.concat(tables).reindex(columns=columns)
    words = table.select_dtypes("category").columns
    return table.astype(dict.fromkeys(words, "object")).reset_index(drop=True)


steps = read("steps/*.parquet", ["study", "run", "step", "swaps", "learning_rate", "train_loss"])
steps["swaps"] = steps["swaps"].astype("Int64")

keys = ["study", "run", "swaps", "takeover"]
takeovers = steps[steps["swaps"] > 0].groupby(keys[:3], as_index=False).agg(takeover=("step", "min"))
near = steps.drop(columns="swaps").merge(takeovers, on=["study", "run"])
near = near.query("takeover - 100 <= step < takeover + 100")
side = {True: "before", False: "after"}
# A fork's steps before it are in the run that it was forked from.
both = pandas.MultiIndex.from_product([["learning_rate", "train_loss"], side.values()])
means = (
    near.assign(side=(near["step"] < near["takeover"]).map(side))
    .groupby([*keys, "side"])[["learning_rate", "train_loss"]]
    .mean()
    .unstack()
    .reindex(columns=both)
)
answer = pandas.DataFrame(
    {
        f"{name}_{side}": means[column, side]
        for name, column in (("rate", "learning_rate"), ("loss", "train_loss"))
        for side in ("before", "after")
    }
).reset_index()
print(answer)
