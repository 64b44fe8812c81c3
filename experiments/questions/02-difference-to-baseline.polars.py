"""How much better is each schedule than the one called "baseline", seed by seed? Pairs of runs of one seed share their
weights and their pictures' order, so that their differences scatter less than their accuracies do."""

import sys

import polars as pl

folder = sys.argv[1]
runs = pl.scan_parquet(f"{folder}/*/*/summary.parquet").with_columns(
    pl.col("study", "schedule").cast(pl.String)
)

is_base = pl.col("schedule") == "baseline"
base = runs.filter(is_base).select("study", "seed", base="final_eval_accuracy")
difference = pl.col("final_eval_accuracy") - pl.col("base")
answer = (
    runs.filter(~is_base)
    .join(base, on=["study", "seed"])
    .drop_nulls(["final_eval_accuracy", "base"])
    .group_by("schedule")
    .agg(
        pairs=pl.len(),
        difference=difference.mean(),
        standard_error=difference.std() / pl.len().sqrt(),
        wins=(difference > 0).sum(),
    )
    .sort(["difference", "schedule"], descending=[True, False])
    .collect()
)
print(answer)
