"""Publication bias on the page of a finding: estimates, tests, figures and sentences for the published body.

Beside them stands what the difference of that body from the open data can and cannot mean.

`publication_bias` is what a finding calls; `bias_models` holds the models and the rule of what is fit to be read. Of
the open data nothing was selected on its result, so no model of bias is fitted to them: they get a funnel, no more.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from replication.analysis.outcome import (
    Cell,
    Estimate,
    Figure,
    Findings,
    Label,
    Number,
    Ref,
    Sentence,
    Table,
    Text,
    numbers,
    of,
    placed,
    refs,
    several,
    within,
)
from replication.errors import ModelError
from replication.evidence.bias_averages import (
    AveragedBias,
    Remember,
    averaged_bias,
    averaged_estimates,
    averaged_tables,
)
from replication.evidence.bias_models import (
    BiasAnswer,
    bias_answers,
    body_key,
    direction_of,
    funnel_fit,
    one_row_a_sample,
    unadjusted,
)
from replication.evidence.bodies import compare_bodies
from replication.evidence.plots import funnel_figure
from replication.evidence.question import Evidence, sample_means
from replication.models.bias.funnel_asymmetry import egger_of_fit, rank_test
from replication.models.bias.p_curve import p_curve, p_curve_shares
from replication.models.bias.significance_counts import excess_significance
from replication.models.two_level.random_effects import fit_random_effects

__all__ = ["BiasPage", "funnel_line", "publication_bias"]

# Groups of the comparison figure: the models that may be read, and those whose row says why not.
READ, NOT_READ = "may_be_read", "not_to_be_read_here"
POSTPONED = "average_postponed"
"""Why there is no average: its rows are new, and this run does not spend half a minute on it."""


@dataclass(frozen=True, slots=True)
class BiasPage:
    """Everything on publication bias of one question: what the page shows, and what rules of certainty read.

    `models` are the answers of the single models (empty without a published body), `averaged` the average over 36, or
    None where it cannot be had or is postponed, `difference` that of the two bodies where there are two. Rules of
    certainty read `models` alone, so that a postponed average makes nobody surer or less sure.
    """

    findings: Findings
    models: tuple[BiasAnswer, ...] = ()
    averaged: AveragedBias | None = None
    difference: Estimate | None = None


def publication_bias(
    published: Evidence | None,
    open_data: Evidence | None,
    sign: int,
    *,
    bodies: tuple[Estimate, Estimate] | None = None,
    remember: Remember | None = None,
) -> BiasPage:
    """What is known of publication bias on a question.

    Parameters
    ----------
    published, open_data : the two bodies of evidence; None or empty where there is none.
    sign : of the expected association, 1 or -1: what selection is assumed to favour.
    bodies : the main estimates of both bodies, where the finding has its own; by default the working model of each.
    remember : keeps the average over 36 models, some seconds of integration, by content (`Context.remember`).
    """
    published, open_data = (body if body is not None and len(body.y) > 1 else None for body in (published, open_data))
    parts = _Parts([], [], [], [])
    models: tuple[BiasAnswer, ...] = ()
    averaged = difference = None
    if published is not None:
        models, averaged = _published(published, sign, remember, parts)
    shown = [body for body in (published, open_data) if body is not None]
    if shown:
        parts.figures.append(funnel_figure(shown, None if published is None else funnel_line(published)))
    # A body of one row has no funnel and no spread; it is treated as none above.
    if published is not None and open_data is not None:
        compared = compare_bodies(published, open_data, bodies)
        difference = compared.difference
        parts.estimates.append(difference)
        parts.tables.append(compared.table)
        parts.sentences.append(compared.sentence)
    elif open_data is not None:
        parts.sentences.append(Sentence("bias.open_only", {"question": open_data.question.id}))
    found = Findings(
        estimates=placed("bias", parts.estimates),
        tables=placed("bias", parts.tables),
        figures=placed("bias", parts.figures),
        sentences=placed("bias", parts.sentences),
    )
    return BiasPage(found, models, averaged, difference)


@dataclass(frozen=True, slots=True)
class _Parts:
    """What is collected on the way; local to one page."""

    estimates: list[Estimate]
    tables: list[Table]
    figures: list[Figure]
    sentences: list[Sentence]


def _published(
    found: Evidence, sign: int, remember: Remember | None, parts: _Parts
) -> tuple[tuple[BiasAnswer, ...], AveragedBias | None]:
    """The part of the page that models selection, for the published body alone."""
    plain = unadjusted(found)
    models = bias_answers(found, sign)
    averaged, reason = _averaged_or_reason(found, sign, remember)
    parts.estimates.extend([_estimate(found, answer) for answer in (plain, *models)])
    if averaged is not None:
        parts.estimates.extend(averaged_estimates(found, averaged))
        parts.tables.extend(averaged_tables(found, averaged))
    parts.tables.insert(0, _models_table(found, plain, models, averaged, reason))
    parts.tables.append(_tests_table(found, sign))
    parts.figures.extend([_models_figure(found, plain, models, averaged, reason), _p_curve_figure(found, sign)])
    parts.sentences.append(_together(found, sign, plain, models, averaged or reason))
    return models, averaged


# --- the average over models -----------------------------------------------------------------------------------------


def _averaged_or_reason(found: Evidence, sign: int, remember: Remember | None) -> tuple[AveragedBias | None, Text]:
    try:
        averaged = averaged_bias(found, sign, remember)
        return averaged, POSTPONED if averaged is None else ""
    except ModelError as error:
        return None, Label("could_not_be_fitted", {"why": error.text})


# --- models and tests side by side -----------------------------------------------------------------------------------


def _estimate(found: Evidence, answer: BiasAnswer) -> Estimate:
    return Estimate(
        id=f"{body_key(found)}-{answer.model}",
        label=of(found.question.label, answer.label),
        metric="r",
        value=answer.value,
        low=answer.low,
        high=answer.high,
        p=answer.p,
        k=answer.k,
        samples=answer.k,
        n=found.selection.persons,
        group="bias",
        method={**dict(answer.method), "scale": "scale_z_from_n"},
        notes=(*answer.reasons, *answer.notes),
        rows=tuple(found.rows["effect_id"]),
    )


def _models_table(
    found: Evidence, plain: BiasAnswer, models: Sequence[BiasAnswer], averaged: AveragedBias | None, reason: Text
) -> Table:
    """Every model in its row with what it assumes; a model that failed shows why in place of numbers."""
    rows: list[tuple[Cell, ...]] = [_model_row(answer) for answer in (plain, *models)]
    links = [f"{body_key(found)}-{answer.model}" for answer in (plain, *models)]
    label, assumes = "average_of_models", "assumes_one_by_rows"
    if averaged is None:
        rows.append((label, assumes, None, None, None, None, "no", reason))
        links.append("")
    else:
        for name, (value, low, high) in (
            ("if_there_is_an_effect", averaged.conditional),
            ("all_models", averaged.averaged),
        ):
            why = several(*averaged.reasons, *averaged.notes)
            read = "yes" if averaged.adequate else "no"
            rows.append((within(label, name), assumes, value, low, high, None, read, why))
        links += [f"{body_key(found)}-averaged-conditional", f"{body_key(found)}-averaged"]
        if averaged.whole:
            whole = "assumes_one_by_samples"
            rows.append((within(label, "whole_samples"), whole, *averaged.whole[1:], None, read, why))
            links.append(f"{body_key(found)}-averaged-whole")
    return Table(
        id=f"bias-models-{body_key(found)}",
        title=of(found.question.label, "models_of_publication_bias"),
        columns=("model", "assumes", "r", "low", "high", "p", "may_be_read", "why_not"),
        rows=tuple(rows),
        links=refs("estimate", links),
        note="bias_models_note",
    )


def _model_row(answer: BiasAnswer) -> tuple[Cell, ...]:
    # None is an empty cell; NaN would be neither valid JSON nor a word to a reader.
    numbers = [x if np.isfinite(x) else None for x in (answer.value, answer.low, answer.high, answer.p)]
    why = several(*answer.reasons)
    return (answer.label, answer.assumes, *numbers, "yes" if answer.adequate else "no", why)


def _tests_table(found: Evidence, sign: int) -> Table:
    """Tests that something is odd about the funnel or the p values; each says what it cannot tell."""
    # Tests of single results need results as printed; a mean of rows was never tested by anybody.
    one, means = one_row_a_sample(found), sample_means(found)
    tests = (
        ("egger_multilevel_cr2", lambda: _egger(found)),
        ("rank_correlation_begg", lambda: _rank(one)),
        ("excess_significance", lambda: _excess(one)),
        ("p_curve_right_skew", lambda: _p_curve(one, sign)),
    )
    rows = tuple((name, *_or_reason(test)) for name, test in tests)
    return Table(
        id=f"bias-tests-{body_key(found)}",
        title=of(found.question.label, "tests_of_bias"),
        columns=("test", "statistic", "p", "what_was_counted", "what_it_can_tell"),
        rows=rows,
        note=Label("bias_tests_note", {"samples": len(means.y)}),
    )


_Row = tuple[float | None, float | None, Text, Text]


def _or_reason(test: Callable[[], _Row]) -> _Row:
    try:
        return test()
    except ModelError as error:
        return None, None, Label("not_possible", {"why": error.text}), ""


def _finite(*numbers: float) -> tuple[float | None, ...]:
    return tuple(number if np.isfinite(number) else None for number in numbers)


def _egger(found: Evidence) -> _Row:
    test = egger_of_fit(funnel_fit(found))
    statistic, p = _finite(test.statistic, test.p)
    return (
        statistic,
        p,
        Label("counted_slope", {"slope": test.slope, "df": test.df}),
        "tells_small_samples",
    )


def _rank(one: Evidence) -> _Row:
    test = rank_test(one.y, one.v)
    tau, p = _finite(test.tau, test.p)
    return tau, p, Label("counted_tau", {"k": test.k}), "tells_small_samples"


def _excess(one: Evidence) -> _Row:
    """Power at the random-effects mean, averaged over the spread of true effects."""
    fit = fit_random_effects(one.y, one.v)
    test = excess_significance(one.y, one.v, effect=float(fit.beta[0]), tau2=fit.component("tau2").estimate)
    counted = Label("counted_excess", {"observed": test.observed, "k": test.k, "expected": test.expected})
    return test.ratio, test.p_exact, counted, "tells_excess"


def _p_curve(one: Evidence, sign: int) -> _Row:
    curve = p_curve(one.y, one.v, direction=direction_of(sign))
    statistic, p = _finite(curve.right_skew.z, curve.right_skew.p)
    counted = Label("counted_p_curve", {"significant": curve.significant, "k": curve.k, "half": curve.half})
    return statistic, p, counted, "tells_p_curve"


def funnel_line(found: Evidence) -> dict[str, Cell] | None:
    """Egger's line through the funnel with the p of its slope, as settings of a figure; None where there is none."""
    try:
        fit = funnel_fit(found)
    except ModelError:
        return None
    return {"line_intercept": float(fit.beta[0]), "line_slope": float(fit.beta[1]), "egger_p": float(fit.p[1])}


# --- figures ---------------------------------------------------------------------------------------------------------


def _models_figure(
    found: Evidence, plain: BiasAnswer, models: Sequence[BiasAnswer], averaged: AveragedBias | None, reason: Text
) -> Figure:
    """The models' intervals over the band of the unadjusted mean; those not fit to be read stand in a group apart."""
    shown = [
        (a.label, a.value, a.low, a.high, f"{body_key(found)}-{a.model}", READ if a.adequate else NOT_READ)
        for a in models
        if a.fitted
    ]
    if averaged is not None:
        whole, group = f"{body_key(found)}-averaged", READ if averaged.adequate else NOT_READ
        shown += [
            ("average_conditional", *averaged.conditional, f"{whole}-conditional", group),
            ("average_all", *averaged.averaged, whole, group),
        ]
    names = ("label", "value", "low", "high", "estimate", "group")
    columns: dict[str, Sequence[Cell]] = {name: [row[at] for row in shown] for at, name in enumerate(names)}
    return Figure(
        id=f"bias-comparison-{body_key(found)}",
        kind="bias_comparison",
        title=of(found.question.label, "with_and_without_bias_models"),
        columns=columns,
        settings={"metric": "r", "summary": plain.value, "summary_low": plain.low, "summary_high": plain.high},
        note=within("average_of_models", reason) if reason == POSTPONED else "",
    )


def _p_curve_figure(found: Evidence, sign: int) -> Figure:
    one = one_row_a_sample(found)
    shares = p_curve_shares(one.y, one.v, direction=direction_of(sign))
    columns = {name: getattr(shares, name).tolist() for name in ("p", "observed", "flat", "low_power")}
    return Figure(
        id=f"bias-pcurve-{body_key(found)}",
        kind="p_curve",
        title=of(found.question.label, "p_curve_here"),
        columns=columns,
        note="p_curve_note",
    )


# --- sentences -------------------------------------------------------------------------------------------------------


def _together(
    found: Evidence, sign: int, plain: BiasAnswer, models: Sequence[BiasAnswer], averaged: AveragedBias | Text
) -> Sentence:
    """What all this says together, by what the models that may be read say of the expected side of zero.

    `averaged` is the average over models, or why there is none.
    """
    # The rule of what may be read was fixed before: no model is counted for what it says.
    read = [answer for answer in models if answer.adequate]
    holds = [answer for answer in read if _beyond_zero(answer, sign)]
    missing = "postponed" if averaged == POSTPONED else "not_averaged"
    decision = averaged.decision if isinstance(averaged, AveragedBias) else missing
    plain_ref, models_table = _to(found, plain.model), Ref("table", f"bias-models-{body_key(found)}")
    values: dict[str, Cell | Number] = {
        "question": found.question.id,
        "verdict": _verdict(len(holds), len(read), decision),
        **numbers({"r": plain.value, "low": plain.low, "high": plain.high, "samples": plain.k}, plain_ref),
        **numbers({"models": len(models), "read": len(read), "holds": len(holds)}, models_table),
    }
    if not read:
        return Sentence("bias.together_none", values)
    ends = sorted(read, key=lambda answer: abs(answer.value))
    for name, answer in (("weakest", ends[0]), ("strongest", ends[-1])):
        values[name] = Number(answer.value, _to(found, answer.model))
    if not isinstance(averaged, AveragedBias):
        return Sentence("bias.together_postponed" if missing == "postponed" else "bias.together_alone", values)
    values |= {
        "decision": decision,
        "all": Number(len(averaged.models), Ref("table", f"bias-averaged-{body_key(found)}")),
        "probability": Number(averaged.probability, _to(found, "averaged-probability")),
        "conditional": Number(averaged.conditional[0], _to(found, "averaged-conditional")),
        "averaged": Number(averaged.averaged[0], _to(found, "averaged")),
    }
    return Sentence("bias.together", values)


def _to(found: Evidence, model: str) -> Ref:
    """Where the number of a model leads: to its estimate."""
    return Ref("estimate", f"{body_key(found)}-{model}")


def _beyond_zero(answer: BiasAnswer, sign: int) -> bool:
    """Whether the interval lies wholly on the expected side of zero."""
    return answer.low > 0 if sign > 0 else answer.high < 0


def _verdict(holds: int, read: int, decision: str) -> str:
    """The word for what the models of bias leave of an association.

    `bias_stands` when every readable model and the average keep it, `bias_gone` when none does, `bias_unread` when
    there is nothing to read, `bias_waits` where it hangs on an average that is postponed, else `bias_open`.
    """
    if read == 0:
        return "bias_unread"
    # Models that disagree leave it open whatever the average will say.
    if decision == "postponed":
        return "bias_waits" if holds in (0, read) else "bias_open"
    if holds == read and decision in ("effect_likely", "not_averaged"):
        return "bias_stands"
    if holds == 0 and decision != "effect_likely":
        return "bias_gone"
    return "bias_open"
