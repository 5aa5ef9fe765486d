"""Questions to a fitted meta-regression: marginal means over a grid, comparisons of them, joint tests of terms.

Every answer is a combination `C beta`: its standard error from the covariance of the fit, its degrees of freedom from
`models.multilevel.robust.contrast_df` (Satterthwaite's for cluster-robust fits).
"""

from __future__ import annotations

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
import pandas as pd
from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.frames.design import INTERCEPT, nearest, new_rows
from replication.frames.fitted import FittedModel, Transform
from replication.models.fit import Array
from replication.models.multilevel.robust import contrast_df, wald_test
from replication.models.probability import t_ppf, t_sf

__all__ = ["Adjustment", "Weighting", "adjust_p", "contrast", "joint_test", "marginal_means", "pairwise"]

# Holm (1979) holds the family-wise error of any tests; Bonferroni as well, with less power; none leaves p as it is.
Adjustment = Literal["holm", "bonferroni", "none"]

# equal: other factors' levels count the same (a designed world); proportional: as often as they are in the data.
Weighting = Literal["equal", "proportional"]


@dataclass(frozen=True, slots=True, eq=False)
class _Grid:
    """Levels asked about, a row each, and the combinations `C (n, p)` of coefficients that are their means."""

    levels: pd.DataFrame
    C: Array


def marginal_means(
    model: FittedModel,
    by: str | Sequence[str],
    *,
    at: Mapping[str, object] | None = None,
    weights: Weighting = "equal",
    transform: Transform | None = None,
) -> pd.DataFrame:
    """The mean at every level of `by`, other moderators averaged over (factors) or held at their mean (numbers).

    Parameters
    ----------
    model : with moderators
    by : one column or several of the formula; numeric ones need values in `at`
    at : values for moderators, such as `{"age": 10}` or `{"age": [8, 12]}` for a column in `by`
    weights : how levels of other factors count
    transform : of means and intervals; `se` stays on the scale of the model

    Source: Searle, Speed & Milliken (1980).

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": 0.02, "g": ["a", "a", "b", "b"]})
    >>> from replication.frames.models import random_effects
    >>> marginal_means(random_effects("yi ~ g", data), "g").round(3).estimate.tolist()
    [0.2, 0.35]
    """
    grid = _grid(model, by, at, weights)
    return pd.concat([grid.levels, _answers(model, grid.C, transform)], axis=1)


def pairwise(
    model: FittedModel,
    by: str | Sequence[str],
    *,
    adjust: Adjustment = "holm",
    at: Mapping[str, object] | None = None,
    weights: Weighting = "equal",
) -> pd.DataFrame:
    """Every difference of two marginal means, with p values adjusted for their number.

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": 0.02, "g": ["a", "a", "b", "b"]})
    >>> from replication.frames.models import random_effects
    >>> pairwise(random_effects("yi ~ g", data), "g").contrast.tolist()
    ['b - a']
    """
    grid = _grid(model, by, at, weights)
    names = [" ".join(map(str, row)) for row in grid.levels.itertuples(index=False)]
    pairs = list(itertools.combinations(range(len(names)), 2))
    if not pairs:
        raise ModelError(f"{by!r} has one level: there is nothing to compare.")
    # Differences of combinations, not of estimates: the covariance between the two means then counts.
    C = np.array([grid.C[j] - grid.C[i] for i, j in pairs])
    table = _answers(model, C, None).assign(adjustment=adjust)
    table["p_adjusted"] = adjust_p(table.p.to_numpy(), adjust)
    table.insert(0, "contrast", [f"{names[j]} - {names[i]}" for i, j in pairs])
    return table


def contrast(
    model: FittedModel, combinations: Mapping[str, Mapping[str, float]], adjust: Adjustment = "none"
) -> pd.DataFrame:
    """Combinations of coefficients by name: `{"old minus young": {"old": 1, "young": -1}}`.

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": 0.02, "g": ["a", "a", "b", "b"]})
    >>> from replication.frames.models import random_effects
    >>> contrast(random_effects("yi ~ 0 + g", data), {"b - a": {"g[b]": 1, "g[a]": -1}}).round(3).estimate.tolist()
    [0.15]
    """
    names = model.fit.names
    C = np.zeros((len(combinations), len(names)))
    for i, (label, weights) in enumerate(combinations.items()):
        for name, weight in weights.items():
            if name not in names:
                raise ModelError(f"contrast {label!r}: no coefficient {name!r}; the fit has {', '.join(names)}.")
            C[i, names.index(name)] = weight
    table = _answers(model, C, None)
    table.insert(0, "contrast", list(combinations))
    return table.assign(p_adjusted=adjust_p(table.p.to_numpy(), adjust))


def joint_test(model: FittedModel, terms: str | Sequence[str] | ArrayLike | None = None) -> pd.DataFrame:
    """That all coefficients of `terms` are 0: F, chi-square for z tests, HTZ for cluster-robust fits.

    Parameters
    ----------
    terms : terms of the formula (`"C(country)"`), coefficients, or a matrix of combinations; by default all but the
        intercept

    >>> data = pd.DataFrame({"yi": [0.1, 0.3, 0.5, 0.2], "vi": 0.02, "g": ["a", "a", "b", "b"]})
    >>> from replication.frames.models import random_effects
    >>> joint_test(random_effects("yi ~ g", data), "g").df1.tolist()
    [1]
    """
    if terms is not None and not isinstance(terms, str) and not _all_text(terms):
        found = wald_test(model.fit, np.asarray(terms, dtype=float))
        row = {"terms": "combinations", "statistic": found.statistic, "df1": found.df_num, "df2": found.df_den}
        return pd.DataFrame([{**row, "p": found.p, "test": found.method}])
    chosen = [name for name in model.fit.names if name != INTERCEPT] if terms is None else _coefficients(model, terms)
    test = wald_test(model.fit, chosen)
    label = ", ".join(chosen) if terms is None else ", ".join([terms] if isinstance(terms, str) else _words(terms))
    row = {"terms": label, "statistic": test.statistic, "df1": test.df_num, "df2": test.df_den, "p": test.p}
    return pd.DataFrame([{**row, "test": test.kind}])


def adjust_p(p: ArrayLike, how: Adjustment = "holm") -> Array:
    """P values adjusted for their number; NaN stays NaN and does not count.

    >>> adjust_p([0.01, 0.04, 0.03]).round(2).tolist()
    [0.03, 0.06, 0.06]
    """
    if how not in get_args(Adjustment):
        raise ModelError(f"adjust={how!r} is not known; choose one of {', '.join(map(repr, get_args(Adjustment)))}.")
    values = np.asarray(p, dtype=float)
    adjusted, known = values.copy(), np.flatnonzero(~np.isnan(values))
    n = len(known)
    if how == "none" or n == 0:
        return adjusted
    if how == "bonferroni":
        adjusted[known] = np.minimum(values[known] * n, 1.0)
        return adjusted
    order = known[np.argsort(values[known], kind="stable")]
    # the smallest p counts n times, the next n - 1 times; a later one is never below an earlier one
    adjusted[order] = np.minimum(np.maximum.accumulate(values[order] * np.arange(n, 0, -1)), 1.0)
    return adjusted


def _answers(model: FittedModel, C: Array, transform: Transform | None) -> pd.DataFrame:
    fit = model.fit
    scale = transform or (lambda values: values)
    estimate = C @ fit.beta
    # Rounding can leave a combination without variance a hair below 0.
    se = np.sqrt(np.maximum(np.vecdot(C @ fit.vcov, C), 0.0))
    df = contrast_df(fit, C)
    with np.errstate(divide="ignore", invalid="ignore"):
        statistic = estimate / se
    half = t_ppf(0.5 + fit.level / 2.0, df) * se
    return pd.DataFrame(
        {
            "estimate": scale(estimate),
            "se": se,
            "statistic": statistic,
            "df": df,
            "p": 2.0 * t_sf(np.abs(statistic), df),
            # Ends are transformed, not the standard error: the interval then stays within the range of the scale.
            "ci_low": scale(estimate - half),
            "ci_high": scale(estimate + half),
        }
    )


def _grid(model: FittedModel, by: str | Sequence[str], at: Mapping[str, object] | None, weights: Weighting) -> _Grid:
    if weights not in get_args(Weighting):
        raise ModelError(f"weights={weights!r} is not known; choose 'equal' or 'proportional'.")
    asked = [by] if isinstance(by, str) else list(by)
    held = dict(at or {})
    used = [str(name) for name in model.design.frame.columns if str(name) in _variables(model)]
    for name in [*asked, *held]:
        if name not in used:
            raise ModelError(f"{name!r} is not a moderator of {model.formula!r}{nearest(name, used)}")
    values = {name: _values(model, name, held, asked=name in asked) for name in used}
    levels = pd.DataFrame(list(itertools.product(*(values[name] for name in asked))), columns=asked)
    others = [name for name in used if name not in asked]
    rest = pd.DataFrame(list(itertools.product(*(values[name] for name in others))), columns=others)
    share = _shares(model, rest, weights)
    rows = levels.merge(rest, how="cross") if others else levels
    X = new_rows(model.design, rows).reshape(len(levels), max(len(rest), 1), -1)
    return _Grid(levels, np.einsum("nrp,r->np", X, share))


def _variables(model: FittedModel) -> set[str]:
    return {str(name) for name in model.design.spec.required_variables}


def _values(model: FittedModel, name: str, held: Mapping[str, object], *, asked: bool) -> list[object]:
    """The values of a moderator in the grid: those given, the levels of a factor, the mean of a number."""
    if name in held:
        given = held[name]
        return list(given) if isinstance(given, list | tuple | np.ndarray) else [given]
    # Over the rows of the fit alone: a level that only dropped rows have has no estimate.
    column = model.design.frame[name].iloc[list(model.rows)]
    if _is_factor(model, name):
        return sorted(column.unique(), key=str)
    if asked:
        raise ModelError(f"{name!r} is a number; say at which values, such as at={{{name!r}: [8, 12]}}.")
    return [float(column.mean())]


def _is_factor(model: FittedModel, name: str) -> bool:
    numeric = pd.api.types.is_numeric_dtype(model.design.frame[name])
    # Numbers in C(...) are labels, and their mean would be no level of anything.
    return not numeric or re.search(rf"\bC\(\s*{re.escape(name)}\b", model.formula) is not None


def _shares(model: FittedModel, rest: pd.DataFrame, weights: Weighting) -> Array:
    """The share `(r,)` of every combination of the other moderators."""
    if rest.empty or not len(rest.columns):
        return np.ones(1)
    if weights == "equal":
        return np.full(len(rest), 1.0 / len(rest))
    factors = [name for name in rest.columns if _is_factor(model, str(name))]
    used = model.design.frame.iloc[list(model.rows)]
    count = np.array([float((used[factors] == row[factors]).all(axis=1).sum()) for _, row in rest.iterrows()])
    if not count.any():
        raise ModelError("no row of the data has these values of the other factors; use weights='equal'.")
    return np.asarray(count / count.sum())


def _coefficients(model: FittedModel, terms: object) -> list[str]:
    """The coefficients of terms of the formula, or coefficients by their own names."""
    chosen: list[str] = []
    for term in [terms] if isinstance(terms, str) else list(terms):  # type: ignore[call-overload]
        # Coefficients before terms: a numeric term and its one coefficient have the same name.
        if term in model.fit.names:
            chosen.append(term)
        elif term in model.design.terms:
            chosen += [model.fit.names[i] for i in model.design.terms[term]]
        else:
            known = [*model.design.terms, *model.fit.names]
            raise ModelError(f"{term!r} is no term of {model.formula!r}{nearest(str(term), dict.fromkeys(known))}")
    return list(dict.fromkeys(chosen))


def _words(terms: object) -> list[str]:
    return [str(term) for term in terms] if isinstance(terms, Sequence) else [str(terms)]


def _all_text(terms: object) -> bool:
    return isinstance(terms, Sequence) and all(isinstance(term, str) for term in terms)
