"""Dependent effects of a data frame: their sampling covariance by columns, and one row for each cluster."""

from __future__ import annotations

import numpy as np
import pandas as pd

from replication.effects.covariance import CovarianceBlocks
from replication.effects.dependence import ComparedGroups, dependent_blocks
from replication.effects.dependence import aggregate as aggregate_effects
from replication.errors import ModelError
from replication.frames.design import Column, column, number_column
from replication.models.multilevel.structure import BlockV

__all__ = ["aggregate", "covariance"]


def covariance(
    data: pd.DataFrame,
    cluster: Column,
    *,
    v: Column = "vi",
    rho: float = 1.0,
    kind: Column | None = None,
    rho_other: float | None = None,
    time: Column | None = None,
    phi: float | None = None,
    groups: tuple[str, str, str, str] | None = None,
) -> BlockV:
    """The sampling covariance of dependent effects, for `V=` of `multilevel` and `multivariate`.

    Parameters
    ----------
    cluster : column of samples; effects of different samples are independent
    rho : assumed correlation of two effects of a sample (of one kind, where `kind` is given)
    kind, rho_other : column of what is measured, and the correlation of effects of different kinds
    time, phi : column of occasions, and the correlation one unit apart
    groups : columns of first group, second group and their sizes, for comparisons that share a group

    >>> data = pd.DataFrame({"vi": [0.04, 0.01, 0.09], "s": ["a", "a", "b"]})
    >>> covariance(data, "s", rho=0.5).dense().round(3).tolist()
    [[0.04, 0.01, 0.0], [0.01, 0.01, 0.0], [0.0, 0.0, 0.09]]
    """
    found = _blocks(data, cluster, v, rho=rho, kind=kind, rho_other=rho_other, time=time, phi=phi, groups=groups)
    if not found.blocks:
        raise ModelError("data: no row; pass one row per effect.")
    return BlockV.from_blocks(list(found.blocks), list(found.rows))


def aggregate(
    data: pd.DataFrame,
    cluster: str,
    *,
    rho: float,
    y: str = "yi",
    v: str = "vi",
    kind: Column | None = None,
    rho_other: float | None = None,
    weighted: bool = True,
) -> pd.DataFrame:
    """One row per cluster: its mean effect with variance, the number of effects, and columns that are constant in it.

    Columns that vary within a cluster are left out. Rows without an effect or variance are refused: leave them out.
    """
    for name in (y, v):
        # A mean over the rest would pass for the mean of the sample.
        gone = np.flatnonzero(~np.isfinite(number_column(data, name, "data")))
        if len(gone):
            row = int(gone[0])
            raise ModelError(f"column {name!r}, row {row}: no finite value; drop such rows first (data.dropna()).")
    labels = column(data, cluster, "cluster").tolist()
    found = _blocks(data, cluster, v, rho=rho, kind=kind, rho_other=rho_other, time=None, phi=None, groups=None)
    one = aggregate_effects(number_column(data, y, "y"), found, labels, weighted=weighted)
    table = pd.DataFrame({cluster: one.labels, y: one.estimate, v: one.variance, "effects": one.count})
    # Unsorted: the clusters keep the order of the data, as in the aggregated rows they are merged with.
    rest = data.drop(columns=[y, v]).groupby(cluster, sort=False)
    constant = [name for name, most in rest.nunique(dropna=False).max().items() if most == 1]
    return table.merge(rest[constant].first().reset_index(), on=cluster) if constant else table


def _blocks(
    data: pd.DataFrame,
    cluster: Column,
    v: Column,
    *,
    rho: float,
    kind: Column | None,
    rho_other: float | None,
    time: Column | None,
    phi: float | None,
    groups: tuple[str, str, str, str] | None,
) -> CovarianceBlocks:
    compared = None
    if groups is not None:
        first, second, n_first, n_second = (column(data, name, "groups").tolist() for name in groups)
        compared = ComparedGroups(first, second, n_first, n_second)
    return dependent_blocks(
        number_column(data, v, "v", finite=True),
        np.asarray(column(data, cluster, "cluster")).tolist(),
        rho=rho,
        kind=None if kind is None else np.asarray(column(data, kind, "kind")).tolist(),
        rho_other=rho_other,
        time=None if time is None else number_column(data, time, "time"),
        phi=phi,
        groups=compared,
    )
