"""What papers print -> a correlation, with formula, assumptions and the way it came about.

The formulas are those of `replication.effects`; here they get words. Means, d and t of two groups are one and the same
here: d without small-sample correction becomes the t of the two groups, and t the point-biserial correlation, so that
one data set gives one r however it is printed. The precision of a converted correlation is kept as `n_effective`, the
n whose large-sample variance (1 - r^2)^2 / (n - 1) is the variance of the conversion.
"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from replication.effects.conversions import beta_to_r, log_odds_to_r, r_from_chi2, r_from_f, r_from_p, r_from_t
from replication.effects.correlation import correlation, n_of_correlation_variance, partial_correlation
from replication.effects.effect_size import EffectSize
from replication.effects.latent import biserial_from_t, r_from_logistic_slope, r_from_rho, r_from_tau, tetrachoric
from replication.effects.mean_difference import change_in_raw_sd, standardized_mean_difference
from replication.errors import UserError
from replication.models.probability import NORMAL_95
from replication.study.plausibility.printed_intervals import centred
from replication.study.printed_statistics import PrintedStatistics, option

__all__ = ["KINDS", "VALUES", "Converted", "Kind", "convert"]

_ONE = 0.99995  # from here on an r is printed as 1.0000
_SIZES = frozenset(("n", "n1", "n2"))
_TESTED = _SIZES | {"df"}
_OF_D = "r = d / sqrt(d^2 + N(N - 2) / (n1 n2)), N = n1 + n2"


@dataclass(frozen=True, slots=True, kw_only=True)
class Converted:
    """A value for `effects.csv`: statistic, value, n, n_effective, flags, and how it came about."""

    statistic: str
    value: float
    text: str
    n: int
    n_effective: float = math.nan
    formula: str
    assumptions: str
    conversion: str = ""
    flags: tuple[str, ...] = ()

    def cells(self) -> dict[str, str]:
        """The cells of the row."""
        known = {"statistic": self.statistic, "value": self.text, "n": str(self.n), "flags": ";".join(self.flags)}
        if math.isfinite(self.n_effective):
            known["n_effective"] = f"{self.n_effective:.1f}"
        return {**known, "conversion": self.conversion}


@dataclass(frozen=True, slots=True)
class Kind:
    """One kind of print: how it is converted, which numbers it takes, and whether its direction must be told."""

    convert: Callable[[PrintedStatistics], Converted]
    takes: frozenset[str]
    directed: bool = False
    groups: bool = False
    """Whether it may compare two groups, which `--cut` says were made by cutting a measured variable."""


def convert(kind: str, given: PrintedStatistics) -> Converted:
    """A correlation from what is printed.

    Parameters
    ----------
    kind : one of KINDS, e.g. "t".
    given : the printed numbers.

    Raises
    ------
    UserError
        when a number is missing, is only a bound, cannot be, contradicts another or is not used; the message says
        which.

    >>> convert("t", PrintedStatistics(numbers={"t": "2.31", "n": "120"})).text
    '0.2080'
    """
    if kind not in KINDS:
        raise UserError(f'cannot convert from "{kind}"; one of {", ".join(KINDS)}')
    _refuse_unused(kind, given)
    try:
        # A NaN or infinity on the way would otherwise come out as an odd r or an odder message.
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            return KINDS[kind].convert(given.with_points())
    except ArithmeticError:
        raise UserError(
            "these numbers are too large or too small for a correlation; is a decimal point missing or an exponent "
            "mistyped?"
        ) from None
    except UserError as error:
        raise UserError(str(error).removeprefix("row 0: ")) from None  # one print has no rows


def _refuse_unused(kind: str, given: PrintedStatistics) -> None:
    """What was given and would be ignored is refused: whoever typed it expects it to count."""
    known = KINDS[kind]
    # Sorted, so that the message is the same for the same mistake.
    stray = sorted(given.names - known.takes)
    if stray:
        takes = ", ".join(dict.fromkeys(option(name) for name in sorted(known.takes)))
        raise UserError(f"{option(stray[0])} is not used by --from {kind}, which takes {takes}; leave it out")
    if given.sign is not None and not known.directed:
        raise UserError(
            f"found sign {given.sign:+d}, but --from {kind} has its direction in its numbers; expected no --sign; "
            f"a minus before the value, the smaller mean first or an odds ratio below 1 says it"
        )
    if given.sign not in (None, -1, 1):
        raise UserError("the sign is 1 where more goes with more, -1 where more goes with less")
    if given.as_r and kind != "beta":
        raise UserError(f"--as-r reads a beta as r and is not used by --from {kind}; leave it out")
    if given.one_sided and kind != "p":
        raise UserError(f"--one-sided is of a printed p and is not used by --from {kind}; leave it out")
    if given.cut and not known.groups:
        raise UserError(f"--cut is of two groups and is not used by --from {kind}; leave it out")


def _r(given: PrintedStatistics) -> Converted:
    return _as_printed("r", given, "r as printed")


def _partial(given: PrintedStatistics) -> Converted:
    return _as_printed("partial_r", given, "partial r as printed; it is never pooled with r unless asked for")


def _as_printed(statistic: str, given: PrintedStatistics, words: str) -> Converted:
    text, value = given.text("r"), given.number("r")
    if not -1 <= value <= 1:
        raise UserError(f'a correlation lies between -1 and 1, but "{text}" is given; is the decimal point missing?')
    n = given.persons()
    return Converted(statistic=statistic, value=value, text=text, n=n, formula=words, assumptions="none")


def _t(given: PrintedStatistics) -> Converted:
    if "predictors" in given.names:
        return _partial_of_t(given)
    n = given.persons()
    # Said in the row's own words, since an r from t looks like any other r once it is stored.
    assumed = "the t test of this very correlation, or of two groups"
    if "df" in given.names and given.number("df") != n - 2:
        assumed += f"; Welch's df {given.text('df')} is read as n - 2, as of equal spread in both groups"
    printed = f"t = {given.text('t')}, n = {n}"
    if given.cut:
        return _of_cut(given, given.number("t"), printed)
    return _made(r_from_t(given.number("t"), n), n, "r = t / sqrt(t^2 + n - 2)", printed, assumed)


def _of_cut(given: PrintedStatistics, t: float, printed: str) -> Converted:
    """The biserial correlation by the t of two groups that a cut has made; halves where only n is given."""
    n1, n2 = given.sizes()
    formula = "r_pb = t / sqrt(t^2 + n - 2), then r = r_pb sqrt(p q) / f, f the normal density at the cut"
    halves = "" if "n1" in given.names else "; a cut at the median, as only n is given"
    assumed = f"the groups were made by cutting a normal variable (Jacobs & Viechtbauer 2017){halves}"
    made = _made(biserial_from_t(t, n1, n2), given.persons(), formula, printed, assumed)
    return replace(made, flags=("converted", "biserial"))


def _partial_of_t(given: PrintedStatistics) -> Converted:
    n, predictors = given.persons(), round(given.number("predictors"))
    # Counting all predictors or all others is the usual slip; the message says which is meant.
    if predictors < 1 or predictors != given.number("predictors"):
        raise UserError(
            f"predictors is a whole number of 1 or more, this one counted; found {given.text('predictors')}"
        )
    if given.cut:
        raise UserError("--cut is of two groups, --predictors of a regression; leave one of them out")
    made = partial_correlation(given.number("t"), n, predictors)
    formula = "partial r = t / sqrt(t^2 + n - m - 1), m all predictors of the regression (Aloe & Thompson 2013)"
    assumed = f"{predictors - 1} other predictors are held constant; it is never pooled with r"
    printed = f"t = {given.text('t')}, n = {n}, m = {predictors}"
    return replace(_made(made, n, formula, printed, assumed), statistic="partial_r", flags=("converted", "adjusted"))


def _f(given: PrintedStatistics) -> Converted:
    given = given.with_two_df()
    n = given.persons()
    if given.text("df1") not in ("", "1"):
        raise UserError(
            f"F with {given.text('df1')} degrees of freedom in front compares more than two groups and gives no "
            f"correlation; only F(1, 118) does. Are the groups' means printed? Then use --from means for two of them"
        )
    if given.cut:
        # F with one numerator df is t squared; a negative F is refused by the conversion that follows.
        root = given.direction() * math.sqrt(max(given.number("F"), 0.0))
        return _of_cut(given, root, _with_sign("F", given, n))
    made = r_from_f(given.number("F"), n, given.direction())
    assumed = f"F has 1 and n - 2 degrees of freedom; {_direction(given)}"
    return _made(made, n, "r = sign sqrt(F / (F + n - 2))", _with_sign("F", given, n), assumed)


def _chi2(given: PrintedStatistics) -> Converted:
    n = given.persons()
    # Without its direction a chi-square says how strongly two things go together, not which way.
    made = r_from_chi2(given.number("chi2"), n, given.direction())
    assumed = "a table of two by two without continuity correction; phi is taken as the correlation; "
    return _made(made, n, "r = sign sqrt(chi2 / n)", _with_sign("chi2", given, n), assumed + _direction(given))


def _p(given: PrintedStatistics) -> Converted:
    n = given.persons()
    sides: Literal["one-sided", "two-sided"] = "one-sided" if given.one_sided else "two-sided"
    made = r_from_p(given.number("p"), n, given.direction(), sides)
    assumed = f"an exact {sides} p of the t test of the correlation; {_direction(given)}"
    return _made(made, n, "t from p, then r = t / sqrt(t^2 + n - 2)", _with_sign("p", given, n), assumed)


def _with_sign(name: str, given: PrintedStatistics, n: int) -> str:
    return f"{name} = {given.text(name)}, n = {n}, sign {given.direction():+d}"


def _direction(given: PrintedStatistics) -> str:
    return "no direction was given, taken as positive" if given.sign is None else "the direction is the one given"


def _d(given: PrintedStatistics) -> Converted:
    n1, n2 = given.sizes()
    assumed = "; d is in pooled standard deviations, without small-sample correction (g is d (1 - 3 / (4N - 9)))"
    printed = f"d = {given.text('d')}, n1 = {n1:g}, n2 = {n2:g}"
    return _from_groups(given, given.number("d"), _OF_D, printed, f"{_groups(given)}{assumed}")


def _means(given: PrintedStatistics) -> Converted:
    names = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
    mean1, sd1, n1, mean2, sd2, n2 = (given.number(name) for name in names)
    given.persons()  # says where the sizes cannot be
    effect = standardized_mean_difference(mean1=mean1, sd1=sd1, n1=n1, mean2=mean2, sd2=sd2, n2=n2, correction="none")
    printed = ", ".join(f"{name} = {given.text(name)}" for name in names)
    formula = f"d = (mean1 - mean2) / pooled sd, then {_OF_D}"
    return _from_groups(given, float(effect.estimate), formula, printed, f"{_groups(given)}; equal spread within")


def _groups(given: PrintedStatistics) -> str:
    n1, n2 = given.sizes()
    equal = "two groups of equal size, as only n is given"
    return f"two groups of {n1:g} and {n2:g}" if "n1" in given.names else equal


def _from_groups(given: PrintedStatistics, d: float, formula: str, printed: str, assumed: str) -> Converted:
    """By the t of the two groups, `d sqrt(n1 n2 / N)`; r = t / sqrt(t^2 + N - 2) is then the formula shown."""
    n1, n2 = given.sizes()
    n = round(n1 + n2)
    # Exact for d without correction, so d, means and t of one data set agree to the last digit.
    t = d * math.sqrt(n1 * n2 / n)
    if given.cut:
        return _of_cut(given, t, printed)
    made = r_from_t(t, n)
    # Groups are taken as they are: only --cut says that a measured variable lies behind them.
    meant = "the point-biserial correlation with being in group 1, as by the t of the groups"
    return _made(made, n, formula, printed, f"{meant}; {assumed}")


def _odds(given: PrintedStatistics) -> Converted:
    ratio, low, high = (given.number(name) for name in ("or", "ci_low", "ci_high"))
    if not 0 < low < ratio < high:
        raise UserError(f"an odds ratio lies inside its interval and above 0; found {ratio:g} and {low:g} to {high:g}")
    texts = (given.text("or"), given.text("ci_low"), given.text("ci_high"))
    # A mistyped end is the usual slip with odds ratios, and it would change the standard error in silence.
    if not centred(texts, math.log):
        raise UserError(
            f"{texts[0]} is not in the middle of {texts[1]} to {texts[2]} on the log scale; one is mistyped"
        )
    n, (n1, n2) = given.persons(), given.sizes()
    # From the width alone: both ends together have half the rounding error of one end and the middle.
    se = math.log(high / low) / (2 * NORMAL_95)
    made = log_odds_to_r(EffectSize(np.array(math.log(ratio)), np.array(se**2), "log odds ratio"), n1, n2)
    assumed = (
        f"a logistic variable cut in two; a 95 % interval; {_groups(given)}; the textbook formula for large "
        f"samples (Borenstein et al. 2009, eqs. 7.1 and 7.7), where that from d or means has N(N - 2) for (n1 + n2)^2"
    )
    formula = "d = log(OR) sqrt(3) / pi, then r = d / sqrt(d^2 + (n1 + n2)^2 / (n1 n2))"
    return _made(made, n, formula, f"OR = {texts[0]} [{texts[1]}, {texts[2]}]", assumed)


def _spearman(given: PrintedStatistics) -> Converted:
    return _ranked(given, "rho", r_from_rho(given.number("rho"), given.persons()), "r = 2 sin(pi rho / 6)", "spearman")


def _kendall(given: PrintedStatistics) -> Converted:
    return _ranked(given, "tau", r_from_tau(given.number("tau"), given.persons()), "r = sin(pi tau / 2)", "kendall")


def _ranked(given: PrintedStatistics, name: str, made: EffectSize, formula: str, flag: str) -> Converted:
    assumed = "normal variables behind the ranks; the variance is that of the rank correlation (Bonett & Wright 2000)"
    n = given.persons()
    return replace(_made(made, n, formula, f"{name} = {given.text(name)}", assumed), flags=("converted", flag))


def _eta2(given: PrintedStatistics) -> Converted:
    """Eta squared of two groups is the square of their point-biserial correlation; of more groups it is none."""
    given = given.with_two_df()
    if given.text("df1") not in ("", "1"):
        raise UserError(
            f"eta squared with {given.text('df1')} degrees of freedom compares more than two groups and gives no "
            f"correlation; only that of two groups (1 degree of freedom) does"
        )
    return _squared(given, "eta2", "eta squared of two groups (1 degree of freedom), no covariates")


def _r2(given: PrintedStatistics) -> Converted:
    """R squared of one predictor is the square of its correlation; of several it belongs to none of them."""
    if "predictors" not in given.names or given.number("predictors") != 1:
        raise UserError(
            "R squared gives a correlation only where the model has one predictor; say so with --predictors 1. With "
            "several, use the t of the predictor: --from t with --predictors gives its partial r"
        )
    return _squared(given, "R2", "R squared of the only predictor, not adjusted")


def _squared(given: PrintedStatistics, name: str, assumed: str) -> Converted:
    n, square = given.persons(), given.number(name)
    if not 0 <= square < 1:
        raise UserError(f"found {given.text(name)}; expected a share of 0 to 1; is it in per cent?")
    # by the F of the same test, F = square (n - 2) / (1 - square): the direction is then checked there
    made = r_from_f(square * (n - 2) / (1 - square), n, given.direction())
    formula = f"r = sign sqrt({name})"
    return _made(made, n, formula, _with_sign(name, given, n), f"{assumed}; {_direction(given)}")


def _b(given: PrintedStatistics) -> Converted:
    """A slope in standard deviations: the correlation with one predictor, a beta with several."""
    n, slope = given.persons(), given.number("b")
    sd_x, sd_y = given.number("sd_x"), given.number("sd_y")
    if sd_x <= 0 or sd_y <= 0:
        raise UserError(f"standard deviations are above 0; found {given.text('sd_x')} and {given.text('sd_y')}")
    standard = slope * sd_x / sd_y
    printed = ", ".join(f"{name} = {given.text(name)}" for name in ("b", "sd_x", "sd_y"))
    if given.number("predictors") != 1:
        text, words = f"{standard:z.4f}", "several predictors: a beta, which is never pooled with r"
        return Converted(
            statistic="beta", value=standard, text=text, n=n, formula="beta = b sd_x / sd_y", assumptions=words,
            conversion=f"beta = b sd_x / sd_y from {printed}; {words}", flags=("converted", "adjusted"),
        )  # fmt: skip
    if not abs(standard) < 1:
        raise UserError(f"{printed} give a correlation of {standard:.4f}; expected one inside -1 to 1; look them up")
    made = correlation(standard, n)
    return _made(made, n, "r = b sd_x / sd_y", printed, "the only predictor; both deviations are of these persons")


def _odds_per_unit(given: PrintedStatistics) -> Converted:
    ratio, low, high, sd = (given.number(name) for name in ("or", "ci_low", "ci_high", "sd_x"))
    if not 0 < low < ratio < high:
        raise UserError(f"an odds ratio lies inside its interval and above 0; found {ratio:g} and {low:g} to {high:g}")
    made = r_from_logistic_slope(math.log(ratio), math.log(high / low) / (2 * NORMAL_95), sd)
    texts = (
        f"OR = {given.text('or')} [{given.text('ci_low')}, {given.text('ci_high')}] per unit, sd {given.text('sd_x')}"
    )
    formula = "b = log(OR), r = b s / sqrt(b^2 s^2 + pi^2 / 3) (McKelvey & Zavoina 1975)"
    assumed = "the only predictor, and a logistic variable behind the yes or no; a 95 % interval"
    return replace(_made(made, given.persons(), formula, texts, assumed), flags=("converted", "per_unit"))


def _table(given: PrintedStatistics) -> Converted:
    parts = re.split(r"[\s,;/]+", given.numbers.get("cells", "").strip())
    if len(parts) != 4 or not all(part.isdecimal() for part in parts):
        raise UserError(f"found cells {given.numbers.get('cells', '')[:40]!r}; expected four counts, e.g. 40,20,15,45")
    counts = [int(part) for part in parts]
    formula = "tetrachoric: the correlation at which the bivariate normal has the shares of the table"
    assumed = "both variables were cut out of normal ones; the first and last count are agreement"
    made = _made(tetrachoric(*counts), sum(counts), formula, f"cells {', '.join(parts)}", assumed)
    return replace(made, flags=("converted", "tetrachoric"))


def _paired(given: PrintedStatistics) -> Converted:
    """Two measurements of the same persons: a change in standard deviations, no correlation between persons."""
    names = ("mean1", "sd1", "mean2", "n", "r")
    mean1, sd1, mean2, n, r = (given.number(name) for name in names)
    persons = given.persons()
    made = change_in_raw_sd(mean1=mean1, sd1=sd1, mean2=mean2, n=n, r=r, correction="none")
    printed = ", ".join(f"{name} = {given.text(name)}" for name in names)
    words = "the same persons twice: a change, not a correlation between persons; kept as d and never pooled with r"
    formula = "d = (mean1 - mean2) / sd1 (Becker 1988)"
    value = float(made.estimate)
    return Converted(
        statistic="d", value=value, text=f"{value:z.4f}", n=persons, formula=formula, assumptions=words,
        conversion=f"{formula} from {printed}, standard error {float(made.se):.4f}; {words}",
        flags=("converted", "paired"),
    )  # fmt: skip


def _beta(given: PrintedStatistics) -> Converted:
    n, beta, text = given.persons(), given.number("beta"), given.text("beta")
    if not given.as_r:
        words = (
            "kept as beta: it depends on the other predictors and is never pooled with r (--as-r converts it, flagged)"
        )
        return Converted(statistic="beta", value=beta, text=text, n=n, formula="beta as printed", assumptions=words)
    assumed = "a stop-gap (Peterson & Brown 2005), not a conversion: flagged, so that analyses can leave it out"
    made = _made(
        beta_to_r(beta, n), n, "r = .98 beta + .05 (.98 beta where beta is below 0)", f"beta = {text}", assumed
    )
    return replace(made, n_effective=math.nan, flags=("beta_converted",))


def _made(effect: EffectSize, n: int, formula: str, printed: str, assumptions: str) -> Converted:
    r, variance = float(effect.estimate), float(effect.variance)
    if not abs(r) < _ONE:
        raise UserError(f"{printed} gives a correlation of {r:.4f}; expected one inside -1 to 1; is a number mistyped?")
    # The inverse of var(r) = (1 - r^2)^2 / (n - 1).
    n_effective = float(n_of_correlation_variance(r, variance))
    plain = n_effective > n - 0.5  # at most n, by the dataset's rule
    return Converted(
        statistic="r",
        value=r,
        text=f"{r:z.4f}",
        n=n,
        n_effective=math.nan if plain else n_effective,
        formula=formula,
        assumptions=assumptions,
        conversion=f"{formula} from {printed}; {assumptions}",
        flags=("converted",),
    )


KINDS: Mapping[str, Kind] = {
    "r": Kind(_r, _TESTED | {"r"}),
    "partial-r": Kind(_partial, frozenset(("r", "n"))),
    "t": Kind(_t, _TESTED | {"t", "predictors"}, groups=True),
    "F": Kind(_f, _TESTED | {"F", "df1"}, directed=True, groups=True),
    "chi2": Kind(_chi2, _SIZES | {"chi2"}, directed=True),
    "p": Kind(_p, _TESTED | {"p"}, directed=True),
    "d": Kind(_d, _SIZES | {"d"}, groups=True),
    "means": Kind(_means, _SIZES | {"mean1", "sd1", "mean2", "sd2"}, groups=True),
    "paired": Kind(_paired, frozenset(("mean1", "sd1", "mean2", "n", "r"))),
    "or": Kind(_odds, _SIZES | {"or", "ci_low", "ci_high"}),
    "or-per-unit": Kind(_odds_per_unit, frozenset(("or", "ci_low", "ci_high", "sd_x", "n"))),
    "table": Kind(_table, frozenset(("cells",))),
    "spearman": Kind(_spearman, frozenset(("rho", "n"))),
    "kendall": Kind(_kendall, frozenset(("tau", "n"))),
    "eta2": Kind(_eta2, _TESTED | {"eta2"}, directed=True),
    "R2": Kind(_r2, frozenset(("R2", "n", "predictors")), directed=True),
    "b": Kind(_b, frozenset(("b", "sd_x", "sd_y", "n", "predictors"))),
    "beta": Kind(_beta, frozenset(("beta", "n"))),
}
"""What can be converted, by the word of `--from`."""
VALUES: Mapping[str, str] = {
    "partial-r": "r", "means": "value", "paired": "r", "or-per-unit": "or", "table": "cells", "spearman": "rho",
    "kendall": "tau",
}  # fmt: skip
"""What `--value` is called where it is not called like the kind."""
