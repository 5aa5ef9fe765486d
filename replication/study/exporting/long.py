"""One effect a row, with everything metafor needs: yi, vi, and the columns that say what depends on what."""

from __future__ import annotations

import numpy as np
import pandas as pd

from replication.dataset import Dataset

__all__ = ["LONG_COLUMNS", "long_table"]

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
    n = rows["n_effective"].where(rows["n_effective"].notna(), rows["n"])
    usable = (rows["statistic"] == "r") & (rows["value"].abs() < 1) & (n > 3)
    rows = rows.assign(ri=rows["value"], ni=rows["n"])
    rows["yi"] = np.arctanh(rows["value"].where(usable))
    rows["vi"] = (1.0 / (n - 3.0)).where(usable)
    return rows[list(LONG_COLUMNS)]
