"""Models by formula: random effects and meta-regression, several levels or outcomes, location-scale, robust inference.

Each function reads columns by name, hands arrays to `replication.models`, and returns a `FittedModel` or a data frame.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike, NDArray

from replication.errors import ModelError
from replication.frames.design import Column, Design, column, make_design, number_column
from replication.frames.fitted import FittedModel, effects_of
from replication.frames.summary import table_text
from replication.models.fit import Fit
from replication.models.multilevel.groups import Codes, build_levels, group_codes
from replication.models.multilevel.multilevel import fit_multilevel
from replication.models.multilevel.multivariate import KnownCorrelation, fit_multivariate
from replication.models.multilevel.robust import reweight
from replication.models.multilevel.robust import robust as robust_fit
from replication.models.multilevel.structure import BlockV
from replication.models.options import (
    LevelStructure,
    LikelihoodMethod,
    NormalTest,
    OutcomeStructure,
    RobustDf,
    RobustKind,
    Tau2Method,
    TestMethod,
)
from replication.models.prepare import as_numbers
from replication.models.two_level.location_scale import fit_location_scale
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["LocationScaleModel", "location_scale", "multilevel", "multivariate", "random_effects", "robust"]

Clusters = str | Sequence[str] | Mapping[str, Column]


def random_effects(
    formula: str,
    data: pd.DataFrame,
    *,
    v: Column = "vi",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    level: float = 0.95,
    labels: Column | None = None,
    weights: Column | None = None,
    tau2: float | None = None,
) -> FittedModel:
    """Fit a random-effects model or meta-regression, or a common-effect model with `method="EE"`.

    Parameters
    ----------
    formula : `"yi ~ 1"`, `"yi ~ age + C(country)"`, `"yi ~ 0 + group"`; an intercept is there unless `0 +` is written
    data : one row per effect; `effect_sizes` makes one
    v : column of sampling variances, or their values
    method : estimator of tau2; REML, DL, PM, ML, EB, SJ, HE, HS, ... or EE for a common effect
    test : knha (Knapp & Hartung), t, z, or adhoc (knha, never narrower than t)
    level : confidence level
    labels : column that names the rows; by default the index
    weights : column of weights to use instead of `1 / (v + tau2)`; method GENQ estimates tau2 in them as well
    tau2 : a value to hold the variance at instead of estimating it

    Raises
    ------
    ModelError
        That names the argument, the row, and what to do.

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": [0.01, 0.02, 0.03, 0.01]}, index=list("abcd"))
    >>> random_effects("yi ~ 1", data, method="DL", test="z").tidy().round(4).loc[0, "estimate"].item()
    0.2327
    """
    design = make_design(formula, data, needed=_with_weights({"v": v}, weights), labels=labels)
    fit = fit_random_effects(
        design.y,
        number_column(data, v, "v"),
        design.x,
        method=method,
        test=test,
        level=level,
        names=design.names,
        weights=None if weights is None else number_column(data, weights, "weights"),
        tau2=tau2,
    )
    return FittedModel(fit, design)


def multilevel(
    formula: str,
    data: pd.DataFrame,
    *,
    clusters: Clusters,
    v: Column = "vi",
    V: BlockV | ArrayLike | None = None,
    rho: float | None = None,
    method: LikelihoodMethod = "REML",
    test: NormalTest = "z",
    structure: LevelStructure = "nested",
    rows: str | None = "effect",
    level: float = 0.95,
    labels: Column | None = None,
    weights: Column | None = None,
) -> FittedModel:
    """Fit a multilevel model: effects in studies, studies in countries, or crossed factors.

    Parameters
    ----------
    formula, data, v, level, labels : as in `random_effects`
    clusters : column or columns, outermost first: `"study"`, `["country", "study"]`
    V : covariance matrix of the sampling errors, or a `BlockV`, instead of `v`
    rho : assumed correlation of the sampling errors within the innermost clusters (a CHE model; add `robust`)
    method : REML or ML
    test : z or t; `robust` gives cluster-robust tests
    structure : nested or crossed
    rows : name of the level of single rows; None leaves it out
    weights : column of weights for the coefficients, or a matrix with a row for each row of the data, instead of the
        inverse of the model's covariance; the variances and the covariance of the effects remain those of the model

    Source: Konstantopoulos (2011); Pustejovsky & Tipton (2022) for `rho`.

    >>> v = [0.01, 0.02, 0.03, 0.01, 0.02]
    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.9, 0.2], "vi": v, "s": [1, 1, 2, 2, 3]})
    >>> multilevel("yi ~ 1", data, clusters="s").components().round(4).variance.tolist()
    [0.0724, 0.0351]
    """
    names = _cluster_columns(clusters)
    for values in names.values():
        # Asked before the design, so that a mistyped cluster column is named as such.
        column(data, values, "clusters")
    # With a V given the column of variances need not be there at all.
    needed: dict[str, Column] = {**names} if V is not None else {"v": v, **names}
    design = make_design(formula, data, needed=_with_weights(needed, weights), labels=labels)
    # At full length, as the design is: the model drops rows of both by one rule.
    factors = {name: np.asarray(column(data, values, "clusters")) for name, values in names.items()}
    fit = fit_multilevel(
        design.y,
        _sampling_covariance(design, factors, v=v, V=V, rho=rho),
        factors,
        design.x,
        method=method,
        test=test,
        structure=structure,
        rows=rows,
        level=level,
        names=design.names,
    )
    return FittedModel(_in_weights(fit, data, weights), design)


def multivariate(
    formula: str,
    data: pd.DataFrame,
    *,
    outcome: str,
    study: str,
    v: Column = "vi",
    V: BlockV | ArrayLike | None = None,
    rho: float | None = None,
    structure: OutcomeStructure = "UN",
    times: Mapping[str, float] | None = None,
    levels: Sequence[str] = (),
    known: Mapping[str, pd.DataFrame] | None = None,
    method: LikelihoodMethod = "REML",
    test: NormalTest = "z",
    level: float = 0.95,
    labels: Column | None = None,
    weights: Column | None = None,
) -> FittedModel:
    """Fit several outcomes or occasions at once: true effects of one study covary.

    Parameters
    ----------
    formula : usually with a mean for each outcome, such as `"yi ~ 0 + outcome"`
    outcome, study : columns; effects of one study covary by their outcome
    V : covariance matrix of the sampling errors (`covariance` makes one), or `rho`, one assumed correlation in a study
    structure : UN (any), CS, HCS, DIAG, ID, or in time AR, HAR, CAR
    times : times of the occasions, where their labels are no numbers
    levels : columns of further groupings, each with a variance
    known : correlations between the groups of a level as a data frame named on both sides: a phylogeny, a pedigree
    weights : as in `multilevel`

    Source: van Houwelingen, Arends & Stijnen (2002).

    >>> data = pd.DataFrame({"yi": [0.4, 0.1, 0.5, 0.3, 0.2, 0.0, 0.9, 0.4], "vi": 0.02, "o": ["a", "b"] * 4})
    >>> model = multivariate("yi ~ 0 + o", data.assign(s=[1, 1, 2, 2, 3, 3, 4, 4]), outcome="o", study="s", rho=0.5)
    >>> model.components().component.tolist()
    ['tau2[a]', 'tau2[b]', 'rho[a, b]']
    """
    for argument, name in (("outcome", outcome), ("study", study), *(("levels", name) for name in levels)):
        column(data, name, argument)
    columns: dict[str, Column] = {name: name for name in (outcome, study, *levels)}
    needed = columns if V is not None else {"v": v, **columns}
    design = make_design(formula, data, needed=_with_weights(needed, weights), labels=labels)
    groups = {name: np.asarray(column(data, name, "study")) for name in columns}
    fit = fit_multivariate(
        design.y,
        _sampling_covariance(design, {study: groups[study]}, v=v, V=V, rho=rho),
        groups[outcome],
        groups[study],
        design.x,
        structure=structure,
        times=times,
        levels={name: groups[name] for name in levels},
        known={n: KnownCorrelation(tuple(map(str, R.columns)), R.to_numpy(float)) for n, R in (known or {}).items()},
        method=method,
        test=test,
        level=level,
        names=design.names,
    )
    return FittedModel(_in_weights(fit, data, weights), design)


def _with_weights(needed: dict[str, Column], weights: Column | None) -> dict[str, Column]:
    """The columns a model needs, with that of its weights; a matrix of weights is no column."""
    return needed if weights is None or np.ndim(weights) == 2 else {**needed, "weights": weights}


def _in_weights(fit: Fit, data: pd.DataFrame, weights: Column | None) -> Fit:
    """The fit with coefficients in a column or matrix of weights, if there is one."""
    if weights is None:
        return fit
    rows = np.array(effects_of(fit).rows)
    if np.ndim(weights) < 2:
        return reweight(fit, number_column(data, weights, "weights")[rows])
    W = as_numbers(weights, "weights")
    if W.shape != (len(data), len(data)):
        raise ModelError(f"weights is a matrix of {W.shape}, the data have {len(data)} rows; pass a row for each.")
    # A matrix is given for the rows of the data, of which the fit may have left some out.
    return reweight(fit, W[np.ix_(rows, rows)])


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class LocationScaleModel:
    """Moderators of the mean (`mean`) and of log tau2 (`scale`), each a `FittedModel`; `tau2 (k,)` by row."""

    mean: FittedModel
    scale: FittedModel
    tau2: NDArray[np.float64]

    def tidy(self) -> pd.DataFrame:
        """Coefficients of both parts, named in the column `part`."""
        # Both parts have an intercept: without the column `part` a term would stand there twice.
        parts = [self.mean.tidy().assign(part="mean"), self.scale.tidy().assign(part="log tau2")]
        table = pd.concat(parts, ignore_index=True)
        return table[["part", *(name for name in table.columns if name != "part")]]

    def __repr__(self) -> str:
        head = f"Location-scale model: {self.mean.formula}; scale: {self.scale.formula}  (k = {self.mean.fit.k})"
        return f"{head}\n\n{table_text(self.tidy())}"


def location_scale(
    formula: str,
    scale: str,
    data: pd.DataFrame,
    *,
    v: Column = "vi",
    method: LikelihoodMethod = "REML",
    test: NormalTest = "z",
    level: float = 0.95,
    labels: Column | None = None,
) -> LocationScaleModel:
    """Fit moderators of the mean (`formula`) and of the heterogeneity (`scale`, such as `"~ year"`) together.

    log tau2 is linear in the scale moderators. Source: Viechtbauer & López-López (2022).

    >>> data = pd.DataFrame({"yi": [0.1, 0.9, -0.4, 0.2, 0.3, 0.25, 0.1, 0.7], "vi": 0.02, "g": ["a"] * 4 + ["b"] * 4})
    >>> location_scale("yi ~ 1", "~ g", data).tidy().term.tolist()
    ['intercept', 'intercept', 'g[T.b]']
    """
    mean_design = make_design(formula, data, needed={"v": v}, labels=labels)
    # The response is put back in front: both designs then drop rows by the same rules.
    right = (scale.partition("~")[2] if "~" in scale else scale).strip()
    scale_design = make_design(f"{mean_design.response} ~ {right}", data, needed={"v": v}, labels=labels)
    fit = fit_location_scale(
        mean_design.y,
        number_column(data, v, "v"),
        mean_design.x,
        scale_design.x,
        method=method,
        test=test,
        level=level,
        names=mean_design.names,
        scale_names=scale_design.names,
    )
    return LocationScaleModel(FittedModel(fit.fit, mean_design), FittedModel(fit.scale, scale_design), fit.tau2)


def robust(
    model: FittedModel,
    clusters: Column | None = None,
    *,
    kind: RobustKind = "CR2",
    df: RobustDf = "satterthwaite",
) -> FittedModel:
    """The same model with cluster-robust standard errors and t tests.

    Parameters
    ----------
    model : of `random_effects` or `multilevel`, the working model
    clusters : column of independent groups; by default the outermost level
    kind : CR2 (few clusters) or CR0, CR1, CR1p, CR1S
    df : satterthwaite or clusters

    Source: Pustejovsky & Tipton (2018).

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.9, 0.2, 0.4], "vi": 0.02, "s": [1, 1, 2, 2, 3, 3]})
    >>> round(robust(multilevel("yi ~ 1", data, clusters="s")).tidy().loc[0, "se"].item(), 4)
    0.1528
    """
    labels = (
        None if clusters is None else np.asarray(column(model.design.frame, clusters, "clusters"))[list(model.rows)]
    )
    return model.with_fit(robust_fit(model.fit, kind, labels, df=df))


def _cluster_columns(clusters: Clusters) -> dict[str, Column]:
    if isinstance(clusters, str):
        # "country/study", as metafor and lme4 write nested levels.
        return {part.strip(): part.strip() for part in clusters.split("/")}
    if isinstance(clusters, Mapping):
        return {str(name): values for name, values in clusters.items()}
    names = list(clusters)
    if not all(isinstance(name, str) for name in names):
        raise ModelError("clusters: pass names of columns, outermost first, or a mapping of name to labels.")
    return {str(name): str(name) for name in names}


def _sampling_covariance(
    design: Design, factors: Mapping[str, ArrayLike], *, v: Column, V: BlockV | ArrayLike | None, rho: float | None
) -> BlockV | ArrayLike:
    if V is not None:
        if rho is not None:
            raise ModelError("pass V or rho, not both: rho makes a V from the variances.")
        return V
    variances = number_column(design.frame, v, "v")
    if rho is None:
        return variances
    # Rows that are left out get a block of their own, so that the blocks of the others do not hang on them.
    lost = np.isnan(design.y)
    innermost = _innermost(factors, len(variances))
    return BlockV.constant_correlation(variances, np.where(lost, -1 - np.arange(len(variances)), innermost), rho)


def _innermost(factors: Mapping[str, ArrayLike], k: int) -> Codes:
    codes = {name: group_codes(labels, k, name) for name, labels in factors.items()}
    return build_levels(codes, k, "nested", None)[-1].codes
