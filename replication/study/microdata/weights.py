"""A survey's weights from a column of its file, or a plain reason why the column holds none."""

from __future__ import annotations

import numpy as np
import pandas as pd

from replication.dataset.problems import shown
from replication.dataset.recipes import Recipe
from replication.errors import UserError
from replication.models.fit import Array

__all__ = ["survey_weights"]


def survey_weights(frame: pd.DataFrame, recipe: Recipe, files: str) -> Array | None:
    """The weight of each person `(n,)`, NaN where there is none; None where the recipe names no weight.

    A negative number among the recipe's missing codes counts as no weight.

    Parameters
    ----------
    frame : the persons of the sample.
    recipe : which column holds the weights.
    files : the names of the files, for messages.

    Raises
    ------
    UserError
        when a cell is no number of 0 or more, or nobody has a weight above 0.
    """
    if not recipe.weight:
        return None
    cells = frame[recipe.weight].astype(object)
    weights = pd.to_numeric(cells, errors="coerce").to_numpy(float)
    absent = [float(code) for code in recipe.missing if not isinstance(code, str) and code < 0]
    coded = np.isin(weights, absent)
    blank = cells.isna() | cells.astype(str).str.strip().isin(["", *map(str, recipe.missing)])
    stray = (np.isnan(weights) & ~blank.to_numpy()) | ((weights < 0) & ~coded) | np.isinf(weights)
    place = f"{files}, column {recipe.weight}"
    if stray.any():
        raise UserError(
            f"{place}: found {shown(cells[stray].iloc[0])}; expected a weight, a number of 0 or more; is it the column "
            f"of the weights? (a code for no answer goes under missing in the recipe)"
        )
    if not (weights > 0).any():
        raise UserError(f"{place}: found no weight above 0; expected one a person; take the file that has the weights")
    return np.where(coded, np.nan, weights)
