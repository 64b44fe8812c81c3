"""What does it cost to ask the schedule? The mean of a step and the most in one step, in microseconds, and the share of the
steps' time in percent, for each schedule. (It may be asked for some steps at once, in the first of them.)"""

import sys

import polars as pl

folder = sys.argv[1]
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet", missing_columns="insert", extra_columns="ignore"
)
runs = pl.scan_parquet(f"{folder}/*/*/summary.parquet")

costs = steps.group_by(pl.col("study", "run").cast(pl.String)).agg(
    steps=pl.len(),
    asking=pl.col("schedule_ns").sum(),
    worst=pl.col("schedule_ns").max(),
    training=pl.col("step_ns").sum(),
)
asking = pl.col("asking").sum()
answer = (
    costs.join(runs.select(pl.col("study", "run", "schedule").cast(pl.String)), on=["study", "run"])
    .group_by("schedule")
    .agg(
        mean_us=asking / 1e3 / pl.col("steps").sum(),
        worst_us=pl.col("worst").max() / 1e3,
        percent=100.0 * asking / pl.col("training").sum(),
    )
    .sort(["percent", "schedule"], descending=[True, False])
    .collect()
)
print(answer)
