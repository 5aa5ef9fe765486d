"""PET, PEESE and the conditional PET-PEESE estimator of the effect of an infinitely precise study.

Source: Stanley & Doucouliagos (2014, Research Synthesis Methods 5:60). PET is the intercept of a regression on the
standard error, PEESE of one on the variance. PET is biased where there is an effect, PEESE where there is none, so
PET's own test decides which of the two to read.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from numpy.typing import ArrayLike

from replication.errors import ModelError
from replication.models.bias.funnel_asymmetry import fit_funnel_regression
from replication.models.fit import Fit, Interval, Note
from replication.models.options import Direction, FunnelModel, Tau2Method, TestMethod, check_choice
from replication.models.readable import Readable

__all__ = ["PetPeese", "choose_pet_peese", "peese", "pet", "pet_peese"]


@dataclass(frozen=True, slots=True, repr=False)
class PetPeese(Readable):
    """Both regressions, which of them the rule chose, and that one's intercept. `rule` states the rule as applied."""

    chosen: Literal["PET", "PEESE"]
    estimate: float
    se: float
    df: float
    p: float
    interval: Interval
    rule: str
    pet: Fit
    peese: Fit

    @property
    def notes(self) -> tuple[Note, ...]:
        """The notes of the regression that was chosen."""
        return (self.pet if self.chosen == "PET" else self.peese).notes


def pet(
    y: ArrayLike,
    v: ArrayLike,
    *,
    model: FunnelModel = "wls",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Fit:
    """Precision-effect test: regress on the standard error; the intercept is the adjusted effect.

    Arguments and errors as in `fit_funnel_regression`; `model="wls"` is the authors' own.

    >>> round(float(pet([0.5, 0.3, 0.2, 0.25], [0.09, 0.04, 0.01, 0.0225]).beta[0]), 4)
    0.06
    """
    return fit_funnel_regression(
        y, v, predictor="se", model=model, method=method, test=test, clusters=clusters, level=level
    )


def peese(
    y: ArrayLike,
    v: ArrayLike,
    *,
    model: FunnelModel = "wls",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> Fit:
    """Precision-effect estimate with standard error: regress on the variance; the intercept is the adjusted effect.

    Arguments and errors as in `fit_funnel_regression`; `model="wls"` is the authors' own.

    >>> round(float(peese([0.5, 0.3, 0.2, 0.25], [0.09, 0.04, 0.01, 0.0225]).beta[0]), 4)
    0.1632
    """
    return fit_funnel_regression(
        y, v, predictor="variance", model=model, method=method, test=test, clusters=clusters, level=level
    )


def pet_peese(
    y: ArrayLike,
    v: ArrayLike,
    *,
    direction: Direction | None = None,
    alpha: float = 0.10,
    model: FunnelModel = "wls",
    method: Tau2Method = "REML",
    test: TestMethod = "knha",
    clusters: ArrayLike | None = None,
    level: float = 0.95,
) -> PetPeese:
    """PEESE where PET's intercept differs from 0, PET otherwise.

    The rule: PEESE if PET's two-sided p is below `alpha` and, when a `direction` is expected, PET points that way.
    With the default 0.10 and a direction this is a one-sided test at 5 %.

    Other arguments and errors as in `fit_funnel_regression`.

    >>> result = pet_peese([0.5, 0.3, 0.2, 0.25, 0.6], [0.09, 0.04, 0.01, 0.0225, 0.08], direction="positive")
    >>> result.chosen, round(result.estimate, 4)
    ('PET', 0.0186)
    """
    first = pet(y, v, model=model, method=method, test=test, clusters=clusters, level=level)
    second = peese(y, v, model=model, method=method, test=test, clusters=clusters, level=level)
    return choose_pet_peese(first, second, direction=direction, alpha=alpha)


def choose_pet_peese(first: Fit, second: Fit, *, direction: Direction | None, alpha: float) -> PetPeese:
    """Which of two fitted regressions to read, PET `first` or PEESE `second`, by the rule of `pet_peese`.

    Where PET has no p value (every effect lies on its line) it is PET that stands, without one.
    """
    if direction is not None:
        check_choice(direction, Direction, "direction")
    if not 0.0 < alpha < 1.0:
        raise ModelError(f"alpha={alpha!r} is not between 0 and 1; 0.10 is the authors' choice.")
    # NaN < alpha is False, which is how PET stands where its test is not possible.
    effect = bool(first.p[0] < alpha) and _points(float(first.beta[0]), direction)
    return _read(first, second, "PEESE" if effect else "PET", _rule(alpha, direction))


def _points(intercept: float, direction: Direction | None) -> bool:
    # An effect against the expected direction is no reason to take there to be one, however significant.
    return direction is None or (intercept > 0) == (direction == "positive")


def _rule(alpha: float, direction: Direction | None) -> str:
    # Said as it was applied, since authors differ in alpha and in whether they ask for a sign.
    sign = "" if direction is None else f" and the intercept is {direction}"
    return f"PEESE if the two-sided p of PET's intercept is below {alpha:g}{sign}, else PET"


def _read(first: Fit, second: Fit, chosen: Literal["PET", "PEESE"], rule: str) -> PetPeese:
    fit = first if chosen == "PET" else second
    # The intercept: the effect of a study whose standard error is 0.
    low, high = fit.interval()[0]
    return PetPeese(
        chosen=chosen,
        estimate=float(fit.beta[0]),
        se=float(fit.se[0]),
        df=float(fit.df[0]),
        p=float(fit.p[0]),
        interval=Interval(float(low), float(high), fit.level, "wald"),
        rule=rule,
        pet=first,
        peese=second,
    )
