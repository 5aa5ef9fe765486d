"""What papers print -> a correlation, with formula, assumptions and the way it came about.

The formulas are those of `replication.effects`; here they get words. The precision of a converted correlation is kept
as `n_effective`, the n whose large-sample variance (1 - r^2)^2 / (n - 1) is the variance of the conversion.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np

from replication.effects.conversions import beta_to_r, d_to_r, log_odds_to_r
from replication.effects.effect_size import EffectSize
from replication.effects.from_tests import r_from_chi2, r_from_f, r_from_p, r_from_t
from replication.effects.mean_difference import standardized_mean_difference
from replication.errors import UserError
from replication.printed import parse_printed
from replication.study.plausibility.intervals import centred

__all__ = ["KINDS", "Converted", "Given", "convert"]

_NORMAL = 1.959963984540054


@dataclass(frozen=True, slots=True, kw_only=True)
class Given:
    """What is printed: numbers as strings by name, and the direction where the statistic has none."""

    numbers: Mapping[str, str]
    sign: int = 1
    as_r: bool = False

    def number(self, name: str) -> float:
        """One number; UserError when it was not given or is only a bound."""
        text = self.numbers.get(name, "")
        if not text:
            raise UserError(f"--{name.replace('_', '-')} is needed for this; it was not given")
        printed = parse_printed(text)
        if printed.bound:
            raise UserError(f'{name} "{text}" is only a bound; a bound gives no correlation, so leave the row out')
        return printed.value

    def sizes(self) -> tuple[float, float]:
        """The sizes of the two groups; equal halves of n where only n is given."""
        if self.numbers.get("n1") or self.numbers.get("n2"):
            return self.number("n1"), self.number("n2")
        return self.number("n") / 2, self.number("n") / 2


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


def convert(kind: str, given: Given) -> Converted:
    """A correlation from what is printed.

    Parameters
    ----------
    kind : one of KINDS, e.g. "t".
    given : the printed numbers.

    Raises
    ------
    UserError
        when a number is missing, is only a bound, or cannot be; the message says which.

    >>> convert("t", Given(numbers={"t": "2.31", "n": "120"})).text
    '0.2080'
    """
    if kind not in KINDS:
        raise UserError(f'cannot convert from "{kind}"; one of {", ".join(KINDS)}')
    if given.sign not in (-1, 1):
        raise UserError("the sign is 1 where more goes with more, -1 where more goes with less")
    return KINDS[kind](given)


def _r(given: Given) -> Converted:
    return _as_printed("r", given, "r as printed")


def _partial(given: Given) -> Converted:
    return _as_printed("partial_r", given, "partial r as printed; it is never pooled with r unless asked for")


def _as_printed(statistic: str, given: Given, words: str) -> Converted:
    text = given.numbers.get("r", "")
    value = given.number("r")
    if not -1 <= value <= 1:
        raise UserError(f'a correlation lies between -1 and 1, but "{text}" is given; is the decimal point missing?')
    return Converted(statistic=statistic, value=value, text=text, n=_n(given), formula=words, assumptions="none")


def _t(given: Given) -> Converted:
    n = _n(given)
    effect = r_from_t(given.number("t"), n)
    return _made(
        effect,
        n,
        "r = t / sqrt(t^2 + n - 2)",
        f"t = {given.numbers['t']}, n = {n}",
        "the t test of this very correlation, or of two groups",
    )


def _f(given: Given) -> Converted:
    n = _n(given)
    if given.numbers.get("df1", "1") != "1":
        raise UserError("F gives a correlation only with 1 degree of freedom in front, as in F(1, 118)")
    effect = r_from_f(given.number("F"), n, given.sign)
    assumed = "F has 1 and n - 2 degrees of freedom; the direction is the one given"
    return _made(
        effect, n, "r = sign sqrt(F / (F + n - 2))", f"F = {given.numbers['F']}, n = {n}, sign {given.sign:+d}", assumed
    )


def _chi2(given: Given) -> Converted:
    n = _n(given)
    effect = r_from_chi2(given.number("chi2"), n, given.sign)
    assumed = "a table of two by two without continuity correction; phi is taken as the correlation"
    return _made(
        effect, n, "r = sign sqrt(chi2 / n)", f"chi2 = {given.numbers['chi2']}, n = {n}, sign {given.sign:+d}", assumed
    )


def _p(given: Given) -> Converted:
    n = _n(given)
    effect = r_from_p(given.number("p"), n, given.sign)
    assumed = "an exact two-sided p of the t test of the correlation; the direction is the one given"
    return _made(
        effect,
        n,
        "t from p, then r = t / sqrt(t^2 + n - 2)",
        f"p = {given.numbers['p']}, n = {n}, sign {given.sign:+d}",
        assumed,
    )


def _d(given: Given) -> Converted:
    n1, n2 = given.sizes()
    d = given.number("d")
    variance = 1 / n1 + 1 / n2 + d**2 / (2 * (n1 + n2))
    return _from_groups(EffectSize(np.array(d), np.array(variance), "d"), n1, n2, f"d or g = {given.numbers['d']}")


def _means(given: Given) -> Converted:
    names = ("mean1", "sd1", "n1", "mean2", "sd2", "n2")
    mean1, sd1, n1, mean2, sd2, n2 = (given.number(name) for name in names)
    effect = standardized_mean_difference(mean1=mean1, sd1=sd1, n1=n1, mean2=mean2, sd2=sd2, n2=n2)
    printed = ", ".join(f"{name} = {given.numbers[name]}" for name in names)
    return _from_groups(effect, n1, n2, printed)


def _from_groups(effect: EffectSize, n1: float, n2: float, printed: str) -> Converted:
    r = d_to_r(effect, n1, n2)
    assumed = f"two groups of {n1:g} and {n2:g}, normal within; the point-biserial correlation with being in group 1"
    return _made(r, round(n1 + n2), "r = d / sqrt(d^2 + (n1 + n2)^2 / (n1 n2))", printed, assumed)


def _odds(given: Given) -> Converted:
    ratio, low, high = (given.number(name) for name in ("or", "ci_low", "ci_high"))
    if not 0 < low < ratio < high:
        raise UserError(f"an odds ratio lies inside its interval and above 0; found {ratio:g} and {low:g} to {high:g}")
    texts = (given.numbers["or"], given.numbers["ci_low"], given.numbers["ci_high"])
    if not centred(texts, math.log):
        raise UserError(
            f"{texts[0]} is not in the middle of {texts[1]} to {texts[2]} on the log scale; one is mistyped"
        )
    se = math.log(high / low) / (2 * _NORMAL)
    effect = log_odds_to_r(EffectSize(np.array(math.log(ratio)), np.array(se**2), "log odds ratio"), *given.sizes())
    assumed = "a logistic variable cut in two; a 95 % interval; group sizes as given, or equal"
    formula = "d = log(OR) sqrt(3) / pi, then r = d / sqrt(d^2 + (n1 + n2)^2 / (n1 n2))"
    return _made(effect, _n(given), formula, f"OR = {texts[0]} [{texts[1]}, {texts[2]}]", assumed)


def _beta(given: Given) -> Converted:
    n, beta = _n(given), given.number("beta")
    if not given.as_r:
        words = (
            "kept as beta: it depends on the other predictors and is never pooled with r (--as-r converts it, flagged)"
        )
        return Converted(
            statistic="beta", value=beta, text=given.numbers["beta"], n=n, formula="beta as printed", assumptions=words
        )
    effect = beta_to_r(beta, n)
    assumed = "a stop-gap (Peterson & Brown 2005), not a conversion: flagged, so that analyses can leave it out"
    made = _made(effect, n, "r = .98 beta + .05 (where beta is 0 or more)", f"beta = {given.numbers['beta']}", assumed)
    return Converted(
        statistic="r", value=made.value, text=made.text, n=n, formula=made.formula, assumptions=assumed,
        conversion=made.conversion, flags=("beta_converted",),
    )  # fmt: skip


def _made(effect: EffectSize, n: int, formula: str, printed: str, assumptions: str) -> Converted:
    r, variance = float(effect.estimate), float(effect.variance)
    n_effective = (1 - r * r) ** 2 / variance + 1 if variance > 0 else math.nan
    plain = n_effective > n - 0.5  # at most n, by the dataset's rule
    return Converted(
        statistic="r",
        value=r,
        text=f"{r:.4f}",
        n=n,
        n_effective=math.nan if plain else n_effective,
        formula=formula,
        assumptions=assumptions,
        conversion=f"{formula} from {printed}; {assumptions}",
        flags=("converted",),
    )


def _n(given: Given) -> int:
    if not given.numbers.get("n") and given.numbers.get("n1"):
        return round(sum(given.sizes()))
    if not given.numbers.get("n") and given.numbers.get("df"):
        return round(given.number("df")) + 2
    n = given.number("n")
    if n < 4 or n != round(n):
        raise UserError(f"n is a whole number of 4 or more; found {given.numbers['n']}")
    return int(n)


KINDS: Mapping[str, Callable[[Given], Converted]] = {
    "r": _r,
    "partial-r": _partial,
    "t": _t,
    "F": _f,
    "chi2": _chi2,
    "p": _p,
    "d": _d,
    "means": _means,
    "or": _odds,
    "beta": _beta,
}
"""What can be converted, by the word of `--from`."""
