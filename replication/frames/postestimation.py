"""What is asked of a fitted model: predictions, diagnostics, resampling, and comparison with other models.

Each function takes a `FittedModel` of `frames.models` and returns a data frame labelled by row, cluster or coefficient.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import numpy as np
import pandas as pd

from replication.errors import ModelError
from replication.frames.design import Column, column, new_rows
from replication.frames.fitted import FittedModel, Transform, effects_of
from replication.models.criteria import akaike_weights, average_coefficients, information_criteria, likelihood_ratio
from replication.models.fit import Fit
from replication.models.multilevel.cluster_influence import cluster_influence
from replication.models.multilevel.multilevel import MultilevelData
from replication.models.multilevel.results import leave_one_cluster_out
from replication.models.multilevel.robust import RobustData
from replication.models.options import PredictionMethod
from replication.models.prediction import blups as blups_of
from replication.models.prediction import predict as predict_rows
from replication.models.two_level.influence import SubsetFits
from replication.models.two_level.influence import cumulative as cumulative_fits
from replication.models.two_level.influence import influence as influence_of
from replication.models.two_level.influence import leave_one_out as leave_one_out_fits
from replication.models.two_level.resampling import bootstrap as resampled
from replication.models.two_level.resampling import permutation_test as permutation

__all__ = [
    "average_models",
    "blups",
    "bootstrap",
    "compare",
    "cumulative",
    "influence",
    "leave_one_out",
    "likelihood_ratio_test",
    "permutation_test",
    "predict",
]


def permutation_test(model: FittedModel, *, draws: int = 10_000, seed: int = 2024) -> pd.DataFrame:
    """Permutation p values of every coefficient, and of all moderators together (term `omnibus`).

    All arrangements are tried where there are no more than `draws`. Source: Higgins & Thompson (2004).

    >>> from replication.frames.models import random_effects
    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2, 0.4, 0.3], "vi": [0.01, 0.02, 0.03, 0.01, 0.02, 0.02]})
    >>> permutation_test(random_effects("yi ~ 1", data)).p.tolist()
    [0.03125]
    """
    found = permutation(model.fit, np.random.default_rng(seed), draws=draws)
    rows = [(name, p, found.draws, found.exact) for name, p in zip(found.names, found.p, strict=True)]
    if not np.isnan(found.omnibus):
        rows.append(("omnibus", found.omnibus, found.draws, found.exact))
    return pd.DataFrame(rows, columns=["term", "p", "arrangements", "exact"])


def bootstrap(
    model: FittedModel, *, clusters: Column | None = None, draws: int = 10_000, seed: int = 2024
) -> pd.DataFrame:
    """Percentile intervals of coefficients and tau2 from samples of studies with replacement (by `clusters`, whole)."""
    if model.fit.k < 2:
        raise ModelError("bootstrap: the model has one row, and samples of it are all alike; it needs two or more.")
    # Labels come by row of the data frame; the fit has only the rows it used.
    labels = (
        None if clusters is None else np.asarray(column(model.design.frame, clusters, "clusters"))[list(model.rows)]
    )
    found = resampled(model.fit, np.random.default_rng(seed), draws=draws, clusters=labels)
    ends = [(name, found.interval(name, model.fit.level)) for name in (*found.names, "tau2")]
    return pd.DataFrame([(name, i.low, i.high) for name, i in ends], columns=["term", "ci_low", "ci_high"])


def predict(
    model: FittedModel,
    newdata: pd.DataFrame | None = None,
    *,
    level: float | None = None,
    method: PredictionMethod = "test",
    transform: Transform | None = None,
) -> pd.DataFrame:
    """Means with confidence and prediction intervals, one row for each row of `newdata`.

    Parameters
    ----------
    newdata : moderators by name; by default the rows the model was fitted to, and the one mean of a model without
        moderators
    level : confidence level
    method : degrees of freedom of prediction intervals: those of the test, or riley (k - p - 1)
    transform : such as `numpy.tanh` for Fisher z or `numpy.exp` for log odds; `se` stays on the scale of the model

    >>> from replication.frames.models import random_effects
    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": [0.01, 0.02, 0.03, 0.01], "age": [8, 10, 12, 9]})
    >>> table = predict(random_effects("yi ~ age", data), pd.DataFrame({"age": [9, 11]}))
    >>> table.columns.tolist()
    ['age', 'fit', 'se', 'df', 'ci_low', 'ci_high', 'pi_low', 'pi_high']
    """
    if newdata is None:
        x, shown = effects_of(model.fit).x, model.design.frame.iloc[list(model.rows)]
        if not model.has_moderators:  # every row would say the same
            x, shown = x[:1], shown.iloc[:1].reset_index(drop=True)
    else:
        x, shown = new_rows(model.design, newdata), newdata
    found = predict_rows(model.fit, x, level, method=method)
    scale = transform or (lambda values: values)
    used = [c for c in shown.columns if c in {str(n) for n in model.design.spec.required_variables}]
    ends, outer = found.interval, found.prediction_interval
    return shown[used].assign(
        fit=scale(found.fit),
        se=found.se,
        df=found.df,
        ci_low=scale(ends[:, 0]),
        ci_high=scale(ends[:, 1]),
        pi_low=scale(outer[:, 0]),
        pi_high=scale(outer[:, 1]),
    )


def compare(*models: FittedModel, **named: FittedModel) -> pd.DataFrame:
    """Models side by side: parameters, log-likelihood, AIC, AICc, BIC, and weights by AICc.

    Models passed by name are called so, others by their formula.

    Raises `ModelError` when the models are of different rows, or by REML with different designs.

    >>> from replication.frames.models import random_effects
    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": [0.01, 0.02, 0.03, 0.01], "age": [8, 10, 12, 9]})
    >>> fits = {f: random_effects(f, data, method="ML") for f in ("yi ~ 1", "yi ~ age")}
    >>> compare(mean=fits["yi ~ 1"], age=fits["yi ~ age"]).model.tolist()
    ['mean', 'age']
    """
    every = _called(models, named)
    if len(every) < 2:
        raise ModelError("compare needs two models or more: compare(one, two), or compare(mean=one, age=two).")
    first = next(iter(every.values()))
    for name, model in every.items():
        # Criteria of different data are not on one scale, however alike the models look.
        if model.rows != first.rows:
            raise ModelError(f"{name} is of other rows than the first model; drop rows with missing values beforehand.")
    found = {name: information_criteria(model.fit) for name, model in every.items()}
    if any(c.restricted for c in found.values()) and not _one_design([m.fit for m in every.values()]):
        raise ModelError(
            "the models are by REML and their designs differ: restricted likelihoods of different designs cannot be "
            "compared; fit them with method='ML'."
        )
    table = pd.DataFrame(
        [(n, every[n].fit.k, c.parameters, c.loglik, c.aic, c.aicc, c.bic) for n, c in found.items()],
        columns=["model", "k", "parameters", "loglik", "AIC", "AICc", "BIC"],
    )
    return table.assign(weight=akaike_weights(table.AICc.to_list()))


def likelihood_ratio_test(smaller: FittedModel, larger: FittedModel) -> pd.DataFrame:
    """The likelihood-ratio test of two nested models, in one row (`models.criteria.likelihood_ratio`).

    REML is refused where the formulas differ: refit with `method="ML"`.
    """
    test = likelihood_ratio(smaller.fit, larger.fit)
    notes = "; ".join(note.message for note in test.notes)
    return pd.DataFrame([{"statistic": test.statistic, "df": test.df, "p": test.p, "notes": notes}])


def average_models(*models: FittedModel, **named: FittedModel) -> pd.DataFrame:
    """Coefficients averaged over models by AICc weights: term, estimate, se, importance (weight of models with it)."""
    every = _called(models, named)
    if len(every) < 2:
        raise ModelError("average_models needs two models or more: average_models(one, two).")
    found = average_coefficients({name: model.fit for name, model in every.items()})
    rows = [(a.name, a.estimate, a.se, a.importance) for a in found]
    return pd.DataFrame(rows, columns=["term", "estimate", "se", "importance"])


def influence(model: FittedModel) -> pd.DataFrame:
    """Deletion diagnostics by label: of every effect, or of every cluster where the model has levels.

    Effects: rstudent, dffits, cook, hat, weight, influential, dfbetas. Clusters: heterogeneity, influence, cook,
    influential, and the change of each coefficient (`models.multilevel.cluster_influence`).
    """
    # A row among others of its cluster has hardly any influence of its own: clusters are what is left out.
    if isinstance(model.fit.data, MultilevelData | RobustData):
        return _cluster_table(model)
    found = influence_of(model.fit)
    names = ("rstudent", "dffits", "cook", "covratio", "tau2_deleted", "Q_deleted", "hat", "weight", "influential")
    table = pd.DataFrame({"label": model.labels, **{name: getattr(found, name) for name in names}})
    return table.assign(**{f"dfbetas {n}": found.dfbetas[:, j] for j, n in enumerate(model.fit.names)})


def _cluster_table(model: FittedModel) -> pd.DataFrame:
    found = cluster_influence(model.fit)
    names = ("heterogeneity", "influence", "cook", "influential")
    table = pd.DataFrame({"label": found.labels, **{name: getattr(found, name) for name in names}})
    changes = {f"change {name}": found.change[:, j] for j, name in enumerate(model.fit.names)}
    return table.assign(**changes, reason=found.reasons)


def leave_one_out(model: FittedModel) -> pd.DataFrame:
    """The model without each effect in turn, or without each cluster where it has levels, by label."""
    data = model.fit.data
    if not isinstance(data, MultilevelData | RobustData):
        return _subset_table(leave_one_out_fits(model.fit), model, "without")
    rows = []
    for left in leave_one_cluster_out(model.fit):
        for j, term in enumerate(model.fit.names):
            # A refit that is not possible keeps its line, with the reason in place of numbers.
            numbers = (np.nan,) * 4 if left.fit is None else _numbers(left.fit, j)
            rows.append((left.label, term, *numbers, left.reason))
    return pd.DataFrame(rows, columns=["without", "term", "estimate", "se", "ci_low", "ci_high", "reason"])


def cumulative(model: FittedModel, order: Column | None = None) -> pd.DataFrame:
    """The model as effects come in one by one: in the order of the data, or by the values of the column `order`."""
    index = None
    if order is not None:
        index = _in_order(column(model.design.frame, order, "order"), model)
    return _subset_table(cumulative_fits(model.fit, index), model, "added")


def _in_order(values: Column, model: FittedModel) -> list[int]:
    """Positions of the rows of the fit by their values; those without a value come last."""
    # Values are given for every row of the data frame, the fit has those that were left in.
    column_of = pd.Series(np.asarray(values, dtype=object)[list(model.rows)]).convert_dtypes()
    try:
        return [int(i) for i in column_of.sort_values(kind="stable").index]
    except TypeError:
        raise ModelError("order: the column mixes numbers and text, which have no order; correct it.") from None


def blups(model: FittedModel) -> pd.DataFrame:
    """True effects of the studies, shrunken towards the model, by label: effect, se, interval."""
    found = blups_of(model.fit)
    low, high = found.interval[:, 0], found.interval[:, 1]
    return pd.DataFrame({"label": model.labels, "effect": found.effect, "se": found.se, "ci_low": low, "ci_high": high})


def _numbers(fit: Fit, j: int) -> tuple[float, float, float, float]:
    low, high = fit.interval()[j]
    return float(fit.beta[j]), float(fit.se[j]), float(low), float(high)


def _subset_table(found: SubsetFits, model: FittedModel, what: str) -> pd.DataFrame:
    """One row a refit and coefficient."""
    labels = [model.design.labels[i] for i in found.rows]
    ends = found.interval()
    tables = [
        pd.DataFrame(
            {
                what: labels,
                "term": term,
                "estimate": found.fits.beta[:, j],
                "se": found.fits.se[:, j],
                "ci_low": ends[:, j, 0],
                "ci_high": ends[:, j, 1],
                "tau2": found.fits.tau2,
                "I2": found.fits.I2,
            }
        )
        for j, term in enumerate(found.names)
    ]
    return pd.concat(tables, ignore_index=True)


def _called(models: Sequence[FittedModel], named: Mapping[str, FittedModel]) -> dict[str, FittedModel]:
    """Models by name; those without one are called by their formula, with a number where it comes twice."""
    every: dict[str, FittedModel] = {}
    for model in models:
        if not isinstance(model, FittedModel):
            raise ModelError(f"a {type(model).__name__} is no fitted model; pass what random_effects() returned.")
        # The same formula twice is usual: with another estimator, or before and after rows were left out.
        again = sum(other.formula == model.formula for other in every.values())
        every[f"{model.formula} ({again + 1})" if again else model.formula] = model
    return {**every, **named}


def _one_design(fits: Sequence[Fit]) -> bool:
    first = effects_of(fits[0]).x
    return all(effects_of(fit).x.shape == first.shape and np.allclose(effects_of(fit).x, first) for fit in fits)
