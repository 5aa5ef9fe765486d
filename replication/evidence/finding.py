"""A finding, put together: one answer first, how sure, what it does not show, and everything it rests on.

Called by the analyses of findings. A *main* question gets everything; the questions beside it (positive and negative
relationships apart) get their estimates, bias and drivers. `quick_finding` is the same model in seconds, for previews.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from functools import partial
from typing import cast

import numpy as np

from replication.analysis.outcome import (
    Cell,
    Context,
    Draws,
    Estimate,
    Figure,
    Findings,
    Label,
    Number,
    Ref,
    Section,
    Sentence,
    Table,
    numbers,
    of,
    placed,
    refs,
    within,
)
from replication.claims import Claim, claims_by_id
from replication.dataset import Dataset, Exclusion, Reads, kept_with
from replication.effects.correlation import back_to_r
from replication.evidence.answer import (
    Answered,
    answer_sentences,
    cause_sentence,
    certainty_sentences,
    change_sentences,
    driver_sentence,
    further_sentence,
    lead_id,
    pair_shares,
    pairs_table,
)
from replication.evidence.bayes import posterior_draws
from replication.evidence.bias import BiasPage, publication_bias
from replication.evidence.bias_models import bias_answers
from replication.evidence.certainty import Certainty, Grade, certainty_of
from replication.evidence.change import change_of
from replication.evidence.confounding import confounding
from replication.evidence.deletions import deletions, influence_table, leave_one_out_figures
from replication.evidence.design_effects import unknown_designs
from replication.evidence.estimators import agreement, estimator_estimates
from replication.evidence.levels import within_between
from replication.evidence.main_model import FURTHER_N, Estimated, estimate_body, estimates_of, leading_estimate
from replication.evidence.moderators import age_table, moderator_table
from replication.evidence.plots import (
    Subgroup,
    country_figure,
    forest_figures,
    paged,
    pooled_rows,
    row_names,
)
from replication.evidence.prediction import coverage, left_out_by, predict_body, prediction_tables
from replication.evidence.prior import PriorAnswer, prior_and_data, prior_sensitivity
from replication.evidence.protocol import flow
from replication.evidence.published import published_pools, published_table
from replication.evidence.question import Evidence, Question, Source, evidence, screened_rows
from replication.evidence.reliability import attenuation
from replication.evidence.sensitivity import restrictions, sensitivities, sensitivity_table
from replication.evidence.summary import certainty_figure, certainty_inputs, certainty_table, flow_figure, flow_table
from replication.evidence.update import entering, update_table
from replication.models.probability import normal_isf

__all__ = [
    "Answer",
    "BodiesOf",
    "QuestionPlan",
    "bodies_of",
    "finding",
    "grade_of_question",
    "parts_of",
    "quick_finding",
    "reads_of",
]

BodiesOf = Callable[[Question], Mapping[Source, Estimated]]
FEWEST_TO_PREDICT = 3
"""Published samples from which open data are predicted: with fewer the prediction is the prior's, not theirs."""
BODIES: Mapping[Source, str] = {
    "published": "published_samples",
    "open": "open_data",
    "pool": "both_together",
}


@dataclass(frozen=True, slots=True, kw_only=True)
class QuestionPlan:
    """What a finding needs to answer one research question.

    `claims` print an answer; `predict_from` are the pools among them that open data start from; `main` is the question
    of its page that gets everything; `none_held` is the claim that stands alone where no row counts.
    """

    question: Question
    claims: tuple[str, ...] = ()
    predict_from: tuple[str, ...] = ()
    main: bool = False
    none_held: str = ""


@dataclass(frozen=True, slots=True, eq=False)
class Answer:
    """What a finding answers to one question: its bodies as estimated (widest last), certainty where it is judged."""

    plan: QuestionPlan
    bodies: Mapping[Source, Estimated]
    association: Certainty | None = None
    cause: Certainty | None = None

    @property
    def widest(self) -> Estimated:
        """The estimate from most evidence."""
        # Bodies are held in the order published, open, pool: each later one rests on more.
        return list(self.bodies.values())[-1]


@dataclass(slots=True)
class _Page:
    """What is collected on the way; local to one question."""

    estimates: list[Estimate] = field(default_factory=list)
    tables: list[Table] = field(default_factory=list)
    figures: list[Figure] = field(default_factory=list)
    sentences: list[Sentence] = field(default_factory=list)
    exclusions: dict[Exclusion, None] = field(default_factory=dict)
    draws: list[Draws] = field(default_factory=list)

    def add(self, section: Section, *items: Estimate | Table | Figure | Sentence) -> None:
        """Put items into a section of the page."""
        for item in items:
            one = replace(item, section=section)
            if isinstance(one, Estimate):
                self.estimates.append(one)
            elif isinstance(one, Table):
                self.tables.append(one)
            elif isinstance(one, Figure):
                self.figures.append(one)
            else:
                self.sentences.append(one)

    def add_all(self, section: Section, found: Findings | PriorAnswer) -> None:
        """Put everything of another part into one section."""
        self.add(section, *found.estimates, *found.tables, *found.figures, *found.sentences)


def reads_of(plans: tuple[QuestionPlan, ...]) -> Reads:
    """What the questions of a finding read: samples that bear on their outcomes, and the claims they name."""
    claims = [claim for one in plans for claim in (*one.claims, *one.predict_from, one.none_held) if claim]
    outcomes = dict.fromkeys(one.question.outcome for one in plans)
    return Reads(outcomes=tuple(outcomes), claims=tuple(dict.fromkeys(claims)))


def parts_of(plans: tuple[QuestionPlan, ...]) -> Mapping[str, Callable[[Context], object]]:
    """What a finding computes, as parts of an analysis: the answer to each question, and what explains the main one."""
    found: dict[str, Callable[[Context], object]] = {}
    for one in plans:
        found[one.question.id] = partial(_answered, one)
        if one.main:
            found[_explaining(one)] = partial(_explained, one)
    return found


def finding(context: Context, plans: tuple[QuestionPlan, ...]) -> Findings:
    """Every question of a finding, answered by every body of evidence that bears on it.

    Where the analysis has `parts_of` the plans, another process may have computed some of them already.
    """
    known = context.parts
    found = {name: known[name] if name in known else compute(context) for name, compute in parts_of(plans).items()}
    pages: list[_Page] = []
    for one in plans:
        first, last = cast(tuple[_Page, _Page], found[one.question.id])
        pages += [first, *([cast(_Page, found[_explaining(one)])] if one.main else []), last]
    return Findings(
        estimates=tuple(item for page in pages for item in page.estimates),
        tables=tuple(item for page in pages for item in page.tables),
        figures=tuple(item for page in pages for item in page.figures),
        sentences=tuple(item for page in pages for item in page.sentences),
        exclusions=tuple(dict.fromkeys(item for page in pages for item in page.exclusions)),
        draws=tuple(item for page in pages for item in page.draws),
    )


def _explaining(plan: QuestionPlan) -> str:
    return f"{plan.question.id}-explained"


# What answers a question and what explains the answer rest on the same bodies, and often one process computes both.
@kept_with
def bodies_of(data: Dataset, question: Question) -> Mapping[Source, Estimated]:
    """Each body that has rows on a question, estimated; the pool only where there are both."""
    found = {source: evidence(data, question, source) for source in ("published", "open")}
    held: dict[Source, Estimated] = {s: estimate_body(body) for s, body in found.items() if len(body.y)}  # type: ignore[misc]
    # One body alone is its own pool: a second line with the same numbers would look like confirmation.
    if len(held) == 2:
        held["pool"] = estimate_body(evidence(data, question, "pool"))
    return held


def _answered(plan: QuestionPlan, context: Context) -> tuple[_Page, _Page]:
    """What the page says of one question: before what explains the answer, and after it."""
    question, first, last = plan.question, _Page(), _Page()
    claims = claims_by_id(context.data)
    if plan.claims:
        first.add("published", published_table(claims, plan.claims, question))
    screened = screened_rows(context.data, question)
    first.exclusions |= dict.fromkeys(screened.exclusions())
    counts = flow(context.data, screened)
    first.add("flow", flow_table(question, counts), *([flow_figure(question, counts)] if plan.main else []))
    bodies = bodies_of(context.data, question)
    if not bodies:
        values: dict[str, Cell | Number] = {"question": question.id, "claim": plan.none_held}
        first.add("answer", Sentence(f"answer.{question.outcome}.none", values))
        return first, last
    answer = Answer(plan, bodies)
    first.exclusions |= dict.fromkeys(answer.widest.found.selection.excluded)
    _estimates(answer, first)
    first.draws += [posterior_draws(body, f"{question.id}-{source}", context.seed) for source, body in bodies.items()]
    if plan.main:  # integration and refits: once a page, not once a subquestion
        _main(context.data, answer, _bias(context, answer, first), last)
    _priors(context.data, answer, claims, last)
    return first, last


def _explained(plan: QuestionPlan, context: Context) -> _Page:
    """What the answer to the main question hangs on: drivers, moderators, confounding, levels, measurement, designs."""
    page, data = _Page(), context.data
    bodies = bodies_of(data, plan.question)
    if not bodies:
        return page
    answer = Answer(plan, bodies)
    _drivers(data, answer, page)
    page.add("explore", pooled_rows(answer.widest.found))
    page.add_all("confounding", confounding(data, answer.widest.found))
    if "open" in bodies:
        page.add_all("levels", within_between(data, bodies["open"].found))
        page.add_all("robustness", attenuation(data, bodies["open"].found))
        page.add_all("robustness", unknown_designs(data, bodies["open"].found))
    return page


def _estimates(answer: Answer, page: _Page) -> None:
    """Every body by the main model and by every other estimator, and the intervals in one table."""
    question, steps = answer.plan.question, []
    compared: list[tuple[str, tuple[Estimate, ...]]] = []
    for source, body in answer.bodies.items():
        made = _estimates_of(answer.plan, source, body)
        page.add("bodies", *made)
        main = next(e for e in made if e.group == "main")
        steps.append((BODIES[source], main))
        if answer.plan.main:
            others = estimator_estimates(body.found)
            page.add("robustness", *others)
            compared.append((BODIES[source], others))
    if compared:
        page.add("robustness", agreement(question, compared))
    page.add("bodies", _intervals_table(answer), further_sentence(answer.widest))
    page.add("update", update_table(question.id, question.label, steps))


def _estimates_of(plan: QuestionPlan, source: Source, body: Estimated) -> tuple[Estimate, ...]:
    return estimates_of(body, within(plan.question.label, BODIES[source]))


def _intervals_table(answer: Answer) -> Table:
    """The three intervals of every body, by name, with what each rests on."""
    rows: list[tuple[Cell, ...]] = []
    links = []
    for source, body in answer.bodies.items():
        further, row = body.further_sample, body.further_row()
        found = body.found
        rows.append(
            (
                BODIES[source], body.centre, body.mean.low, body.mean.high, further.low, further.high, row.low,
                row.high, len(found.y), len(set(found.samples)), found.persons, len(found.countries),
                found.unknown_countries, body.leads,
            )
        )  # fmt: skip
        links.append(lead_id(body))
    return Table(
        id=f"intervals-{answer.plan.question.id}",
        title=of(answer.plan.question.label, "three_intervals"),
        columns=(
            "evidence", "r", "interval_1_low", "interval_1_high", "interval_2_low", "interval_2_high",
            "interval_3_low", "interval_3_high", "rows", "samples", "persons", "known_countries",
            "samples_of_unknown_country", "leads",
        ),
        rows=tuple(rows),
        links=refs("estimate", links),
        note=Label("intervals_note", {"n": FURTHER_N}),
    )  # fmt: skip


def _bias(context: Context, answer: Answer, page: _Page) -> BiasPage:
    """Publication bias of the published body, and the difference of the bodies."""
    question = answer.plan.question
    published, open_data = answer.bodies.get("published"), answer.bodies.get("open")
    leading = {e.id: e for e in page.estimates}
    pair = None
    if published is not None and open_data is not None:
        pair = (leading[lead_id(published)], leading[lead_id(open_data)])
    found = publication_bias(
        None if published is None else published.found,
        None if open_data is None else open_data.found,
        expected_sign(context.data, question),
        bodies=pair,
        remember=context.remember,
    )
    page.add_all("bias", found.findings)
    return found


def expected_sign(data: Dataset, question: Question) -> int:
    """The sign expected when good goes with good; several constructs together count as positive."""
    # From the valence of the constructs and not from the data: selection is assumed to favour what was hoped for.
    if question.quality:  # the first side counts as good: rows of negative valence were turned
        return data.vocabulary.constructs[question.outcome].valence
    return data.vocabulary.expected_sign(question.relationships[0], question.outcome)


def _drivers(data: Dataset, answer: Answer, page: _Page) -> None:
    """Every pooled sample in a forest plot, which of them carry the estimate, why they differ, what came in when."""
    widest, question = answer.widest.found, answer.plan.question
    leading = leading_estimate(answer.widest, within(question.label, BODIES[widest.source]))
    fit = answer.widest.fit
    if fit is not None and len(set(widest.samples)) > 2:
        further = answer.widest.further_sample
        groups = [BODIES[body] for body in widest.rows["body"]]
        apart = [body for source, body in answer.bodies.items() if source != "pool" and "pool" in answer.bodies]
        parts = [Subgroup(BODIES[one.found.source], one.centre, one.mean.low, one.mean.high) for one in apart]
        ends = (further.low, further.high)
        page.add("bodies", *forest_figures(widest, fit, leading, groups=groups, summaries=parts, further=ends))
        page.add("bodies", *country_figure(widest, fit, leading, ends))
        # Both need the fits without each sample: they are made once.
        left_out = deletions(widest, fit)
        table, figures = leave_one_out_figures(widest, left_out, leading)
        page.add("drivers", table, *figures, *driver_sentence(question.id, table.rows, table.id))
        page.add("drivers", *influence_table(widest, fit, left_out))
    if len(set(widest.samples)) > 2:
        page.add("robustness", moderator_table(widest, fit), age_table(data, widest))
    if "pool" in answer.bodies:
        page.add("update", *entering(widest, leading))
    works = set(widest.rows["work"])
    rows = tuple((trap.title, trap.text) for trap in data.traps if works & set(trap.works))
    title = of(question.label, "read_this_before")
    page.add("care", Table(id=f"caveats-{question.id}", title=title, columns=("caveat", "what_it_means"), rows=rows))


def _main(data: Dataset, answer: Answer, bias: BiasPage, page: _Page) -> None:
    """What the main question of a page gets besides: variations, certainty, the answer, predictions, priors."""
    question, widest = answer.plan.question, answer.widest
    varied = sensitivities(data, question, widest)
    estimates, table = sensitivity_table(widest, varied)
    page.add("robustness", *estimates, table)
    inputs = certainty_inputs(data, answer.bodies, varied, bias.models)
    association, cause = certainty_of(inputs)
    change = change_of(widest, inputs, association)
    page.add("sure", *certainty_sentences(question.id, association), certainty_table(question, association, cause))
    page.add("sure", certainty_figure(question, association))
    page.add("cause", *cause_sentence(question.id, question.outcome, cause))
    page.add("change", *change_sentences(question.id, association.grade, change))
    gap = None if bias.difference is None else (bias.difference.value, bias.difference.low, bias.difference.high)
    everyday = data.vocabulary.constructs[question.outcome].everyday
    pairs = None if everyday else pair_shares(widest.found)
    if pairs is not None:
        page.add("bodies", pairs_table(question, pairs))
    answered = Answered(
        widest,
        answer.bodies.get("published"),
        answer.bodies.get("open"),
        gap,
        association,
        cause,
        change,
        everyday,
        pairs,
    )
    page.add("answer", *answer_sentences(answered))
    _predictions(data, answer, page)


def _predictions(data: Dataset, answer: Answer, page: _Page) -> None:
    question, widest = answer.plan.question, answer.widest
    checks = [
        ("each_sample_left_out", left_out_by(data, widest, "sample")),
        ("each_country_left_out", left_out_by(data, widest, "country")),
    ]
    published, open_data = answer.bodies.get("published"), answer.bodies.get("open")
    if published is not None and open_data is not None and len(set(published.found.samples)) >= FEWEST_TO_PREDICT:
        checks.append(("open_from_published", predict_body(published, open_data.found)))
    tables = prediction_tables(question.id, question.label, checks, len(set(widest.found.samples)))
    page.add("prediction", *tables)
    ref = Ref("table", tables[0].id)
    for name, predicted in checks:
        if predicted:
            c = coverage(predicted)[-1]
            values: dict[str, Cell | Number] = {"question": question.id, "what": name}
            counts = {"inside": c.inside, "total": c.total, "level": c.level, "low": c.low, "high": c.high}
            page.add("prediction", Sentence("finding.prediction", {**values, **numbers(counts, ref)}))


def _priors(data: Dataset, answer: Answer, claims: Mapping[str, Claim], page: _Page) -> None:
    """Other priors beside the default one, and printed pools as priors of samples that they do not contain."""
    expected = expected_sign(data, answer.plan.question)
    if answer.plan.main:
        page.add("bayes", *prior_sensitivity(answer.widest, expected))
    # Open data first: they are no part of any printed pool, as a prior's data must not be.
    body = answer.bodies.get("open") or answer.widest
    heterogeneity = body.posterior.variance("between") + body.posterior.variance("country")
    for pool in published_pools(claims, answer.plan.predict_from, heterogeneity):
        page.add_all("bayes", prior_and_data(body, pool, expected))


def grade_of_question(data: Dataset, question: Question, bodies: BodiesOf | None = None) -> Grade:
    """The certainty of an association alone, for findings that are a chain of several and for previews.

    `bodies` gives the estimated bodies of a question where somebody has them; they are estimated here by default.
    """
    held = bodies(question) if bodies else bodies_of(data, question)
    if not held:
        return "very_low"
    widest = list(held.values())[-1]
    published = held.get("published")
    enough = published is not None and len(published.found.y) > 1
    models = bias_answers(published.found, expected_sign(data, question)) if published and enough else ()
    inputs = certainty_inputs(data, held, restrictions(widest), models)
    return certainty_of(inputs)[0].grade


def quick_finding(context: Context, plans: tuple[QuestionPlan, ...], bodies: BodiesOf | None = None) -> Findings:
    """The main model on each question and body of evidence, with a forest plot: a preview in seconds.

    `bodies` as for `grade_of_question`.
    """
    estimates: list[Estimate] = []
    figures: list[Figure] = []
    exclusions: dict[Exclusion, None] = {}
    for one in plans:
        held = bodies(one.question) if bodies else bodies_of(context.data, one.question)
        for source, body in held.items():
            made = _estimates_of(one, source, body)
            estimates += made
            figures += paged(_forest(body.found, next(e for e in made if e.group == "main")))
            exclusions |= dict.fromkeys(body.found.selection.excluded)
    return Findings(
        estimates=placed("bodies", estimates), figures=placed("bodies", figures), exclusions=tuple(exclusions)
    )


def _forest(found: Evidence, main: Estimate) -> Figure:
    """One row per effect, in the order of the dataset, with the main estimate below."""
    weights = 1.0 / (found.v + max(0.0, main.tau2))
    half = float(normal_isf(0.025)) * np.sqrt(found.v)
    rows = found.rows
    columns = {
        "row": [str(row) for row in rows["effect_id"]],
        "label": row_names(found),
        "value": back_to_r(found.y).tolist(),
        "low": back_to_r(found.y - half).tolist(),
        "high": back_to_r(found.y + half).tolist(),
        "weight": (100 * weights / weights.sum()).tolist(),
        "n": rows["n"].tolist(),
    }
    settings: dict[str, str | float | int | bool | None] = {
        "metric": "r",
        "summary": main.value,
        "summary_low": main.low,
        "summary_high": main.high,
        "prediction_low": main.prediction_low,
        "prediction_high": main.prediction_high,
        "estimate": main.id,
    }
    title = within(found.question.label, BODIES[found.source])
    return Figure(
        id=f"forest-{found.question.id}-{found.source}", kind="forest", title=title, columns=columns, settings=settings
    )
