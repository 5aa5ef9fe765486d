"""Tests of and corrections for publication bias on a fitted model or a data frame with `yi` and `vi`.

Each function is the method of the same name in `replication.models.bias`; there stand its formulas and sources. None of
them is a correction to believe alone: `bias_table` shows them side by side.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd

from replication.errors import ModelError
from replication.frames.design import Column, column, number_column, require_frame
from replication.frames.fitted import FittedModel, effects_of
from replication.models import bias as methods
from replication.models.bias.pet_peese import PetPeese
from replication.models.bias.selection_fit import SelectionFit
from replication.models.bias.trim_fill import TrimFill
from replication.models.bias.waap import Waap
from replication.models.fit import Array, Interval
from replication.models.multilevel.multilevel import MultilevelData
from replication.models.multilevel.robust import RobustData
from replication.models.options import (
    Alternative,
    Direction,
    EmptyStep,
    FailSafeKind,
    FillEstimator,
    FillSide,
    FunnelModel,
    FunnelPredictor,
    SelectionSides,
    SelectionTau2,
    SmoothSelection,
    Tau2Method,
    TestMethod,
    check_choice,
)
from replication.models.prepare import prepare_effects

__all__ = [
    "Source",
    "beta_selection",
    "bias_table",
    "effects_in_clusters",
    "egger_test",
    "excess_significance",
    "fail_safe_n",
    "henmi_copas",
    "independent_effects",
    "p_curve",
    "pet_peese",
    "rank_test",
    "smooth_selection",
    "step_selection",
    "trim_fill",
    "truncated_selection",
    "waap",
]

Source = FittedModel | pd.DataFrame


@dataclass(frozen=True, slots=True, eq=False)
class _Effects:
    """Effects as the methods take them; `x` and `names` where a model has moderators, `clusters` where rows depend."""

    y: Array
    v: Array
    x: Array | None = None
    names: tuple[str, ...] | None = None
    clusters: Array | None = None


def egger_test(
    source: Source,
    *,
    predictor: FunnelPredictor = "se",
    model: FunnelModel = "mixed",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    clusters: Column | None = None,
) -> methods.EggerTest:
    """Egger's regression test of funnel asymmetry; moderators of the model stay in.

    Parameters
    ----------
    source : a model, or a data frame with `yi` and `vi`
    predictor : se, variance, or sample-size based
    model : mixed, or wls (Egger et al. 1997)
    clusters : column of studies for cluster-robust tests; the outermost level of a multilevel model by default

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2, 0.4], "vi": [0.01, 0.02, 0.04, 0.01, 0.05]})
    >>> round(egger_test(data).p, 4)
    0.0387
    """
    # Moderators explain part of the asymmetry; leaving them out would call that part bias.
    e = effects_in_clusters(source, clusters, moderators=True)
    return methods.egger_test(
        e.y, e.v, e.x, predictor=predictor, model=model, method=method, test=test, names=e.names, clusters=e.clusters
    )


def rank_test(source: Source) -> methods.RankTest:
    """Begg and Mazumdar's rank test of funnel asymmetry."""
    e = independent_effects(source, "rank_test")
    return methods.rank_test(e.y, e.v)


def trim_fill(
    source: Source, *, estimator: FillEstimator = "L0", side: FillSide | None = None, method: Tau2Method = "REML"
) -> TrimFill:
    """Trim and fill (Duval & Tweedie 2000): how many effects seem missing, and the mean with their mirror images."""
    e = independent_effects(source, "trim_fill")
    return methods.trim_fill(e.y, e.v, estimator=estimator, side=side, method=method)


def pet_peese(
    source: Source,
    *,
    direction: Direction | None = None,
    alpha: float = 0.1,
    model: FunnelModel = "wls",
    clusters: Column | None = None,
) -> PetPeese:
    """PET-PEESE (Stanley & Doucouliagos 2014); cluster-robust for multilevel models."""
    e = effects_in_clusters(source, clusters)
    return methods.pet_peese(e.y, e.v, direction=direction, alpha=alpha, model=model, clusters=e.clusters)


def waap(source: Source, *, clusters: Column | None = None) -> Waap:
    """The weighted average of adequately powered studies, WLS where fewer than two are (Stanley et al. 2017)."""
    e = effects_in_clusters(source, clusters)
    return methods.waap_wls(e.y, e.v, clusters=e.clusters)


def henmi_copas(source: Source, *, level: float = 0.95) -> methods.HenmiCopas:
    """Henmi and Copas's (2010) common-effect centre with an interval that allows for heterogeneity and bias."""
    e = independent_effects(source, "henmi_copas")
    return methods.henmi_copas(e.y, e.v, level=level)


def p_curve(source: Source, *, direction: Direction | None = None) -> methods.PCurve:
    """The curve of significant p values (Simonsohn et al. 2014); not diagnostic of bias under heterogeneity."""
    e = independent_effects(source, "p_curve")
    return methods.p_curve(e.y, e.v, direction=direction)


def step_selection(
    source: Source,
    *,
    steps: Sequence[float] = (0.025,),
    direction: Direction = "positive",
    sides: SelectionSides = "one",
    weights: Sequence[float] | None = None,
    tau2: SelectionTau2 = "ML",
    empty: EmptyStep = "error",
    selected: Column | None = None,
) -> SelectionFit:
    """The step-function selection model (Vevea & Hedges 1995); three parameters with the default step.

    `selected` is a column of True for rows that had to pass the selection, False for those that are there whatever they
    found (registered reports, open data); all by default.
    """
    e = independent_effects(source, "step_selection", moderators=True)
    return methods.fit_step_selection(
        e.y,
        e.v,
        e.x,
        steps=steps,
        direction=direction,
        sides=sides,
        weights=weights,
        tau2=tau2,
        empty=empty,
        selected=_of_rows(source, selected, "selected"),
        names=e.names,
    )


def beta_selection(
    source: Source,
    *,
    direction: Direction = "positive",
    tau2: SelectionTau2 = "ML",
    selected: Column | None = None,
) -> SelectionFit:
    """The beta selection model (Citkowicz & Vevea 2017); `selected` as in `step_selection`."""
    e = independent_effects(source, "beta_selection", moderators=True)
    chosen = _of_rows(source, selected, "selected")
    return methods.fit_beta_selection(e.y, e.v, e.x, direction=direction, tau2=tau2, selected=chosen, names=e.names)


def smooth_selection(
    source: Source,
    shape: SmoothSelection,
    *,
    direction: Direction = "positive",
    tau2: SelectionTau2 = "ML",
    imprecision: Column | None = None,
    selected: Column | None = None,
) -> SelectionFit:
    """A smooth selection model: half-normal, negative exponential (with a power of p, too), logistic, or power.

    Source: Preston, Ashby & Smyth (2004). `imprecision` ("se", "variance", or a column such as 1 / n) lets selection
    press on each row in proportion to it; `selected` as in `step_selection`.
    """
    e = independent_effects(source, "smooth_selection", moderators=True)
    if isinstance(imprecision, str) and imprecision in ("se", "variance"):
        # Negative variances are refused with the effects themselves, by the fit.
        pull: Array | None = np.sqrt(np.abs(e.v)) if imprecision == "se" else e.v
    else:
        pull = _of_rows(source, imprecision, "imprecision")
    chosen = _of_rows(source, selected, "selected")
    return methods.fit_smooth_selection(
        e.y, e.v, e.x, shape=shape, direction=direction, imprecision=pull, tau2=tau2, selected=chosen, names=e.names
    )


def truncated_selection(
    source: Source,
    *,
    cut: float | None = 0.0,
    weight: float | None = None,
    direction: Direction = "positive",
    tau2: SelectionTau2 = "ML",
    selected: Column | None = None,
) -> SelectionFit:
    """The truncated selection model: effects up to `cut` are seen less often (Rust et al. 1990; Formann 2008).

    `weight=0` says that they are never seen, which is the truncated normal distribution; `cut=None` takes the cut of
    highest likelihood. `selected` as in `step_selection`.
    """
    e = independent_effects(source, "truncated_selection", moderators=True)
    chosen = _of_rows(source, selected, "selected")
    return methods.fit_truncated_selection(
        e.y, e.v, e.x, cut=cut, weight=weight, direction=direction, tau2=tau2, selected=chosen, names=e.names
    )


def _of_rows(source: Source, values: Column | None, argument: str) -> Array | None:
    """A column, or values, for the rows a method is given: those of the data frame, or those a model used."""
    if values is None:
        return None
    frame = source if isinstance(source, pd.DataFrame) else source.design.frame
    read = number_column if argument == "imprecision" else column
    # By the data frame and not by position: a model may have left rows out.
    found = np.asarray(read(frame, values, argument))
    return found if isinstance(source, pd.DataFrame) else found[list(source.rows)]


def excess_significance(source: Source, *, alternative: Alternative = "two-sided") -> methods.ExcessSignificance:
    """The number of significant studies beside the number expected from their power (Ioannidis & Trikalinos 2007)."""
    e = independent_effects(source, "excess_significance")
    return methods.excess_significance(e.y, e.v, alternative=alternative)


def fail_safe_n(source: Source, kind: str = "Rosenthal") -> methods.FailSafe:
    """Fail-safe N by Rosenthal, Orwin, Rosenberg, or General (the random-effects mean): history, not evidence."""
    e = independent_effects(source, "fail_safe_n")
    # By name: the four count different things and are often taken for one another.
    known: dict[str, Callable[..., methods.FailSafe]] = {
        "rosenthal": methods.fail_safe_rosenthal,
        "orwin": methods.fail_safe_orwin,
        "rosenberg": methods.fail_safe_rosenberg,
        "general": methods.fail_safe_general,
    }
    check_choice(kind.capitalize(), FailSafeKind, "kind")
    return known[kind.lower()](e.y, e.v)


def bias_table(source: Source, *, direction: Direction = "positive") -> pd.DataFrame:
    """Every adjusted estimate side by side: method, estimate, interval, notes; a method that fails says why."""
    if not isinstance(source, FittedModel):
        # What is wrong with the rows is said once, and not by each method.
        e = effects_in_clusters(source)
        # Called for its refusals alone.
        prepare_effects(e.y, e.v)
    rows = []
    for name, method in _ADJUSTED.items():
        try:
            estimate, interval, notes = method(source, direction)
        # One method that cannot work on these data must not take the others off the table.
        except ModelError as error:
            estimate, interval, notes = np.nan, Interval(np.nan, np.nan, 0.95, name), str(error)
        rows.append((name, estimate, interval.low, interval.high, notes))
    return pd.DataFrame(rows, columns=["method", "estimate", "ci_low", "ci_high", "notes"])


_Row = tuple[float, Interval, str]


def _trim_fill_row(source: Source, _direction: Direction) -> _Row:
    found = trim_fill(source)
    low, high = found.fit.interval()[0]
    return float(found.fit.beta[0]), Interval(float(low), float(high), 0.95, "trim and fill"), f"{found.k0} filled in"


def _pet_peese_row(source: Source, direction: Direction) -> _Row:
    found = pet_peese(source, direction=direction)
    return found.estimate, found.interval, f"{found.chosen} chosen"


def _waap_row(source: Source, _direction: Direction) -> _Row:
    found = waap(source)
    return found.estimate, found.interval, f"{found.used}, {len(found.powered)} with enough power"


def _henmi_copas_row(source: Source, _direction: Direction) -> _Row:
    found = henmi_copas(source)
    return found.estimate, found.interval, ""


def _step_row(source: Source, direction: Direction) -> _Row:
    found = step_selection(source, direction=direction)
    low, high = found.fit.interval()[0]
    notes = "; ".join(note.message for note in found.notes)
    return float(found.fit.beta[0]), Interval(float(low), float(high), 0.95, "Wald"), notes


_ADJUSTED: dict[str, Callable[[Source, Direction], _Row]] = {
    "PET-PEESE": _pet_peese_row,
    "three-parameter selection": _step_row,
    "WAAP-WLS": _waap_row,
    "trim and fill": _trim_fill_row,
    "Henmi-Copas": _henmi_copas_row,
}


def effects_in_clusters(source: Source, clusters: Column | None = None, *, moderators: bool = False) -> _Effects:
    """Effects, with the clusters of a multilevel model or of a column."""
    if not isinstance(source, FittedModel):
        require_frame(source, "source")
    if isinstance(source, pd.DataFrame):
        labels = None if clusters is None else np.asarray(column(source, clusters, "clusters"))
        y, v = (number_column(source, name, "source") for name in ("yi", "vi"))
        return _Effects(y, v, clusters=labels)
    data = effects_of(source.fit)
    # Dropped in silence, moderators would change the question that the method answers.
    if source.has_moderators and not moderators:
        raise ModelError(
            f"the model has moderators ({', '.join(source.fit.names)}), which this method has no place for; "
            "pass a model with an intercept only."
        )
    # Those of the model where none are named, so that dependence is not forgotten by leaving an argument out.
    labels = _outer_clusters(source)
    if clusters is not None:
        labels = np.asarray(column(source.design.frame, clusters, "clusters"))[list(source.rows)]
    # A constant alone is what each method puts in by itself.
    x, names = (data.x, data.names) if source.has_moderators else (None, None)
    return _Effects(data.y, data.v, x, names, labels)


def independent_effects(source: Source, method: str, *, moderators: bool = False) -> _Effects:
    """Effects for a method that takes every row for a study of its own."""
    found = effects_in_clusters(source, moderators=moderators)
    # Clusters of one row each are independent rows under another name.
    if found.clusters is not None and len(set(found.clusters.tolist())) < len(found.y):
        raise ModelError(
            f"{method} takes rows for independent studies, but the model has several rows a cluster; aggregate them "
            "first, or use egger_test, pet_peese or waap, which allow for clusters."
        )
    return found


def _outer_clusters(model: FittedModel) -> Array | None:
    data = model.fit.data
    # What it was made robust for: the same clusters that its intervals rest on.
    if isinstance(data, RobustData):
        return np.asarray(data.codes)
    # The outermost level: groups within one of its clusters depend on each other as well.
    return np.asarray(data.levels[0].codes) if isinstance(data, MultilevelData) else None
