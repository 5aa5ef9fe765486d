"""Correlation matrices for metaSEM: one matrix a sample, stacked, NA where a correlation is not known.

Only one correlation a pair of constructs can stand in a matrix. A sample with several measures of a construct gives
the mean of its correlations on Fisher's z, and the file says how many went in.
"""

from __future__ import annotations

import numpy as np
import pandas as pd

from replication.dataset import Dataset

__all__ = ["STUDENT", "matrix_table"]

STUDENT = ("positive", "negative", "engagement", "achievement", "victimization", "perpetration")


def matrix_table(dataset: Dataset, variables: tuple[str, ...] = STUDENT) -> pd.DataFrame:
    """Stacked matrices of students: work, sample, n, the row's variable, and a column a variable.

    A diagonal entry is NA where the source has none (metaSEM decides by the diagonal what is missing); `pooled` is the
    largest number of correlations behind a cell of that row. `n` is the sample's, or the largest of its rows.
    """
    rows = dataset.effects
    rows = rows[(rows["unit"] == "student") & (rows["statistic"] == "r") & (rows["subgroup_of"] == "")]
    rows = rows[rows["var_a"].isin(variables) & rows["var_b"].isin(variables) & (rows["value"].abs() < 1)]
    sizes = dict(zip(dataset.samples["sample_id"], dataset.samples["n"], strict=True))
    parts = [_matrix(str(sample), own, variables, sizes) for sample, own in rows.groupby("sample_id", sort=False)]
    return pd.concat(parts, ignore_index=True) if parts else pd.DataFrame()


def _matrix(sample: str, rows: pd.DataFrame, variables: tuple[str, ...], sizes: dict[str, float]) -> pd.DataFrame:
    place = {name: i for i, name in enumerate(variables)}
    total = np.zeros((len(variables), len(variables)))
    count = np.zeros_like(total)
    columns = ("var_a", "var_b", "value", "diagonal_a_missing", "diagonal_b_missing")
    present, absent = set(), set()
    for a, b, value, lost_a, lost_b in zip(*(rows[name].tolist() for name in columns), strict=True):
        i, j = place[a], place[b]
        total[i, j] += np.arctanh(value)
        count[i, j] += 1
        present |= {a, b}
        absent |= {name for name, lost in ((a, lost_a), (b, lost_b)) if lost == "yes"}
    total, count = total + total.T, count + count.T
    with np.errstate(invalid="ignore", divide="ignore"):
        matrix = np.where(count > 0, np.tanh(total / count), np.nan)
    for name in present - absent:
        matrix[place[name], place[name]] = 1.0
    n = sizes.get(sample, np.nan)
    frame = pd.DataFrame(matrix, columns=list(variables))
    frame.insert(0, "variable", list(variables))
    frame.insert(0, "n", float(n) if np.isfinite(n) else float(rows["n"].max()))
    frame.insert(0, "sample_id", sample)
    frame.insert(0, "work", rows["work"].iloc[0])
    frame["pooled"] = count.max(axis=1)
    return frame
