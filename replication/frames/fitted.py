"""A fitted model with its labels: what every fitting function of the front door returns.

`FittedModel` wraps the `Fit` of the models with the data frame and formula behind it. Tables come out as data frames,
texts from `frames.summary`, the paragraph for a paper from `frames.methods`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields, is_dataclass, replace
from inspect import signature
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from replication.errors import ModelError
from replication.frames.design import Design
from replication.models.bias.selection_fit import SelectionFit
from replication.models.bias.selection_intervals import selection_intervals
from replication.models.criteria import information_criteria
from replication.models.fit import Component, Fit, Interval, Note
from replication.models.multilevel.multilevel import MultilevelData
from replication.models.multilevel.multivariate import MultivariateData
from replication.models.multilevel.residuals import row_diagnostics
from replication.models.multilevel.results import profile_intervals
from replication.models.multilevel.robust import before_robust, wald_test
from replication.models.prediction import prediction_interval
from replication.models.prepare import EffectData
from replication.models.two_level.count_models import CountsData
from replication.models.two_level.influence import influence
from replication.models.two_level.intervals import tau2_interval
from replication.models.two_level.location_scale import LocationScaleData

if TYPE_CHECKING:
    from replication.models.bayes.averaging.averaging import Averaged

__all__ = ["FittedModel", "Transform", "effects_of", "marginal_variances", "tidy"]

# A function from the scale of the model to one people read, such as `numpy.tanh` (Fisher z) or `numpy.exp` (log odds).
Transform = Callable[[Any], Any]


class _HasTidy(Protocol):
    def tidy(self) -> pd.DataFrame: ...


@dataclass(frozen=True, slots=True, eq=False, repr=False)
class FittedModel:
    """A fit with the formula, data and labels behind it.

    `fit` is the record of the models (coefficients, covariance, variance components, choices, notes); `design` the
    formula, the rows and their labels. Printing shows the summary.
    """

    fit: Fit
    design: Design

    @property
    def formula(self) -> str:
        """The formula, as written."""
        return self.design.formula

    @property
    def rows(self) -> tuple[int, ...]:
        """Positions, in the data frame, of the effects that were used."""
        # Robust and multilevel fits keep their effects deeper; all of them count rows of the same data frame.
        return effects_of(self.fit).rows

    @property
    def labels(self) -> tuple[str, ...]:
        """Labels of the effects that were used."""
        return tuple(self.design.labels[i] for i in self.rows)

    @property
    def notes(self) -> tuple[Note, ...]:
        """What a reader must know about the fit."""
        return self.fit.notes

    @property
    def has_moderators(self) -> bool:
        """Whether the mean is anything but one number."""
        return len(self.fit.names) > 1 or not self.design.has_intercept

    def with_fit(self, fit: Fit) -> FittedModel:
        """Another fit of the same data: robust inference, for example."""
        return replace(self, fit=fit)

    def tidy(self, level: float | None = None) -> pd.DataFrame:
        """Coefficients as a data frame: term, estimate, se, statistic, df, p, ci_low, ci_high."""
        fit = self.fit
        ends = fit.interval(level)
        return pd.DataFrame(
            {
                "term": fit.names,
                "estimate": fit.beta,
                "se": fit.se,
                "statistic": fit.statistic,
                "df": fit.df,
                "p": fit.p,
                "ci_low": ends[:, 0],
                "ci_high": ends[:, 1],
            }
        )

    def components(self, *, intervals: bool = False) -> pd.DataFrame:
        """Variance components: component, variance, sd, se, and their interval when asked for.

        Models of several outcomes have correlations of true effects beside the variances, in a column of their own.
        Intervals are Q-profile for tau2 and profile-likelihood for the levels of a multilevel model; models of several
        outcomes have none (NaN).
        """
        # Intervals are searched for: only where asked.
        parts = self._profiled() if intervals else self.fit.components
        variance, correlation = (
            np.array([part.estimate if part.kind == kind else np.nan for part in parts], dtype=float)
            for kind in ("variance", "correlation")
        )
        ends = [(part.interval.low, part.interval.high) if part.interval else (np.nan, np.nan) for part in parts]
        columns = {
            "component": [part.name for part in parts],
            "variance": variance,
            "sd": np.sqrt(variance),
            "correlation": correlation,
            "se": np.array([part.se for part in parts], dtype=float),
            "ci_low": np.array([low for low, _ in ends], dtype=float),
            "ci_high": np.array([high for _, high in ends], dtype=float),
        }
        if all(part.kind != "correlation" for part in parts):
            del columns["correlation"]
        return pd.DataFrame(columns)

    def glance(self) -> pd.DataFrame:
        """The model in one row: k, clusters, variances, heterogeneity, test of moderators, likelihood, AIC, BIC."""
        fit, q = self.fit, self.fit.heterogeneity
        row: dict[str, object] = {"k": fit.k, "clusters": fit.clusters, "coefficients": len(fit.names)}
        row |= {part.name: part.estimate for part in fit.components}
        if q is not None:
            row |= {"I2": q.I2, "H2": q.H2, "R2": q.R2, "Q": q.Q, "Q_df": q.df, "Q_p": q.p}
        if self.has_moderators:
            test = wald_test(fit, [name for name in fit.names if name != "intercept"])
            row |= {f"QM_{test.kind}": test.statistic, "QM_df": test.df_num, "QM_df2": test.df_den, "QM_p": test.p}
        else:
            interval = prediction_interval(fit)
            row |= {"pi_low": interval.low, "pi_high": interval.high}
        criteria = information_criteria(fit)
        row |= {"loglik": fit.loglik, "AIC": criteria.aic, "AICc": criteria.aicc, "BIC": criteria.bic}
        return pd.DataFrame([row])

    def augment(self) -> pd.DataFrame:
        """The rows that were used, as given, with label, fitted mean, residual, standardised residual and leverage.

        Two-level models add rstudent, hat, cook, dffits, weight and influential (`models.influence`).
        """
        data = effects_of(self.fit)
        mean = data.x @ self.fit.beta
        table = self.design.frame.iloc[list(self.rows)].copy()
        added: dict[str, NDArray[Any]] = {
            "label": np.array(self.labels, dtype=object),
            "fitted": mean,
            "residual": data.y - mean,
        }
        # Leverage and standardised residuals rest on inverse-variance weights with one tau2 for all rows.
        if data.weights is None and not isinstance(self.fit.data, LocationScaleData | CountsData):
            rows = row_diagnostics(self.fit)
            added |= {"standardised": rows.standardised, "hat": rows.hat}
        if isinstance(self.fit.data, EffectData) and self.fit.k > len(self.fit.names):
            found = influence(self.fit)
            added |= {name: getattr(found, name) for name in ("rstudent", "hat", "cook", "dffits", "weight")}
            added["influential"] = found.influential
        # A dot where the data have such a column already: nothing of theirs is overwritten.
        return table.assign(**{(f".{name}" if name in table.columns else name): v for name, v in added.items()})

    def dropped(self) -> pd.DataFrame:
        """Rows that were left out: row (from 0), label, and the columns without a value."""
        rows = [(d.row, d.label, ", ".join(d.missing)) for d in self.design.dropped]
        return pd.DataFrame(rows, columns=["row", "label", "missing"])

    def summary(self, transform: Transform | None = None) -> Any:
        """The model as a text table (HTML in notebooks); `transform` adds estimates on a scale people read."""
        from replication.frames.summary import summarise

        return summarise(self, transform)

    def to_latex(self, transform: Transform | None = None) -> str:
        """Coefficients and heterogeneity as a LaTeX table (booktabs)."""
        from replication.frames.summary import latex

        return latex(self, transform)

    def methods_text(self) -> str:
        """A paragraph for the methods section of a paper, made from the choices of the fit."""
        from replication.frames.methods import methods_text

        return methods_text(self)

    def _profiled(self) -> tuple[Component, ...]:
        """The variance components, with intervals where the model has them; robust inference leaves variances alone."""
        fit = before_robust(self.fit)
        if isinstance(fit.data, MultilevelData):
            return profile_intervals(fit).components
        if isinstance(fit.data, EffectData):
            return tuple(replace(part, interval=part.interval or tau2_interval(fit)) for part in fit.components)
        return fit.components

    def __repr__(self) -> str:
        return str(self.summary())

    def _repr_html_(self) -> str:
        return str(self.summary()._repr_html_())


def effects_of(fit: Fit) -> EffectData:
    """The effects, design and rows of a fit of any family: two levels, several levels, robust or not."""
    data = before_robust(fit).data
    if isinstance(data, MultilevelData):
        return data.effects
    if isinstance(data, EffectData):
        return data
    found = getattr(data, "effects", None)
    if isinstance(found, EffectData):
        return found
    raise ModelError("this needs a fit of effects with variances; the fit given is of another kind.")


def marginal_variances(fit: Fit) -> NDArray[np.float64]:
    """The variance of each effect used `(k,)`: of sampling, and of true effects as the model has it for that row."""
    fit = before_robust(fit)
    if isinstance(fit.data, MultivariateData):
        return fit.data.covariance(np.arange(fit.k)[:, None])[:, 0, 0]
    v = effects_of(fit).v
    if isinstance(fit.data, LocationScaleData):
        return np.asarray(v + fit.data.tau2)
    return np.asarray(v + float(np.nansum([part.estimate for part in fit.components])))


def tidy(result: object, *, likelihood: bool = False) -> pd.DataFrame:
    """Any result as a data frame: the coefficients of a model, else one row of a record's numbers and words.

    Records of columns alone (influence, shrunken effects) give a row per effect. Selection models give their
    coefficients, tau2 and selection parameters; with `likelihood=True`, for them and for path models, tau2 and
    selection parameters (paths) have profile-likelihood intervals in place of (beside) Wald's. Averages over models of
    bias give what was averaged, then how probable each component is.

    >>> from replication.models.bias import rank_test
    >>> tidy(rank_test([0.1, 0.3, 0.5, 0.2], [0.01, 0.02, 0.03, 0.01])).columns.tolist()
    ['tau', 'p', 'exact', 'k']
    """
    own = getattr(result, "tidy", None)
    if isinstance(result, SelectionFit):
        return _selection_table(result, likelihood=likelihood)
    if hasattr(result, "inclusion"):
        # Loaded here, where there is an average to show: most tables are of fits, and wait for no model of bias.
        from replication.models.bayes.averaging.averaging import Averaged

        if isinstance(result, Averaged):
            return _averaged_table(result)
    if likelihood and not (callable(own) and "likelihood" in signature(own).parameters):
        raise ModelError(f"a {type(result).__name__} has no profile-likelihood intervals; leave out likelihood=True.")
    if callable(own):
        return own(likelihood=True) if likelihood else own()  # type: ignore[no-any-return]
    if isinstance(result, Fit):
        return FittedModel.tidy(FittedModel(result, None))  # type: ignore[arg-type]
    return _record_table(result)


def _record_table(result: object) -> pd.DataFrame:
    """A record as a data frame: a row per entry of its longest columns, else one row of its numbers and words."""
    if not is_dataclass(result) or isinstance(result, type):
        raise ModelError(f"tidy does not know a {type(result).__name__}; pass a result of this package.")
    values = {f.name: getattr(result, f.name) for f in fields(result)}
    row = _record_row(values)
    columns = {name: value for name, value in values.items() if _length(value)}
    # What has an estimate or a test of its own is one row, whatever it lists besides.
    if columns and not any(isinstance(value, float | np.floating) for value in row.values()):
        # A record may hold columns of two lengths (rows, coefficients); those of the rows make the table.
        longest = max(_length(value) for value in columns.values())
        return pd.DataFrame({n: np.asarray(v) for n, v in columns.items() if _length(v) == longest})
    return pd.DataFrame([row])


def _record_row(values: Mapping[str, object]) -> dict[str, object]:
    """Numbers and words of a record, ends of its intervals, numbers of the tests in it, and the mean of its model."""
    row: dict[str, object] = {}
    for name, value in values.items():
        if isinstance(value, Interval):
            row |= {f"{name}_low": value.low, f"{name}_high": value.high}
        elif isinstance(value, str | int | float | np.generic):
            row[name] = value
        elif isinstance(value, Fit):
            if name == "fit" and "estimate" not in values and len(value.beta) == 1:
                (low, high), estimate = value.interval()[0], float(value.beta[0])
                row |= {"estimate": estimate, "se": float(value.se[0]), "ci_low": float(low), "ci_high": float(high)}
        elif is_dataclass(value) and not isinstance(value, type):
            inner = _record_row({f.name: getattr(value, f.name) for f in fields(value)})
            row |= {f"{name}_{part}": number for part, number in inner.items()}
    return row


def _selection_table(found: SelectionFit, *, likelihood: bool) -> pd.DataFrame:
    """A selection model as rows: part (mean, tau2, selection), term, estimate, se, interval, and why an end is open."""
    fit, tau2 = found.fit, found.fit.component("tau2")
    profiled = dict(selection_intervals(found)) if likelihood else {}
    nothing = Interval(np.nan, np.nan, fit.level, "none")
    ends = [Interval(float(low), float(high), fit.level, "wald") for low, high in fit.interval()]
    rows: list[tuple[str, str, float, float, Interval]] = [
        *(("mean", *row) for row in zip(fit.names, fit.beta.tolist(), fit.se.tolist(), ends, strict=True)),
        ("tau2", "tau2", tau2.estimate, tau2.se, profiled.get("tau2", nothing)),
        *(("selection", p.name, p.estimate, p.se, profiled.get(p.name, p.interval)) for p in found.selection),
    ]
    table = [(part, term, estimate, se, i.low, i.high, i.method, i.reason) for part, term, estimate, se, i in rows]
    return pd.DataFrame(table, columns=["part", "term", "estimate", "se", "ci_low", "ci_high", "interval", "reason"])


def _averaged_table(found: Averaged) -> pd.DataFrame:
    """An average over models as rows: part (average, inclusion), term, mean to interval, prior and posterior."""
    shown = found.summary()
    averages = [
        {"part": "average", "term": e.name, "mean": e.mean, "sd": e.sd, "median": e.median, "ci_low": e.central.low,
         "ci_high": e.central.high}
        for e in shown.estimates
    ]  # fmt: skip
    components = [
        {"part": "inclusion", "term": i.component, "prior": i.prior, "posterior": i.posterior, "log10_bf": i.log10}
        for i in shown.inclusion
    ]
    return pd.DataFrame([*averages, *components])


def _length(value: object) -> int:
    """The length of a column; 0 for what is no column of numbers or words."""
    if isinstance(value, np.ndarray):
        return len(value) if value.ndim == 1 else 0
    if isinstance(value, tuple) and value and all(isinstance(item, str | int | float) for item in value):
        return len(value)
    return 0
