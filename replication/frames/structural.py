"""Meta-analytic structural equation models from a long table: one correlation per row.

`correlation_matrices` reads the table, `masem` fits a path or factor model in two stages or in one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from replication.errors import ModelError
from replication.frames.design import column, number_column
from replication.frames.summary import table_text
from replication.models.fit import Fit
from replication.models.masem import (
    CorrelationSet,
    FixedPool,
    OneStageFit,
    PathFit,
    RandomPool,
    correlations_from_rows,
    fit_one_stage,
    fit_stage1_fixed,
    fit_stage1_random,
    fit_stage2,
    likelihood_intervals,
    one_stage_intervals,
)
from replication.models.masem.matrix_regression import MatrixData, fit_matrix_regression
from replication.models.options import SamplingRule, Tau2Structure

__all__ = ["MatrixRegression", "StructuralModel", "correlation_matrices", "masem", "matrix_regression"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class StructuralModel:
    """A fitted path model: the record of the models in `fitted`, stage 1 in `pool` (two stages only)."""

    fitted: PathFit | OneStageFit
    pool: RandomPool | FixedPool | None

    @property
    def studies(self) -> int:
        """How many studies gave a correlation that was used (`fitted.fit.k` counts correlations)."""
        # Counted in studies, as a reader does; the fit itself counts correlations.
        source = self.fitted if isinstance(self.fitted, OneStageFit) else self.pool
        return 0 if source is None else int(source.data.used.any(axis=1).sum())

    def tidy(self, *, likelihood: bool = False) -> pd.DataFrame:
        """Paths, and named effects: term, estimate, se, z, p, interval (likelihood-based on request)."""
        fit = self.fitted.fit
        ends = fit.interval()
        table = pd.DataFrame(
            {"term": fit.names, "estimate": fit.beta, "se": fit.se, "statistic": fit.statistic, "p": fit.p}
        ).assign(ci_low=ends[:, 0], ci_high=ends[:, 1])
        # Named effects have no z or p here: products are far from normal, so their interval is what to read.
        named = [
            {"term": e.name, "estimate": e.estimate, "se": e.se, "ci_low": e.interval.low, "ci_high": e.interval.high}
            for e in self.fitted.effects
        ]
        table = pd.concat([table, pd.DataFrame(named)], ignore_index=True) if named else table
        return self._with_likelihood(table) if likelihood else table

    def glance(self) -> pd.DataFrame:
        """Fit in one row: chi-square, RMSEA, SRMR, CFI, TLI, AIC, BIC (two stages); -2 log likelihood, AIC (one)."""
        if isinstance(self.fitted, OneStageFit):
            one = self.fitted
            return pd.DataFrame([{"k": self.studies, "minus2loglik": one.minus2loglik, "AIC": one.aic}])
        i = self.fitted.indices
        row = {"chi2": i.chi2, "df": i.df, "p": i.p, "rmsea": i.rmsea, "srmr": i.srmr, "cfi": i.cfi, "tli": i.tli}
        return pd.DataFrame([{"k": self.studies, "n": i.n, **row, "AIC": i.aic, "BIC": i.bic}])

    def pooled(self) -> pd.DataFrame:
        """Pooled correlations of stage 1: pair, estimate, se, interval, and tau2 where effects are random."""
        if self.pool is None:
            raise ModelError("a one-stage model has no stage 1; fit with stages=2 for pooled correlations.")
        fit = self.pool.fit
        ends = fit.interval()
        table = pd.DataFrame({"pair": fit.names, "estimate": fit.beta, "se": fit.se})
        tau2 = {c.name: c.estimate for c in fit.components}
        return table.assign(ci_low=ends[:, 0], ci_high=ends[:, 1], tau2=[tau2.get(n, float("nan")) for n in fit.names])

    def audit(self) -> pd.DataFrame:
        """Every correlation that was not used or deserves a look, with the reason."""
        rows = [(e.study, e.pair, e.code, e.used, e.reason) for e in self.fitted.audit]
        return pd.DataFrame(rows, columns=["study", "pair", "code", "used", "reason"])

    def __repr__(self) -> str:
        parts = [f"Path model of {self.studies} studies", table_text(self.tidy())]
        return "\n\n".join([*parts, table_text(self.glance())])

    def _repr_html_(self) -> str:
        return str(self.tidy().to_html(index=False))

    def _with_likelihood(self, table: pd.DataFrame) -> pd.DataFrame:
        # On request alone, as each end takes a search and a Wald interval none.
        one = isinstance(self.fitted, OneStageFit)
        found = one_stage_intervals(self.fitted) if one else likelihood_intervals(self.fitted)  # type: ignore[arg-type]
        low = [found[t].low if t in found else float("nan") for t in table.term]
        high = [found[t].high if t in found else float("nan") for t in table.term]
        return table.assign(likelihood_low=low, likelihood_high=high)


def correlation_matrices(
    data: pd.DataFrame,
    *,
    study: str = "study",
    n: str = "n",
    first: str = "var1",
    second: str = "var2",
    r: str = "r",
    moderators: Sequence[str] = (),
) -> CorrelationSet:
    """A set of correlation matrices from a long table, one correlation per row; columns are given by name.

    >>> rows = pd.DataFrame({"study": [1, 2], "n": [50, 80], "var1": "x", "var2": "y", "r": [0.3, 0.4]})
    >>> correlation_matrices(rows).pairs
    ('x~~y',)
    """
    columns = {"study": study, "first": first, "second": second}
    s, one, two = (column(data, name, argument).tolist() for argument, name in columns.items())
    size, value = number_column(data, n, "n").tolist(), number_column(data, r, "r").tolist()
    held = {name: column(data, name, "moderators").tolist() for name in moderators}
    return correlations_from_rows(s, size, one, two, value, moderators=held)


def masem(
    model: str,
    data: pd.DataFrame | CorrelationSet,
    *,
    stages: int = 2,
    effects: str = "random",
    moderators: Mapping[str, str | Sequence[str]] | None = None,
    tau2: Tau2Structure = "diagonal",
    sampling: SamplingRule = "weighted",
    level: float = 0.95,
) -> StructuralModel:
    """Fit a path or factor model to correlations of several studies.

    Parameters
    ----------
    model : such as `"ach ~ b*enga + pos; enga ~ a*pos; indirect := a*b"`
    data : a long table with columns study, n, var1, var2, r, or what `correlation_matrices` makes of other columns
    stages : 2 (Cheung & Chan 2005) or 1 (Jak & Cheung 2020), which takes moderators of paths
    effects : random or fixed (stage 1 of two)
    moderators : paths by moderator, one stage only: `{"ses": "a"}`

    >>> rows = pd.DataFrame({"study": [1, 2, 3], "n": [50, 80, 90], "var1": "x", "var2": "y", "r": [0.3, 0.4, 0.2]})
    >>> masem("y ~ b*x", rows, effects="fixed").tidy().round(4).loc[0, "estimate"].item()
    0.298
    """
    held = data if isinstance(data, CorrelationSet) else correlation_matrices(data)
    if stages == 1:
        return StructuralModel(
            fit_one_stage(held, model, moderators=moderators, tau2=tau2, sampling=sampling, level=level), None
        )
    if stages != 2 or effects not in ("random", "fixed"):
        raise ModelError(f"stages={stages!r}, effects={effects!r}: choose stages 1 or 2, and 'random' or 'fixed'.")
    if moderators:
        raise ModelError("moderators of paths need the one-stage model; pass stages=1.")
    pool: RandomPool | FixedPool
    if effects == "fixed":
        pool = fit_stage1_fixed(held, level=level)
    else:
        pool = fit_stage1_random(held, tau2=tau2, sampling=sampling, level=level)
    return StructuralModel(fit_stage2(pool, model, level=level), pool)


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class MatrixRegression:
    """A regression from a correlation matrix; printing shows the coefficients."""

    fit: Fit

    def tidy(self, level: float | None = None) -> pd.DataFrame:
        """Standardised coefficients: term, estimate, se, statistic, df, p, ci_low, ci_high."""
        fit = self.fit
        ends = fit.interval(level)
        columns = {"term": fit.names, "estimate": fit.beta, "se": fit.se, "statistic": fit.statistic, "df": fit.df}
        return pd.DataFrame({**columns, "p": fit.p, "ci_low": ends[:, 0], "ci_high": ends[:, 1]})

    def glance(self) -> pd.DataFrame:
        """R2 and the test that every coefficient is 0: F with its two df, or chi-square (df2 infinite)."""
        data = self.fit.data
        assert isinstance(data, MatrixData)
        row = {"R2": data.R2, "statistic": data.statistic, "df": data.df[0], "df2": data.df[1], "p": data.p}
        return pd.DataFrame([row])

    def __repr__(self) -> str:
        return table_text(self.tidy())


def matrix_regression(
    R: pd.DataFrame,
    outcome: str,
    predictors: Sequence[str],
    *,
    n: float | None = None,
    V: pd.DataFrame | None = None,
    level: float = 0.95,
) -> MatrixRegression:
    """Regress one variable of a correlation matrix on others.

    Parameters
    ----------
    R : correlation matrix with the variables as columns (and, where it has names, as its index)
    outcome, predictors : variables of the matrix
    n : persons behind it, for the matrix of one study (t tests); or
    V : covariance of the correlations below the diagonal, column by column, for a pooled matrix (z tests)

    >>> R = pd.DataFrame([[1, 0.5, 0.3], [0.5, 1, 0.4], [0.3, 0.4, 1]], columns=["y", "a", "b"])
    >>> matrix_regression(R, "y", ["a", "b"], n=100).tidy().estimate.round(4).tolist()
    [0.4524, 0.119]
    """
    if not isinstance(R, pd.DataFrame):
        raise ModelError(f"R is a {type(R).__name__}; pass a pandas data frame with the variables as columns.")
    names = [str(name) for name in R.columns]
    # An index of names is held to them: rows in another order would be another matrix.
    if not isinstance(R.index, pd.RangeIndex) and list(map(str, R.index)) != names:
        raise ModelError(
            f"the rows of R are {', '.join(map(str, R.index))}, its columns {', '.join(names)}: order both alike."
        )
    values = None if V is None else np.asarray(V, dtype=float)
    return MatrixRegression(
        fit_matrix_regression(R.to_numpy(), names, outcome, list(predictors), n=n, V=values, level=level)
    )
