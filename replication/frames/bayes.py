"""Bayesian models by formula: exact posteriors of two and three levels, and averages over models of bias.

Nothing is sampled: `replication.models.bayes.exact` integrates, with a stated numerical error.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from replication.errors import ModelError
from replication.frames.bias import Source, effects_in_clusters
from replication.frames.design import Column, Design, column, make_design, number_column
from replication.frames.summary import table_text
from replication.models.bayes.arviz_data import inference_data
from replication.models.bayes.averaging.averaging import Averaged, average_models
from replication.models.bayes.averaging.bias_models import BiasPriors, bias_priors
from replication.models.bayes.exact.exact import exact_three_level, exact_two_level
from replication.models.bayes.exact.marginals import Marginal
from replication.models.bayes.exact.posterior import ExactPosterior
from replication.models.bayes.exact.summaries import Curve, density_curve, summarize
from replication.models.bayes.priors import CoefficientPrior, PositivePrior
from replication.models.bayes.priors.informed import correlation_priors
from replication.models.multilevel.structure import BlockV
from replication.models.options import Direction, EffectMetric

__all__ = ["PosteriorModel", "average_over_bias", "posterior"]


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class PosteriorModel:
    """An exact posterior with its formula and labels."""

    exact: ExactPosterior
    design: Design

    def tidy(self) -> pd.DataFrame:
        """Coefficients and sds: term, mean, sd, median, mode, central and shortest interval, prior in words."""
        found = self.exact.summary(bayes_factors=False)
        quantities = [*found.quantities, *([found.prediction] if found.prediction else [])]
        rows = [
            (q.name, q.mean, q.sd, q.median, q.mode, q.central.low, q.central.high, q.shortest.low, q.shortest.high)
            for q in quantities
        ]
        # `term`, as in every table of this package: tables of several models can then be stacked.
        columns = ["term", "mean", "sd", "median", "mode", "ci_low", "ci_high", "shortest_low", "shortest_high"]
        return pd.DataFrame(rows, columns=columns)

    def bayes_factors(self) -> pd.DataFrame:
        """How much likelier the data are with each coefficient or sd than without: log10 and reason where undefined."""
        rows = [(b.restriction, b.log10, b.reason) for b in self.exact.summary().bayes_factors]
        return pd.DataFrame(rows, columns=["restriction", "log10", "reason"])

    def effects(self) -> pd.DataFrame:
        """True effects of the rows, shrunken: label, mean, sd."""
        found = self.exact.effects()
        labels = [self.design.labels[i] for i in found.rows]
        return pd.DataFrame({"label": labels, "mean": found.mean, "sd": found.sd})

    def priors(self) -> pd.DataFrame:
        """Every prior with its parameters and reason."""
        records = self.exact.summary(bayes_factors=False).priors
        rows = [(name, p.distribution, str(p.parameters), p.on, p.reason) for name, p in records.items()]
        return pd.DataFrame(rows, columns=["quantity", "distribution", "parameters", "on", "reason"])

    def predict(self, newdata: pd.DataFrame | None = None) -> pd.DataFrame:
        """The mean and a new true effect at the rows of `newdata` (none: a model with an intercept only)."""
        from replication.frames.design import new_rows

        x = np.ones((1, 1)) if newdata is None else new_rows(self.design, newdata)
        if x.shape[1] != len(self.exact.names):
            raise ModelError(f"the model has {', '.join(self.exact.names)}; pass newdata with its moderators.")
        rows = []
        for at in x:
            # Both, as they are often taken for each other: where the average lies, and where a new setting would.
            mean, new = (summarize(m, "", self.exact.level) for m in (self.exact.average(at), self.exact.predict(at)))
            rows.append((mean.mean, mean.sd, mean.central.low, mean.central.high, new.central.low, new.central.high))
        table = pd.DataFrame(rows, columns=["mean", "sd", "ci_low", "ci_high", "pi_low", "pi_high"])
        return table if newdata is None else pd.concat([newdata.reset_index(drop=True), table], axis=1)

    def curve(self, name: str) -> Curve:
        """The posterior density of a coefficient or sd, for a figure."""
        return density_curve(self._marginal(name))

    def to_inference_data(self, *, draws: int = 1000, seed: int = 2024) -> Any:
        """Joint draws as arviz `InferenceData`, four parts of `draws`: arviz summarises and plots them.

        The draws are independent; `to_netcdf(path)` of the result saves them.
        """
        return inference_data(self.exact, draws=draws, seed=seed)

    def _marginal(self, name: str) -> Marginal:
        return self.exact.sd(name) if name in self.exact.sds else self.exact.coefficient(name)

    def __repr__(self) -> str:
        head = f"Exact posterior: {self.design.formula}  (k = {self.exact.k})"
        accuracy = f"Numerical error {self.exact.accuracy.error:.1g}"
        return "\n\n".join([head, table_text(self.tidy()), accuracy])

    def _repr_html_(self) -> str:
        return str(self.tidy().to_html(index=False))


def posterior(
    formula: str,
    data: pd.DataFrame,
    *,
    clusters: str | None = None,
    v: Column = "vi",
    rho: float | None = None,
    tau: PositivePrior | None = None,
    between: PositivePrior | None = None,
    within: PositivePrior | None = None,
    coefficients: Mapping[str, CoefficientPrior] | CoefficientPrior | None = None,
    level: float = 0.95,
    labels: Column | None = None,
) -> PosteriorModel:
    """The exact posterior of a random-effects model, or with `clusters` of a three-level model.

    Parameters
    ----------
    formula, data, v, level, labels : as in `random_effects`
    clusters : column of studies or samples; effects within them vary as well
    rho : assumed correlation of sampling errors within clusters
    tau, between, within : priors of the standard deviations; by default those for Fisher's z of correlations, half-
        normal(0.3)
    coefficients : one prior for all, or by name (`intercept`, ...); by default normal(0, 1) for the mean and
        normal(0, 0.5) for slopes, which suit Fisher's z

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5], "vi": [0.01, 0.02, 0.01]})
    >>> posterior("yi ~ 1", data).tidy().round(3).loc[1, "mean"].item()
    0.292
    """
    # A row without a variance or a cluster is dropped and listed here, with the columns it lacks.
    needed: dict[str, Column] = {"v": v} if clusters is None else {"v": v, "clusters": clusters}
    design = make_design(formula, data, needed=needed, labels=labels)
    priors = _coefficient_priors(design.names, coefficients)
    variances = number_column(data, v, "v")
    defaults = correlation_priors()
    if clusters is None:
        # Refused and not ignored: whoever passes a prior expects it to count.
        if rho is not None or between is not None or within is not None:
            raise ModelError("rho, between and within belong to a model with clusters; pass clusters, or tau.")
        exact = exact_two_level(
            design.y, variances, design.x, tau=tau or defaults.tau, coefficients=priors, names=design.names, level=level
        )
        return PosteriorModel(exact, design)
    if tau is not None:
        raise ModelError("a model with clusters has two standard deviations; pass between and within instead of tau.")
    labels_of = np.asarray(column(data, clusters, "clusters"))
    exact = exact_three_level(
        design.y,
        variances if rho is None else BlockV.constant_correlation(variances, labels_of, rho),
        labels_of,
        design.x,
        between=between or defaults.between,
        within=within or defaults.within,
        coefficients=priors,
        names=design.names,
        level=level,
    )
    return PosteriorModel(exact, design)


def average_over_bias(
    source: Source,
    *,
    metric: EffectMetric = "z",
    priors: BiasPriors | None = None,
    direction: Direction = "positive",
    level: float = 0.95,
    clusters: Column | None = None,
    rho: float = 0.0,
) -> Averaged:
    """The average over 36 models of effect, heterogeneity and publication bias (Bartoš et al. 2023).

    Parameters
    ----------
    source : a model with an intercept only, or a data frame with `yi` and `vi`
    metric : z or d, which default priors suit
    direction : the sign that bias favours
    clusters : what effects come from; by default the outermost level of a multilevel model, else every row its own
    rho : correlation of the sampling errors within a cluster

    `tidy` of the result shows averages and inclusion; its `summary()` holds every model besides.
    """
    e = effects_in_clusters(source, clusters)
    return average_models(
        e.y, e.v, priors=priors or bias_priors(metric), clusters=e.clusters, correlation=rho, direction=direction,
        level=level,
    )  # fmt: skip


def _coefficient_priors(
    names: tuple[str, ...], given: Mapping[str, CoefficientPrior] | CoefficientPrior | None
) -> list[CoefficientPrior]:
    if isinstance(given, CoefficientPrior):
        return [given] * len(names)
    defaults, by_name = correlation_priors(), dict(given or {})
    unknown = [name for name in by_name if name not in names]
    if unknown:
        raise ModelError(f"coefficients: no {unknown[0]!r} in the model; it has {', '.join(names)}.")
    # without an intercept every column is a mean of its own, as wide as a mean
    single = "intercept" not in names
    return [by_name.get(n, defaults.mean if single or n == "intercept" else defaults.slope) for n in names]
