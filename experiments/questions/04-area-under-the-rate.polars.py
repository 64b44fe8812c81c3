"""What area does each run's learning rate enclose over its steps, how high does it go, and how well did the run end? Two
schedules of one area moved the weights about as far, if the gradients were alike. Areas that differ by the rounding of their
sums are one."""

import sys

import polars as pl

folder = sys.argv[1]
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet", missing_columns="insert", extra_columns="ignore"
)
runs = pl.scan_parquet(f"{folder}/*/*/summary.parquet")
keys = pl.col("study", "run").cast(pl.String)

rate = pl.col("learning_rate")
areas = steps.group_by(keys).agg(area=rate.sum(), peak=rate.max())
ends = runs.select(keys, pl.col("schedule").cast(pl.String), "final_eval_accuracy")
answer = (
    areas.join(ends, on=["study", "run"])
    .select("study", "run", "schedule", "area", "peak", "final_eval_accuracy")
    .sort([pl.col("area").round(9), "study", "run"], descending=[True, False, False])
    .collect()
)
print(answer)
