"""What papers print -> a correlation, with formula, assumptions and the way it came about.

The formulas are those of `replication.effects`; here they get words. Means, d and t of two groups are one and the same
here: d without small-sample correction becomes the t of the two groups, and t the point-biserial correlation, so that
one data set gives one r however it is printed. The precision of a converted correlation is kept as `n_effective`, the
n whose large-sample variance (1 - r^2)^2 / (n - 1) is the variance of the conversion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace

import numpy as np

from replication.effects.conversions import beta_to_r, log_odds_to_r, r_from_chi2, r_from_f, r_from_p, r_from_t
from replication.effects.effect_size import EffectSize
from replication.effects.mean_difference import standardized_mean_difference
from replication.errors import UserError
from replication.models.probability import NORMAL_95
from replication.study.plausibility.intervals import centred
from replication.study.printed_statistics import Given, option

__all__ = ["KINDS", "Converted", "Kind", "convert"]

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

    convert: Callable[[Given], Converted]
    takes: frozenset[str]
    directed: bool = False


def convert(kind: str, given: Given) -> Converted:
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

    >>> convert("t", Given(numbers={"t": "2.31", "n": "120"})).text
    '0.2080'
    """
    if kind not in KINDS:
        raise UserError(f'cannot convert from "{kind}"; one of {", ".join(KINDS)}')
    _refuse_unused(kind, given)
    try:
        with np.errstate(over="raise", invalid="raise", divide="raise"):
            return KINDS[kind].convert(given)
    except ArithmeticError:
        raise UserError(
            "these numbers are too large or too small for a correlation; is a decimal point missing or an exponent "
            "mistyped?"
        ) from None
    except UserError as error:
        raise UserError(str(error).removeprefix("row 0: ")) from None  # one print has no rows


def _refuse_unused(kind: str, given: Given) -> None:
    """What was given and would be ignored is refused: whoever typed it expects it to count."""
    known = KINDS[kind]
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


def _r(given: Given) -> Converted:
    return _as_printed("r", given, "r as printed")


def _partial(given: Given) -> Converted:
    return _as_printed("partial_r", given, "partial r as printed; it is never pooled with r unless asked for")


def _as_printed(statistic: str, given: Given, words: str) -> Converted:
    text, value = given.text("r"), given.number("r")
    if not -1 <= value <= 1:
        raise UserError(f'a correlation lies between -1 and 1, but "{text}" is given; is the decimal point missing?')
    n = given.persons()
    return Converted(statistic=statistic, value=value, text=text, n=n, formula=words, assumptions="none")


def _t(given: Given) -> Converted:
    n = given.persons()
    assumed = "the t test of this very correlation, or of two groups"
    if "df" in given.names and given.number("df") != n - 2:
        assumed += f"; Welch's df {given.text('df')} is read as n - 2, as of equal spread in both groups"
    made = r_from_t(given.number("t"), n)
    return _made(made, n, "r = t / sqrt(t^2 + n - 2)", f"t = {given.text('t')}, n = {n}", assumed)


def _f(given: Given) -> Converted:
    given = given.with_two_df()
    n = given.persons()
    if given.text("df1") not in ("", "1"):
        raise UserError("F gives a correlation only with 1 degree of freedom in front, as in F(1, 118)")
    made = r_from_f(given.number("F"), n, given.direction())
    assumed = f"F has 1 and n - 2 degrees of freedom; {_direction(given)}"
    return _made(made, n, "r = sign sqrt(F / (F + n - 2))", _with_sign("F", given, n), assumed)


def _chi2(given: Given) -> Converted:
    n = given.persons()
    made = r_from_chi2(given.number("chi2"), n, given.direction())
    assumed = "a table of two by two without continuity correction; phi is taken as the correlation; "
    return _made(made, n, "r = sign sqrt(chi2 / n)", _with_sign("chi2", given, n), assumed + _direction(given))


def _p(given: Given) -> Converted:
    n = given.persons()
    made = r_from_p(given.number("p"), n, given.direction())
    assumed = f"an exact two-sided p of the t test of the correlation; {_direction(given)}"
    return _made(made, n, "t from p, then r = t / sqrt(t^2 + n - 2)", _with_sign("p", given, n), assumed)


def _with_sign(name: str, given: Given, n: int) -> str:
    return f"{name} = {given.text(name)}, n = {n}, sign {given.direction():+d}"


def _direction(given: Given) -> str:
    return "no direction was given, taken as positive" if given.sign is None else "the direction is the one given"


def _d(given: Given) -> Converted:
    n1, n2 = given.sizes()
    assumed = "; d is in pooled standard deviations, without small-sample correction (g is d (1 - 3 / (4N - 9)))"
    printed = f"d = {given.text('d')}, n1 = {n1:g}, n2 = {n2:g}"
    return _from_groups(given.number("d"), (n1, n2), _OF_D, printed, f"{_groups(given)}{assumed}")


def _means(given: Given) -> Converted:
    names = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
    mean1, sd1, n1, mean2, sd2, n2 = (given.number(name) for name in names)
    given.persons()  # says where the sizes cannot be
    effect = standardized_mean_difference(mean1=mean1, sd1=sd1, n1=n1, mean2=mean2, sd2=sd2, n2=n2, correction="none")
    printed = ", ".join(f"{name} = {given.text(name)}" for name in names)
    formula = f"d = (mean1 - mean2) / pooled sd, then {_OF_D}"
    return _from_groups(float(effect.estimate), (n1, n2), formula, printed, f"{_groups(given)}; equal spread within")


def _groups(given: Given) -> str:
    n1, n2 = given.sizes()
    equal = "two groups of equal size, as only n is given"
    return f"two groups of {n1:g} and {n2:g}" if "n1" in given.names else equal


def _from_groups(d: float, sizes: tuple[float, float], formula: str, printed: str, assumed: str) -> Converted:
    """By the t of the two groups, `d sqrt(n1 n2 / N)`; r = t / sqrt(t^2 + N - 2) is then the formula shown."""
    n1, n2 = sizes
    n = round(n1 + n2)
    made = r_from_t(d * math.sqrt(n1 * n2 / n), n)
    meant = "the point-biserial correlation with being in group 1, as by the t of the groups"
    return _made(made, n, formula, printed, f"{meant}; {assumed}")


def _odds(given: Given) -> Converted:
    ratio, low, high = (given.number(name) for name in ("or", "ci_low", "ci_high"))
    if not 0 < low < ratio < high:
        raise UserError(f"an odds ratio lies inside its interval and above 0; found {ratio:g} and {low:g} to {high:g}")
    texts = (given.text("or"), given.text("ci_low"), given.text("ci_high"))
    if not centred(texts, math.log):
        raise UserError(
            f"{texts[0]} is not in the middle of {texts[1]} to {texts[2]} on the log scale; one is mistyped"
        )
    n, (n1, n2) = given.persons(), given.sizes()
    se = math.log(high / low) / (2 * NORMAL_95)
    made = log_odds_to_r(EffectSize(np.array(math.log(ratio)), np.array(se**2), "log odds ratio"), n1, n2)
    assumed = (
        f"a logistic variable cut in two; a 95 % interval; {_groups(given)}; the textbook formula for large "
        f"samples (Borenstein et al. 2009, eqs. 7.1 and 7.7), where that from d or means has N(N - 2) for (n1 + n2)^2"
    )
    formula = "d = log(OR) sqrt(3) / pi, then r = d / sqrt(d^2 + (n1 + n2)^2 / (n1 n2))"
    return _made(made, n, formula, f"OR = {texts[0]} [{texts[1]}, {texts[2]}]", assumed)


def _beta(given: Given) -> Converted:
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
    n_effective = (1 - r * r) ** 2 / variance + 1
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
    "t": Kind(_t, _TESTED | {"t"}),
    "F": Kind(_f, _TESTED | {"F", "df1"}, directed=True),
    "chi2": Kind(_chi2, _SIZES | {"chi2"}, directed=True),
    "p": Kind(_p, _TESTED | {"p"}, directed=True),
    "d": Kind(_d, _SIZES | {"d"}),
    "means": Kind(_means, _SIZES | {"mean1", "sd1", "mean2", "sd2"}),
    "or": Kind(_odds, _SIZES | {"or", "ci_low", "ci_high"}),
    "beta": Kind(_beta, frozenset(("beta", "n"))),
}
"""What can be converted, by the word of `--from`."""
