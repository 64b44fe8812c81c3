"""How long does each run take to an accuracy of 0.5 on the test set: in steps, and in seconds of training? Runs that never
get there are left out."""

import sys

import polars as pl

folder = sys.argv[1]
evals = pl.scan_parquet(f"{folder}/*/*/evals/*.parquet")
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet", missing_columns="insert", extra_columns="ignore"
)
keys = pl.col("study", "run").cast(pl.String)

reached = (
    evals.filter(pl.col("split") == "test", pl.col("accuracy") >= 0.5)
    .group_by(keys)
    .agg(target=pl.col("step").min())
)
answer = (
    steps.select(keys, "step", "step_ns")
    .join(reached, on=["study", "run"])
    .filter(pl.col("step") < pl.col("target"))
    .group_by("study", "run")
    .agg(steps=pl.col("target").max(), seconds=pl.col("step_ns").sum() / 1e9)
    .sort("study", "run")
    .collect()
)
print(answer)
