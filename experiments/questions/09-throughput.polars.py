"""How many steps a second does each run do, pass by pass? A machine that something else took over shows here."""

import sys

import polars as pl

folder = sys.argv[1]
steps = pl.scan_parquet(
    f"{folder}/*/*/steps/*.parquet", missing_columns="insert", extra_columns="ignore"
)

answer = (
    steps.group_by(pl.col("study", "run").cast(pl.String), pl.col("epoch").floor().alias("pass"))
    .agg(steps=pl.len(), steps_per_second=pl.len() / (pl.col("step_ns").sum() / 1e9))
    .sort("study", "run", "pass")
    .collect()
)
print(answer)
