"""Tables for other programs: effects for metafor, matrices for metaSEM, cells that no spreadsheet would run.

One effect per row, with yi, vi and the columns that say what depends on what. Of correlation matrices one per sample,
stacked, NA where a correlation is not known; a sample with several measures of a construct gives the mean of its
correlations on Fisher's z, and the file says how many went in.
"""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Iterable, Sequence

import numpy as np
import pandas as pd

from replication.dataset import Dataset
from replication.effects.correlation import back_to_r, fisher_z_variance, n_for_variance, to_fisher_z
from replication.formulas import harmless

__all__ = ["LONG_COLUMNS", "cell_text", "csv_text", "long_table", "matrix_table"]


def csv_text(header: Sequence[str], rows: Iterable[Sequence[str]]) -> str:
    """A CSV file: commas, one line end a row."""
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(header)
    writer.writerows(rows)
    return text.getvalue()


def cell_text(cell: object) -> str:
    """A cell as text: harmless, on one line, a missing number empty, a whole number without a point."""
    if isinstance(cell, float):
        return "" if math.isnan(cell) else (f"{cell:.0f}" if cell.is_integer() else repr(cell))
    return harmless(" ".join(str(cell).split("\n")))


LONG_COLUMNS = (
    "effect_id", "work", "sample_id", "subgroup_of", "overlaps", "unit", "country", "cycle", "school_level", "var_a",
    "var_b", "measure_a", "measure_b", "informant_a", "informant_b", "statistic", "ri", "ni", "n_effective", "yi", "vi",
    "diagonal_a_missing", "diagonal_b_missing", "used_in", "reading", "flags", "since",
)  # fmt: skip


def long_table(dataset: Dataset) -> pd.DataFrame:
    """Every effect with Fisher's z `yi` and its variance `vi = 1 / (n - 3)`, n the effective n where there is one.

    yi and vi are empty where the statistic is not r, or r is 1 or -1: such rows have no Fisher z.
    """
    rows = dataset.effects
    n = n_for_variance(rows["n"], rows["n_effective"])
    # With n of 3 or less the variance of z is infinite or negative.
    usable = (rows["statistic"] == "r") & (rows["value"].abs() < 1) & (n > 3)
    rows = rows.assign(ri=rows["value"], ni=rows["n"])
    rows["yi"] = to_fisher_z(rows["value"].where(usable))
    rows["vi"] = fisher_z_variance(np.where(usable, n, np.nan))
    return rows[list(LONG_COLUMNS)]


def matrix_table(dataset: Dataset, variables: tuple[str, ...]) -> pd.DataFrame:
    """Stacked matrices of persons: work, sample, n, the row's variable, and a column per variable.

    A diagonal entry is NA where the source has none (metaSEM decides by the diagonal what is missing); `pooled` is the
    largest number of correlations behind a cell of that row. `n` is the sample's, or the largest of its rows.
    """
    rows = dataset.effects
    # Parts of samples would count persons twice, and units are never mixed in one matrix.
    rows = rows[(rows["unit"] == dataset.vocabulary.person) & (rows["statistic"] == "r") & (rows["subgroup_of"] == "")]
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
        total[i, j] += to_fisher_z(value)
        count[i, j] += 1
        present |= {a, b}
        absent |= {name for name, lost in ((a, lost_a), (b, lost_b)) if lost == "yes"}
    total, count = total + total.T, count + count.T
    with np.errstate(invalid="ignore", divide="ignore"):
        # Averaged as z: means of r are pulled towards 0.
        matrix = np.where(count > 0, back_to_r(total / count), np.nan)
    # A variable that is in no row of the sample keeps NA on its diagonal, which metaSEM reads as not measured.
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
