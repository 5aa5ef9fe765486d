"""Effect sizes of a data frame: metafor's short names of measures, columns in, `yi` and `vi` beside them.

What a paper prints in place of a measure's columns (medians, intervals) is turned into them first.

Every measure is a line of `MEASURES`: the columns it needs and the function of `replication.effects` that owns its
formula.
"""

from __future__ import annotations

import difflib
from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pandas as pd

from replication import effects
from replication.effects.effect_size import EffectSize, Flag, Metric
from replication.effects.latent import biserial_from_means, tetrachoric
from replication.effects.printed_summaries import QuantilesOf, Skewed, from_interval, mean_from_quantiles
from replication.errors import ModelError
from replication.frames.design import Column, number_column

__all__ = ["MEASURES", "Measure", "effect_sizes", "effects_from_intervals", "means_from_quantiles", "measures"]


@dataclass(frozen=True, slots=True)
class Measure:
    """A measure by its short name: what it is, the columns it needs, and the function that computes it."""

    name: str
    title: str
    columns: tuple[str, ...]
    function: Callable[..., EffectSize]


_GROUPS = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
_CHANGE = ("mean1", "sd1", "mean2", "sd2", "n", "r")
_TABLE = ("a", "b", "c", "d")
_RATES = ("events1", "time1", "events2", "time2")

_ALL = (
    Measure("COR", "correlation", ("r", "n"), effects.correlation),
    Measure("ZCOR", "Fisher's z of a correlation", ("r", "n"), effects.fisher_z),
    Measure("PCOR", "partial correlation from a t", ("t", "n", "predictors"), effects.partial_correlation),
    Measure("ZPCOR", "Fisher's z of a partial correlation", ("t", "n", "predictors"), effects.partial_fisher_z),
    Measure("SPCOR", "semipartial correlation", ("t", "n", "predictors", "r_squared"), effects.semipartial_correlation),
    Measure("RT", "correlation from the t of its test", ("t", "n"), effects.r_from_t),
    Measure("RBIS", "biserial correlation", _GROUPS, biserial_from_means),
    Measure("RTET", "tetrachoric correlation", _TABLE, tetrachoric),
    Measure("MD", "difference of means", _GROUPS, effects.mean_difference),
    Measure("SMD", "standardised difference (Hedges' g)", _GROUPS, effects.standardized_mean_difference),
    Measure("SMDH", "g with unequal spreads", _GROUPS, effects.heteroscedastic_mean_difference),
    Measure("ROM", "log ratio of means", _GROUPS, effects.log_ratio_of_means),
    Measure("CVR", "log ratio of coefficients of variation", _GROUPS, effects.log_variation_ratio),
    Measure("VR", "log ratio of standard deviations", ("sd1", "n1", "sd2", "n2"), effects.log_variability_ratio),
    Measure("MC", "mean change", _CHANGE, effects.mean_change),
    Measure("SMCC", "change in sds of the change", _CHANGE, effects.change_in_change_sd),
    Measure("SMCR", "change in sds at 1", ("mean1", "sd1", "mean2", "n", "r"), effects.change_in_raw_sd),
    Measure("SMCRH", "the same, unequal spreads", _CHANGE, effects.change_in_raw_sd_heteroscedastic),
    Measure("OR", "log odds ratio", _TABLE, effects.log_odds_ratio),
    Measure("RR", "log risk ratio", _TABLE, effects.log_risk_ratio),
    Measure("RD", "risk difference", _TABLE, effects.risk_difference),
    Measure("AS", "arcsine risk difference", _TABLE, effects.arcsine_risk_difference),
    Measure("PETO", "Peto's log odds ratio", _TABLE, effects.peto_log_odds_ratio),
    Measure("PHI", "phi coefficient", _TABLE, effects.phi_coefficient),
    Measure("YUQ", "Yule's Q", _TABLE, effects.yule_q),
    Measure("YUY", "Yule's Y", _TABLE, effects.yule_y),
    Measure("IRR", "log rate ratio", _RATES, effects.rate_ratio),
    Measure("IRD", "rate difference", _RATES, effects.rate_difference),
    Measure("IR", "rate", ("events", "time"), partial(effects.incidence_rate, scale="raw")),
    Measure("IRLN", "log rate", ("events", "time"), effects.incidence_rate),
    Measure("IRS", "root of a rate", ("events", "time"), partial(effects.incidence_rate, scale="square root")),
    Measure(
        "IRFT", "double root of a rate", ("events", "time"), partial(effects.incidence_rate, scale="freeman-tukey")
    ),
    Measure("PR", "proportion", ("events", "n"), partial(effects.proportion, scale="raw")),
    Measure("PLN", "log proportion", ("events", "n"), partial(effects.proportion, scale="log")),
    Measure("PLO", "logit proportion", ("events", "n"), effects.proportion),
    Measure("PAS", "arcsine proportion", ("events", "n"), partial(effects.proportion, scale="arcsine")),
    Measure("PFT", "double arcsine proportion", ("events", "n"), partial(effects.proportion, scale="double arcsine")),
    Measure("MN", "mean", ("mean", "sd", "n"), effects.single_mean),
    Measure("SDLN", "log standard deviation", ("sd", "n"), effects.log_spread),
    Measure("ARAW", "alpha", ("alpha", "items", "n"), partial(effects.cronbach_alpha, scale="raw")),
    Measure(
        "AHW", "alpha, cube root", ("alpha", "items", "n"), partial(effects.cronbach_alpha, scale="hakstian-whalen")
    ),
    Measure("ABT", "alpha, log", ("alpha", "items", "n"), effects.cronbach_alpha),
)
MEASURES: Mapping[str, Measure] = {measure.name: measure for measure in _ALL}

# Words people write for the measure they mean. `r` is Fisher's z: raw correlations are pooled only on request (COR).
_ALIASES: Mapping[str, str] = {"R": "ZCOR", "Z": "ZCOR", "G": "SMD", "D": "SMD"}


def effect_sizes(
    data: pd.DataFrame,
    measure: str,
    *,
    r: Column | None = None,
    n: Column | None = None,
    t: Column | None = None,
    predictors: Column | None = None,
    r_squared: Column | None = None,
    mean: Column | None = None,
    sd: Column | None = None,
    mean1: Column | None = None,
    sd1: Column | None = None,
    n1: Column | None = None,
    mean2: Column | None = None,
    sd2: Column | None = None,
    n2: Column | None = None,
    a: Column | None = None,
    b: Column | None = None,
    c: Column | None = None,
    d: Column | None = None,
    events: Column | None = None,
    time: Column | None = None,
    events1: Column | None = None,
    time1: Column | None = None,
    events2: Column | None = None,
    time2: Column | None = None,
    alpha: Column | None = None,
    items: Column | None = None,
    yi: str = "yi",
    vi: str = "vi",
) -> pd.DataFrame:
    """The data with effect sizes `yi` and variances `vi` added; what was repaired stands in a column `remarks`.

    Parameters
    ----------
    data : one row per effect
    measure : metafor's short name (`measures()` lists them with the columns they need): `"ZCOR"` or `"r"` for Fisher's
        z of correlations, `"COR"` for correlations as they are, `"SMD"` for Hedges' g, `"OR"`, `"RR"`, `"PLO"`, ...
    r, n, ... : columns of `data` by name, or values; only those the measure needs
    yi, vi : names of the two new columns

    Raises
    ------
    ModelError
        For an unknown measure (the nearest is named), and columns that are missing or too many.

    >>> studies = pd.DataFrame({"study": ["a", "b"], "r": [0.3, 0.2], "n": [50, 80]})
    >>> effect_sizes(studies, "r", r="r", n="n").round(4).yi.tolist()
    [0.3095, 0.2027]
    """
    given: dict[str, Column | None] = {
        **{"r": r, "n": n, "t": t, "predictors": predictors, "r_squared": r_squared, "mean": mean, "sd": sd},
        **{"mean1": mean1, "sd1": sd1, "n1": n1, "mean2": mean2, "sd2": sd2, "n2": n2},
        **{"a": a, "b": b, "c": c, "d": d, "alpha": alpha, "items": items, "events": events, "time": time},
        **{"events1": events1, "time1": time1, "events2": events2, "time2": time2},
    }
    chosen = _measure(measure)
    passed = {name: values for name, values in given.items() if values is not None}
    # A column too many is refused as well: it would be a wish for another measure that nobody heard.
    _check_columns(chosen, passed)
    values = {name: number_column(data, passed[name], name, finite=True) for name in chosen.columns}
    found = chosen.function(**values)
    table = data.assign(**{yi: np.asarray(found.estimate), vi: np.asarray(found.variance)})
    return table.assign(remarks=_remarks(found.flags, len(data))) if found.flags else table


def means_from_quantiles(
    data: pd.DataFrame,
    *,
    n: Column,
    median: Column | None = None,
    q1: Column | None = None,
    q3: Column | None = None,
    minimum: Column | None = None,
    maximum: Column | None = None,
    skewed: Skewed = "exclude",
    distribution: QuantilesOf = "normal",
    mean: str = "mean",
    sd: str = "sd",
    variance: str = "mean_variance",
) -> pd.DataFrame:
    """The data with means and sds estimated from medians, quartiles and ranges; what was estimated is in `remarks`.

    Parameters
    ----------
    data : one row per group
    n, median, q1, q3, minimum, maximum : columns by name, or values; a median with quartiles, the range, or both
    skewed : "exclude" leaves rows empty whose quantiles are skewed beyond chance; "keep" estimates all the same
    distribution : "log-normal" for quantities above 0 that are skewed as such (durations, doses): the mean and sd
        are of the quantity itself
    mean, sd, variance : names of the columns. Where they are there, only their empty cells are filled

    `variance` is the sampling variance of the estimated mean, larger than `sd^2 / n`. Measures computed from the mean
    and sd (`SMD`, say) take them for printed ones, so their own variances are too small: leave those rows out once and
    compare. Sources: `replication.effects.mean_from_quantiles`.

    >>> groups = pd.DataFrame({"n": [45], "median": [9.0], "q1": [5.0], "q3": [14.0]})
    >>> means_from_quantiles(groups, n="n", median="median", q1="q1", q3="q3").round(3)[["mean", "sd"]].values.tolist()
    [[9.354, 6.892]]
    """
    given = {"n": n, "median": median, "q1": q1, "q3": q3, "minimum": minimum, "maximum": maximum}
    if not ((q1 is not None and q3 is not None) or (minimum is not None and maximum is not None)):
        raise ModelError("a median alone gives no sd: pass q1 and q3, or minimum and maximum.")
    values = {name: number_column(data, c, name, finite=True) for name, c in given.items() if c is not None}
    found = mean_from_quantiles(**values, skewed=skewed, distribution=distribution)
    # Printed means stand: an estimate only takes the place of a gap.
    own = number_column(data, mean, "mean") if mean in data.columns else np.full(len(data), np.nan)
    # The variance is that of an estimated mean; beside a printed one it would be another mean's.
    columns = {mean: found.mean, sd: found.sd, variance: np.where(np.isnan(own), found.variance, np.nan)}
    return _filled(data, columns, found.flags)


# Measures whose printed form, with an interval, is turned into the scale they are pooled on.
_PRINTED: Mapping[str, Metric] = {
    **{"OR": "log odds ratio", "RR": "log risk ratio", "IRR": "log rate ratio", "ROM": "log ratio of means"},
    **{"ZCOR": "fisher z", "COR": "r", "SMD": "g", "MD": "mean difference", "RD": "risk difference", "MN": "mean"},
}


def effects_from_intervals(
    data: pd.DataFrame,
    measure: str,
    *,
    estimate: Column,
    low: Column | None = None,
    high: Column | None = None,
    z: Column | None = None,
    p: Column | None = None,
    level: float = 0.95,
    yi: str = "yi",
    vi: str = "vi",
) -> pd.DataFrame:
    """The data with `yi` and `vi` computed back from printed estimates with intervals, tests or p values.

    Parameters
    ----------
    data : one row per effect
    measure : OR, RR, IRR or ROM (ratios as printed, pooled as logs), ZCOR (correlations, pooled as Fisher's z), COR,
        SMD, MD, RD or MN
    estimate, low, high, z, p : columns by name, or values; a row's interval goes before its z, and z before p
    level : of the intervals
    yi, vi : names of the columns. Where they are there (from `effect_sizes`), only their empty cells are filled

    Only for intervals of Wald's form; rows where the estimate is off the middle are remarked on.

    >>> printed = pd.DataFrame({"odds": [1.37], "from": [1.03], "to": [1.82]})
    >>> found = effects_from_intervals(printed, "OR", estimate="odds", low="from", high="to")
    >>> found.round(4)[["yi", "vi"]].values.tolist()
    [[0.3148, 0.0211]]
    """
    metric = _PRINTED[_known(measure, _PRINTED, "has no printed form here")]
    given = {"low": low, "high": high, "z": z, "p": p}
    if all(values is None for values in given.values()):
        raise ModelError("an estimate alone has no variance: pass low and high, z, or p.")
    values = {name: number_column(data, c, name, finite=True) for name, c in given.items() if c is not None}
    printed = number_column(data, estimate, "estimate", finite=True)
    found = from_interval(printed, metric, **values, level=level)
    return _filled(data, {yi: found.estimate, vi: found.variance}, found.flags)


def _filled(data: pd.DataFrame, columns: Mapping[str, Any], flags: tuple[Flag, ...]) -> pd.DataFrame:
    """The data with new columns, or with the empty cells of those it has filled; remarks on the rows concerned."""
    parts, touched = {}, np.zeros(len(data), dtype=bool)
    for name, values in columns.items():
        own = number_column(data, name, name) if name in data.columns else np.full(len(data), np.nan)
        parts[name] = np.where(np.isnan(own), values, own)
        # A remark on a cell that was not filled would be about a number that nobody sees.
        touched |= np.isnan(own)
    before = data["remarks"].fillna("").tolist() if "remarks" in data.columns else [""] * len(data)
    rows = zip(before, _remarks(flags, len(data)), touched, strict=True)
    remarks = ["; ".join(part for part in (old, new if new_here else "") if part) for old, new, new_here in rows]
    return data.assign(**parts, remarks=remarks)


def _remarks(flags: tuple[Flag, ...], k: int) -> list[str]:
    """What the flags say of each of k rows; a flag without rows is about all of them."""
    return ["; ".join(f.message for f in flags if not f.rows or i in f.rows) for i in range(k)]


def measures() -> pd.DataFrame:
    """Every measure of `effect_sizes`: short name, what it is, and the columns it needs."""
    rows = [(m.name, m.title, ", ".join(m.columns)) for m in MEASURES.values()]
    return pd.DataFrame(rows, columns=["measure", "title", "columns"])


def _measure(word: str) -> Measure:
    return MEASURES[_known(word, MEASURES, "is not known")]


def _known(word: str, names: Collection[str], fault: str) -> str:
    """The short name that a word stands for, among those that are there; else the fault with the nearest one."""
    name = _ALIASES.get(str(word).upper(), str(word).upper())
    if name not in names:
        # Short names differ by a letter or two of three or four, so the nearest may be rather far.
        close = difflib.get_close_matches(name, names, n=1, cutoff=0.4)
        hint = f"did you mean {close[0]!r}? Choose" if close else "choose"
        raise ModelError(f"measure={word!r} {fault}; {hint} one of {', '.join(names)}.")
    return name


def _check_columns(measure: Measure, passed: Mapping[str, Column]) -> None:
    missing = [name for name in measure.columns if name not in passed]
    if missing:
        raise ModelError(
            f"{measure.name} ({measure.title}) needs {', '.join(measure.columns)}; pass {', '.join(missing)}."
        )
    # What would be ignored is refused: it is often the sign of another measure than the one meant.
    extra = [name for name in passed if name not in measure.columns]
    if extra:
        raise ModelError(
            f"{measure.name} ({measure.title}) does not use {', '.join(extra)}; it needs {', '.join(measure.columns)}."
        )
