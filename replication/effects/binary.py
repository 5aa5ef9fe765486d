"""Two by two tables: odds, risk and arcsine contrasts, phi and Yule's coefficients, and the Mantel-Haenszel pool.

Cells are a, b (events and non-events in group 1) and c, d (in group 2). Ratios are on the log scale.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal, get_args

import numpy as np
from numpy.typing import ArrayLike, NDArray

from replication.effects.effect_size import Array, EffectSize, Flag, Metric, numbers, refuse, rows_where
from replication.errors import UserError, list_rows

__all__ = [
    "PooledMeasure",
    "Table",
    "ZeroCells",
    "arcsine_risk_difference",
    "log_odds_ratio",
    "log_risk_ratio",
    "mantel_haenszel",
    "peto_log_odds_ratio",
    "phi_coefficient",
    "risk_difference",
    "two_by_two",
    "yule_q",
    "yule_y",
]

# only-zero: 1/2 to every cell of the tables that have a zero; if-any: to all tables as soon as one has a zero;
# all: to all tables, always; treatment-arm: to tables with a zero, the reciprocal of the other group's size, scaled to
# sum to 1 over both groups (Sweeting et al. 2004); leave-out: tables with a zero become missing; none: as printed.
ZeroCells = Literal["only-zero", "if-any", "all", "treatment-arm", "leave-out", "none"]

PooledMeasure = Literal["log odds ratio", "log risk ratio", "risk difference"]


@dataclass(frozen=True, slots=True, eq=False)
class Table:
    """Tables `a, b, c, d` of one shape, after the zero-cell rule, with the flags it left."""

    a: Array
    b: Array
    c: Array
    d: Array
    flags: tuple[Flag, ...] = ()


def two_by_two(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero") -> Table:
    """Checked tables with a zero-cell rule applied. Rows it touches are flagged, as are tables without events.

    Raises `UserError` for negative counts, empty groups and an unknown rule.

    >>> two_by_two(0, 50, 3, 47).flags[0].message
    'zero_cells=only-zero: 0.5 added to every cell of row 0'
    """
    if zero_cells not in get_args(ZeroCells):
        raise UserError(f"zero_cells={zero_cells!r} is not known; choose one of {', '.join(get_args(ZeroCells))}.")
    a, b, c, d = numbers({"a": a, "b": b, "c": c, "d": d})
    refuse((a < 0) | (b < 0) | (c < 0) | (d < 0), "a negative count; check the printed numbers")
    refuse((a + b == 0) | (c + d == 0), "a group without persons")
    # one empty cell is enough for an infinite ratio or an infinite variance
    zero = (a == 0) | (b == 0) | (c == 0) | (d == 0)
    uninformative = _flag(
        "no-contrast", "both groups have events in none or in all persons of", (a + c == 0) | (b + d == 0)
    )
    if zero_cells == "leave-out":
        a, b, c, d = (np.where(zero, np.nan, cell) for cell in (a, b, c, d))
        return Table(a, b, c, d, uninformative + _flag("zero-cell", "zero_cells=leave-out: without", zero))
    touched = _touched(zero, zero_cells)
    first, second, what = _correction(a + b, c + d, zero_cells)
    flags = uninformative + _flag("zero-cell", f"zero_cells={zero_cells}: {what} added to every cell of", touched)
    first, second = np.where(touched, first, 0.0), np.where(touched, second, 0.0)
    return Table(a + first, b + first, c + second, d + second, flags)


def log_odds_ratio(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero"
) -> EffectSize:
    """Log odds ratio `log(ad / bc)`, variance `1/a + 1/b + 1/c + 1/d` (Woolf 1955).

    Parameters
    ----------
    a, b : events and non-events in group 1
    c, d : events and non-events in group 2
    zero_cells : what happens to tables with a zero; where a zero stays, the effect is NaN and flagged

    >>> e = log_odds_ratio(5, 95, 10, 90)
    >>> round(float(e.estimate), 6), round(float(e.variance), 6)
    (-0.747214, 0.321637)
    """
    t = two_by_two(a, b, c, d, zero_cells=zero_cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log(t.a) + np.log(t.d) - np.log(t.b) - np.log(t.c)
        variance = 1.0 / t.a + 1.0 / t.b + 1.0 / t.c + 1.0 / t.d
    return _effect(estimate, variance, "log odds ratio", t)


def log_risk_ratio(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero"
) -> EffectSize:
    """Log risk ratio, variance `1/a - 1/(a+b) + 1/c - 1/(c+d)` (Katz et al. 1978). Parameters as for the odds ratio.

    >>> e = log_risk_ratio(5, 95, 10, 90)
    >>> round(float(e.estimate), 6), round(float(e.variance), 6)
    (-0.693147, 0.28)
    """
    t = two_by_two(a, b, c, d, zero_cells=zero_cells)
    n1, n2 = t.a + t.b, t.c + t.d
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate = np.log(t.a / n1) - np.log(t.c / n2)
        variance = 1.0 / t.a - 1.0 / n1 + 1.0 / t.c - 1.0 / n2
    return _effect(estimate, variance, "log risk ratio", t)


def risk_difference(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero"
) -> EffectSize:
    """Risk difference, binomial variances of both groups summed. Parameters as for the odds ratio.

    >>> e = risk_difference(5, 95, 10, 90)
    >>> round(float(e.estimate), 6), round(float(e.variance), 6)
    (-0.05, 0.001375)
    """
    t = two_by_two(a, b, c, d, zero_cells=zero_cells)
    n1, n2 = t.a + t.b, t.c + t.d
    return _effect(t.a / n1 - t.c / n2, t.a * t.b / n1**3 + t.c * t.d / n2**3, "risk difference", t)


def arcsine_risk_difference(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> EffectSize:
    """Difference of `asin sqrt p`, variance `1/(4 n1) + 1/(4 n2)`; zero cells need no repair (Rücker et al. 2009).

    >>> round(float(arcsine_risk_difference(0, 50, 3, 47).estimate), 6)
    -0.247467
    """
    t = two_by_two(a, b, c, d, zero_cells="none")
    n1, n2 = t.a + t.b, t.c + t.d
    difference = np.arcsin(np.sqrt(t.a / n1)) - np.arcsin(np.sqrt(t.c / n2))
    return EffectSize(difference, 0.25 / n1 + 0.25 / n2, "arcsine risk difference", t.flags)


def phi_coefficient(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero"
) -> EffectSize:
    """Phi, the correlation of two dichotomies, with its large-sample variance for fixed totals n.

    Source: Yule (1912) for phi; Bishop, Fienberg & Holland (1975), eq. 11.3-19 for the variance.

    >>> e = phi_coefficient(30, 20, 15, 35)
    >>> round(float(e.estimate), 6)
    0.301511
    """
    t = two_by_two(a, b, c, d, zero_cells=zero_cells)
    n = t.a + t.b + t.c + t.d
    row, column = (t.a + t.b) / n, (t.a + t.c) / n
    with np.errstate(divide="ignore", invalid="ignore"):
        spread = row * (1.0 - row) * column * (1.0 - column)
        phi = (t.a * t.d - t.b * t.c) / (n**2 * np.sqrt(spread))
        # Both terms vanish where both margins are even; they grow as a dichotomy becomes rare.
        tilt = (2.0 * row - 1.0) * (2.0 * column - 1.0) / np.sqrt(spread)
        skew = (2.0 * row - 1.0) ** 2 / (row * (1.0 - row)) + (2.0 * column - 1.0) ** 2 / (column * (1.0 - column))
        variance = (1.0 - phi**2 + phi * (1.0 + 0.5 * phi**2) * tilt - 0.75 * phi**2 * skew) / n
    return _effect(phi, variance, "phi", t)


def yule_q(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero"
) -> EffectSize:
    """Yule's Q `(OR - 1) / (OR + 1)`, variance `(1 - Q^2)^2 / 4` times that of the log odds ratio (Yule 1900).

    >>> round(float(yule_q(30, 20, 15, 35).estimate), 6)
    0.555556
    """
    t = two_by_two(a, b, c, d, zero_cells=zero_cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        q = (t.a * t.d - t.b * t.c) / (t.a * t.d + t.b * t.c)
        variance = 0.25 * (1.0 - q**2) ** 2 * (1.0 / t.a + 1.0 / t.b + 1.0 / t.c + 1.0 / t.d)
    return _effect(q, variance, "Yule's Q", t)


def yule_y(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, zero_cells: ZeroCells = "only-zero"
) -> EffectSize:
    """Yule's Y `(sqrt OR - 1) / (sqrt OR + 1)`, variance `(1 - Y^2)^2 / 16` times that of the log odds ratio (1912).

    >>> round(float(yule_y(30, 20, 15, 35).estimate), 6)
    0.303337
    """
    t = two_by_two(a, b, c, d, zero_cells=zero_cells)
    with np.errstate(divide="ignore", invalid="ignore"):
        same, other = np.sqrt(t.a * t.d), np.sqrt(t.b * t.c)
        y = (same - other) / (same + other)
        variance = (1.0 - y**2) ** 2 / 16.0 * (1.0 / t.a + 1.0 / t.b + 1.0 / t.c + 1.0 / t.d)
    return _effect(y, variance, "Yule's Y", t)


def peto_log_odds_ratio(a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike) -> EffectSize:
    """Peto's one-step log odds ratio: `(a - E) / V` with variance `1 / V` (Yusuf et al. 1985).

    Needs no repair of zero cells; without events in both groups it is NaN and flagged.

    >>> e = peto_log_odds_ratio(0, 50, 3, 47)
    >>> round(float(e.estimate), 6), round(float(e.variance), 6)
    (-2.041237, 1.360825)
    """
    t = two_by_two(a, b, c, d, zero_cells="none")
    # Hypergeometric: given both margins, the first cell has expectation n1 events / n and variance V.
    n1, n2, events, rest = t.a + t.b, t.c + t.d, t.a + t.c, t.b + t.d
    n = n1 + n2
    V = n1 * n2 * events * rest / (n**2 * (n - 1.0))
    with np.errstate(divide="ignore", invalid="ignore"):
        return _effect((t.a - n1 * events / n) / V, 1.0 / V, "log odds ratio", t)


def mantel_haenszel(
    a: ArrayLike, b: ArrayLike, c: ArrayLike, d: ArrayLike, *, measure: PooledMeasure = "log odds ratio"
) -> EffectSize:
    """Common effect of all tables by Mantel and Haenszel, on the raw cells; a single number.

    Sources of the variances: Robins, Breslow & Greenland (1986) for odds; Greenland & Robins (1985) for risk
    ratios; Sato (1989) for differences.

    >>> e = mantel_haenszel([5, 8], [95, 90], [10, 9], [90, 85])
    >>> round(float(e.estimate), 6)
    -0.437326
    """
    if measure not in get_args(PooledMeasure):
        raise UserError(f"measure={measure!r} is not known; choose one of {', '.join(get_args(PooledMeasure))}.")
    t = two_by_two(a, b, c, d, zero_cells="none")
    # Raw cells: a pool of all tables has a value though single ones have zeros, so nothing is added to any.
    pool = {"log odds ratio": _pool_odds, "log risk ratio": _pool_risks, "risk difference": _pool_differences}[measure]
    with np.errstate(divide="ignore", invalid="ignore"):
        estimate, variance = pool(t)
    return _effect(estimate, variance, measure, t)


def _pool_odds(t: Table) -> tuple[float, float]:
    n = t.a + t.b + t.c + t.d
    R, S = t.a * t.d / n, t.b * t.c / n
    P, Q = (t.a + t.d) / n, (t.b + t.c) / n
    # Tables with a missing cell add nothing.
    r, s = np.nansum(R), np.nansum(S)
    same, mixed, other = np.nansum(P * R), np.nansum(P * S + Q * R), np.nansum(Q * S)
    return float(np.log(r / s)), float(0.5 * (same / r**2 + mixed / (r * s) + other / s**2))


def _pool_risks(t: Table) -> tuple[float, float]:
    n1, n2 = t.a + t.b, t.c + t.d
    n = n1 + n2
    r, s = np.nansum(t.a * n2 / n), np.nansum(t.c * n1 / n)
    spread = np.nansum((n1 * n2 * (t.a + t.c) - t.a * t.c * n) / n**2)
    return float(np.log(r / s)), float(spread / (r * s))


def _pool_differences(t: Table) -> tuple[float, float]:
    n1, n2 = t.a + t.b, t.c + t.d
    n = n1 + n2
    total = np.nansum(n1 * n2 / n)
    difference = np.nansum((t.a * n2 - t.c * n1) / n) / total
    P = np.nansum((n1**2 * t.c - n2**2 * t.a + n1 * n2 * (n2 - n1) / 2.0) / n**2)
    Q = np.nansum((t.a * t.d + t.c * t.b) / (2.0 * n))
    return float(difference), float((difference * P + Q) / total**2)


def _touched(zero: NDArray[np.bool_], rule: ZeroCells) -> NDArray[np.bool_]:
    if rule == "all" or (rule == "if-any" and zero.any()):
        return np.ones_like(zero)
    return zero if rule in ("only-zero", "treatment-arm") else np.zeros_like(zero)


def _correction(n1: Array, n2: Array, rule: ZeroCells) -> tuple[Array, Array, str]:
    """What is added to the cells of group 1 and of group 2, in numbers and in words."""
    if rule == "treatment-arm":
        # Each group gets the reciprocal of the other's size, scaled: n1 and n2 over their sum.
        return n1 / (n1 + n2), n2 / (n1 + n2), "its group's share of all persons"
    half = np.full_like(n1, 0.5)
    return half, half, "0.5"


def _flag(code: str, message: str, where: NDArray[np.bool_]) -> tuple[Flag, ...]:
    rows = rows_where(where)
    return (Flag(code, f"{message} {list_rows(rows)}", rows),) if rows else ()


def _effect(estimate: ArrayLike, variance: ArrayLike, metric: Metric, table: Table) -> EffectSize:
    """The effect, NaN and flagged where a zero that stayed leaves it or its variance without a value."""
    y, v = np.asarray(estimate, dtype=float), np.asarray(variance, dtype=float)
    lost = ~(np.isfinite(y) & np.isfinite(v))
    # A table that came with a missing cell has no value either, but no zero is to blame for it.
    given = np.isfinite(table.a + table.b + table.c + table.d)
    zero_stayed = lost & (given if given.shape == lost.shape else given.any())
    flags = table.flags + _flag("undefined", f"a zero leaves the {metric} without a value in", zero_stayed)
    return EffectSize(np.where(lost, np.nan, y), np.where(lost, np.nan, v), metric, flags)
