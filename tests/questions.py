"""Answers the worked questions by one reader: `questions.py duckdb|polars|pandas RUNS QUESTIONS`.

It prints a JSON object: for each question its columns, and its rows in order. A NaN is null, as pandas has no other null.
"""

import contextlib
import io
import json
import math
import pathlib
import runpy
import sys

reader, runs, questions = sys.argv[1], sys.argv[2], pathlib.Path(sys.argv[3])


def by_duckdb(path):
    import duckdb

    connection = duckdb.connect()
    for table, files in {
        "runs": "summary.parquet",
        "steps": "steps/*.parquet",
        "evals": "evals/*.parquet",
        "events": "events/*.parquet",
    }.items():
        if not any(pathlib.Path(runs).glob(f"*/*/{files}")):
            continue
        source = f"read_parquet('{runs}/*/*/{files}', union_by_name = true)"
        if table == "steps":
            # A column that none of the files may have.
            source += " union all by name select null::bigint as swaps where false"
        connection.execute(f"create view {table} as select * from {source}")
    answer = connection.sql(path.read_text())
    return answer.columns, answer.fetchall()


def by_program(path):
    sys.argv = [str(path), runs]
    with contextlib.redirect_stdout(io.StringIO()) as printed:
        answer = runpy.run_path(str(path))["answer"]
    assert printed.getvalue(), f"{path} prints nothing"
    if reader == "polars":
        return answer.columns, answer.rows()
    return list(answer.columns), answer.astype(object).values.tolist()


def plain(value):
    if hasattr(value, "item"):
        value = value.item()
    return None if isinstance(value, float) and math.isnan(value) else value


ending, answered = {
    "duckdb": (".sql", by_duckdb),
    "polars": (".polars.py", by_program),
    "pandas": (".pandas.py", by_program),
}[reader]
answers = {}
for path in sorted(questions.glob("*" + ending)):
    columns, rows = answered(path)
    rows = [[plain(value) for value in row] for row in rows]
    answers[path.name.removesuffix(ending)] = {"columns": list(columns), "rows": rows}
print(json.dumps(answers))
