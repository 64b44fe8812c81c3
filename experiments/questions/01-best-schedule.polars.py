"""Which schedule came out best, and how sure is that? The mean accuracy at the end over the seeds, with the half width of
its 95 % confidence interval (Student's t; 1.96 deviations beyond 31 seeds). Runs that a search dropped are left out."""

import sys

import polars as pl

folder = sys.argv[1]
runs = pl.scan_parquet(f"{folder}/*/*/summary.parquet")
t = pl.LazyFrame({"seeds": range(2, 32), "quantile": [
    12.7062, 4.3027, 3.1824, 2.7764, 2.5706, 2.4469, 2.3646, 2.3060, 2.2622, 2.2281, 2.2010, 2.1788, 2.1604, 2.1448,
    2.1314, 2.1199, 2.1098, 2.1009, 2.0930, 2.0860, 2.0796, 2.0739, 2.0687, 2.0639, 2.0595, 2.0555, 2.0518, 2.0484,
    2.0452, 2.0423,
]}, schema_overrides={"seeds": pl.UInt32})

accuracy = pl.col("final_eval_accuracy")
answer = (
    runs.filter(pl.col("status").cast(pl.String).is_in(["finished", "diverged"]) & accuracy.is_not_null())
    .group_by("schedule")
    .agg(
        pl.len().cast(pl.UInt32).alias("seeds"),
        accuracy.mean().alias("accuracy"),
        (accuracy.std() / pl.len().sqrt()).alias("standard_error"),
    )
    .join(t, on="seeds", how="left")
    .select(
        pl.col("schedule").cast(pl.String),
        "seeds",
        "accuracy",
        half_width=pl.when(pl.col("seeds") > 31).then(1.96).otherwise("quantile") * pl.col("standard_error"),
    )
    .sort(["accuracy", "schedule"], descending=[True, False])
    .collect()
)
print(answer)
