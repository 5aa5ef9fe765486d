"""What each model of publication bias says of a body of published samples, and whether it is fit to be read.

Called by `evidence.bias` for the page and by the rules of certainty. Three ideas:

1. The models disagree because they assume different things; each answer stands beside the others with what it assumes,
   and a model that cannot be fitted keeps its row and says why.
2. Everything is on Fisher's z, whose variance 1 / (n - 3) knows n alone: an r and the usual standard error of that r
   are tied by construction, so a funnel of r is skewed without any bias (Pustejovsky & Rodgers 2019).
3. "Adequate" is a rule (`_judged` below), not a mood: converged, inside the data, enough samples of either size.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Literal

import numpy as np

from replication.analysis.outcome import Label, Text, several
from replication.dataset import kept_with
from replication.effects.correlation import back_to_r
from replication.errors import ModelError
from replication.evidence.estimators import centre_of, che
from replication.evidence.question import Evidence, rows_by_sample, sample_means
from replication.models.bias.henmi_copas import henmi_copas
from replication.models.bias.multilevel_funnel import fit_multilevel_funnel
from replication.models.bias.pet_peese import choose_pet_peese
from replication.models.bias.selection_models import fit_step_selection
from replication.models.bias.trim_fill import trim_fill
from replication.models.bias.waap import POWERED, waap_wls
from replication.models.fit import Array, Fit, Interval, Note
from replication.models.options import Direction
from replication.models.two_level.random_effects import fit_random_effects

__all__ = [
    "BiasAnswer",
    "Sizes",
    "bias_answers",
    "body_key",
    "direction_of",
    "funnel_fit",
    "one_row_a_sample",
    "sizes_of",
    "unadjusted",
]

# Asymmetry cannot be told from chance with fewer than ten samples (Sterne et al. 2011, BMJ 343:d4002, recommendation
# 1); the same least number is asked of every model here, all of which read the shape of the funnel.
FEWEST_SAMPLES = 10
# Samples that could have missed significance, and samples that could not: with fewer than three of a kind one odd
# sample decides the slope or the weight. A choice of this project.
FEWEST_OF_A_KIND = 3
# One-sided: where a two-sided test at 5 % turns significant in the expected direction.
SIGNIFICANT = 0.025
# Below four Satterthwaite degrees of freedom a robust p value is not trustworthy (Tipton 2015, Psychological Methods
# 20:375).
FEWEST_DF = 4.0
# With a direction, PET's two-sided p below .10 is a one-sided test at 5 per cent: its authors' rule (Stanley &
# Doucouliagos 2014, Research Synthesis Methods 5:60).
PET_ALPHA = 0.10


@dataclass(frozen=True, slots=True, kw_only=True)
class BiasAnswer:
    """One model's mean in r with its interval; NaN where it could not be fitted.

    `adequate` is whether it may be read; `reasons` say why not, `notes` what else the fit says, `method` its choices.
    """

    model: str
    label: str
    assumes: str
    value: float = float("nan")
    low: float = float("nan")
    high: float = float("nan")
    p: float = float("nan")
    k: int = 0
    adequate: bool = False
    reasons: tuple[Text, ...] = ()
    notes: tuple[Text, ...] = ()
    method: tuple[tuple[str, Text], ...] = ()

    @property
    def fitted(self) -> bool:
        """Whether there is a number at all."""
        return bool(np.isfinite(self.value))


@dataclass(frozen=True, slots=True)
class Sizes:
    """How many samples there are, and how many of them are small: under 80 % power to find the unadjusted mean."""

    samples: int
    small: int

    @property
    def reasons(self) -> tuple[Text, ...]:
        """Why the shape of this funnel cannot be read; empty where it can."""
        found: list[Text] = []
        if self.samples < FEWEST_SAMPLES:
            found.append(Label("too_few_samples", {"count": self.samples, "fewest": FEWEST_SAMPLES}))
        for count, key in ((self.small, "too_few_small"), (self.samples - self.small, "too_few_large")):
            if count < FEWEST_OF_A_KIND:
                found.append(Label(key, {"count": count, "fewest": FEWEST_OF_A_KIND}))
        return tuple(found)


def body_key(found: Evidence) -> str:
    """How the ids of everything on the published body of a question begin."""
    return f"{found.question.id}-published"


def direction_of(sign: int) -> Direction:
    """The direction that selection favours: that of the expected sign, never that of the data."""
    return "positive" if sign > 0 else "negative"


@kept_with  # tests, models, figures and the comparison of bodies all ask for it
def one_row_a_sample(found: Evidence) -> Evidence:
    """One row of each sample, chosen without looking at its result: the largest n, the first of equals.

    p-curve, the test of excess significance and the rank test ask for independent tests as they were printed.
    """
    n = found.rows["n"].to_numpy(float)
    # By n and order alone: choosing by the result would be the very selection that is looked for.
    chosen = [int(rows[np.argmax(n[rows])]) for rows in rows_by_sample(found)]
    mask = np.zeros(len(n), dtype=bool)
    mask[chosen] = True
    return found.take(mask)


@kept_with
def funnel_fit(found: Evidence, predictor: Literal["se", "variance"] = "se") -> Fit:
    """The multilevel funnel regression of a body, kept: PET, Egger's test and the line in the funnel are one fit."""
    try:
        # What imprecision explains is little of the variances: those of the model without it are close.
        near = [component.estimate for component in che(found).components]
    except ModelError:
        near = None
    return fit_multilevel_funnel(found.y, found.v, found.samples, predictor=predictor, near=near)


def unadjusted(found: Evidence) -> BiasAnswer:
    """The mean without any adjustment, from the working model every finding uses (CHE, rho 0.6, CR2 by sample).

    Of one sample it is the mean of its rows with its sampling error alone, and a note says why.
    """
    alone: tuple[Text, ...] = ()
    try:
        fit = che(found)
    except ModelError as error:
        means, alone = sample_means(found), (error.text,)
        fit = fit_random_effects(means.y, means.v, method="EE", test="z")
    low, high = back_to_r(fit.interval()[0]).tolist()
    return BiasAnswer(
        model="unadjusted",
        label="no_adjustment",
        assumes="assumes_nothing",
        value=float(back_to_r(fit.beta[0])),
        low=low,
        high=high,
        p=float(fit.p[0]),
        k=len(set(found.samples)),
        adequate=True,
        notes=(*alone, *_texts(fit.notes)),
    )


def sizes_of(found: Evidence, mean_z: float) -> Sizes:
    """Count samples that had less than 80 % power for the mean: those whose result could have gone unpublished.

    The same constant as WAAP: an effect 2.8 standard errors from zero is found with 80 % power at two-sided 5 %.
    """
    se = np.sqrt(one_row_a_sample(found).v)
    return Sizes(len(se), int((se > abs(mean_z) / POWERED).sum()))


def bias_answers(found: Evidence, sign: int) -> tuple[BiasAnswer, ...]:
    """Every model of publication bias on one body, in a fixed order; one that fails keeps its place with the reason.

    Parameters
    ----------
    found : a published body, oriented Fisher z.
    sign : of the expected association, 1 or -1: what selection is assumed to favour.
    """
    means = sample_means(found)
    common = _Common(found, means, sign, sizes_of(found, centre_of(found)))
    return tuple(_judged(_tried(answer, fit, common), common) for answer, fit in _MODELS)


@dataclass(frozen=True, slots=True, eq=False)
class _Common:
    """What every model is given: all rows, one value per sample, the expected sign, and the sizes of the samples."""

    found: Evidence
    means: Evidence
    sign: int
    sizes: Sizes


_Model = Callable[[BiasAnswer, _Common], BiasAnswer]


def _tried(answer: BiasAnswer, fit: _Model, common: _Common) -> BiasAnswer:
    answer = replace(answer, k=len(common.means.y))
    try:
        return fit(answer, common)
    except ModelError as error:
        return replace(answer, reasons=(Label("could_not_be_fitted", {"why": error.text}),))


def _judged(answer: BiasAnswer, common: _Common) -> BiasAnswer:
    """The answer with its reasons not to be read; adequate when there is none."""
    reasons = list(answer.reasons)
    if not answer.fitted and not reasons:
        reasons.append(Label("no_estimate", {"why": several(*answer.notes) or "model_gives_none"}))
    if answer.fitted:
        reasons += common.sizes.reasons
        reasons += _outside(answer, common.means.y)
        if not np.isfinite(answer.low + answer.high):
            reasons.append("no_interval_could_be_estimated")
    return replace(answer, reasons=tuple(reasons), adequate=not reasons)


def _outside(answer: BiasAnswer, z: Array) -> list[str]:
    """A mean beyond every sample is made by the model's assumption alone."""
    low, high = float(back_to_r(z.min())), float(back_to_r(z.max()))
    # In r on both sides, as the answer is; tanh keeps the order.
    return [] if low <= answer.value <= high else ["the_mean_lies_outside_the_data"]


def _filled(
    answer: BiasAnswer, value: float, interval: Interval | Sequence[float], p: float, notes: Sequence[Note] = (),
    **method: Text,
) -> BiasAnswer:  # fmt: skip
    """The answer with a mean and interval on z turned into r."""
    low, high = (interval.low, interval.high) if isinstance(interval, Interval) else interval
    return replace(
        answer,
        value=float(back_to_r(value)),
        low=float(back_to_r(low)),
        high=float(back_to_r(high)),
        p=p,
        notes=_texts(notes),
        method=tuple(method.items()),
    )


def _texts(notes: Sequence[Note]) -> tuple[Text, ...]:
    return tuple(note.text for note in notes)


def _pet_peese(answer: BiasAnswer, c: _Common) -> BiasAnswer:
    rule = Label("pet_peese_rule", {"alpha": PET_ALPHA, "side": direction_of(c.sign)})
    fits = funnel_fit(c.found), funnel_fit(c.found, "variance")
    found = choose_pet_peese(*fits, direction=direction_of(c.sign), alpha=PET_ALPHA)
    answer = _filled(
        answer, found.estimate, found.interval, found.p, found.notes,
        chosen=found.chosen, rule=rule, df=f"{found.df:.1f}",
    )  # fmt: skip
    if found.df < FEWEST_DF:
        answer = replace(answer, reasons=(Label("too_few_df", {"df": found.df, "fewest": FEWEST_DF}),))
    return answer


def _selection(answer: BiasAnswer, c: _Common) -> BiasAnswer:
    """Three parameters: mean, heterogeneity, and the weight of results that miss significance in the right direction.

    With fewer than three results on one side of the step its weight hangs on one or two samples.
    """
    found = fit_step_selection(c.means.y, c.means.v, steps=(SIGNIFICANT,), direction=direction_of(c.sign))
    # By their steps: the names of the weights are English.
    ranges = [{"low": low, "high": high} for low, high in pairwise((0.0, SIGNIFICANT, 1.0))]
    by_range = list(zip(ranges, found.selection, strict=True))
    weights = several(*(Label("weight_in", {**ends, "weight": w.estimate}) for ends, w in by_range))
    fit = found.fit
    answer = _filled(
        answer, float(fit.beta[0]), fit.interval()[0].tolist(), float(fit.p[0]), found.fit.notes,
        weights=weights, step=Label("step_one_sided", {"step": SIGNIFICANT}),
    )  # fmt: skip
    few = [
        Label("too_few_results", {**ends, "count": w.observed or 0, "fewest": FEWEST_OF_A_KIND})
        for ends, w in by_range
        if (w.observed or 0) < FEWEST_OF_A_KIND
    ]
    # A ridge: very different means fit equally well, so the one reported is an accident of the search.
    unsettled = [note.text for note in fit.notes if note.code in ("ridge", "not-converged")]
    return replace(answer, reasons=(*few, *unsettled))


def _waap(answer: BiasAnswer, c: _Common) -> BiasAnswer:
    found = waap_wls(c.means.y, c.means.v)
    answer = _filled(answer, found.estimate, found.interval, found.p, found.notes, used=found.used,
                     powered=str(len(found.powered)))  # fmt: skip
    if found.used != "WAAP":
        answer = replace(answer, reasons=("waap_all_averaged",))
    return answer


def _trim_fill(answer: BiasAnswer, c: _Common) -> BiasAnswer:
    """Missing samples are sought on the side away from the expected sign; the data do not choose the side."""
    found = trim_fill(c.means.y, c.means.v, side="left" if c.sign > 0 else "right")
    return _filled(answer, float(found.fit.beta[0]), found.fit.interval()[0].tolist(), float(found.fit.p[0]),
                   found.notes, filled=Label(f"filled_on_{found.side}", {"k": found.k0}))  # fmt: skip


def _henmi_copas(answer: BiasAnswer, c: _Common) -> BiasAnswer:
    found = henmi_copas(c.means.y, c.means.v)
    return _filled(answer, found.estimate, found.interval, float("nan"), found.notes)


_MODELS: tuple[tuple[BiasAnswer, _Model], ...] = (
    (
        BiasAnswer(
            model="pet-peese",
            label="pet_peese_multilevel",
            assumes="assumes_small_exaggerate",
        ),
        _pet_peese,
    ),
    (
        BiasAnswer(
            model="selection",
            label="selection_three_parameters",
            assumes="assumes_significance_prints",
        ),
        _selection,
    ),
    (
        BiasAnswer(
            model="waap",
            label="waap",
            assumes="assumes_power_is_unbiased",
        ),
        _waap,
    ),
    (
        BiasAnswer(
            model="trim-fill",
            label="trim_and_fill_l0",
            assumes="assumes_weakest_missing",
        ),
        _trim_fill,
    ),
    (
        BiasAnswer(
            model="henmi-copas",
            label="henmi_copas",
            assumes="assumes_small_count_less",
        ),
        _henmi_copas,
    ),
)
