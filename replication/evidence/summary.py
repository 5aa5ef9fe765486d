"""The summary of findings and the flow diagram: what protocol and rules of certainty were given and decided.

Called by findings; everything comes out as tables and figures.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

import numpy as np

from replication.analysis.outcome import Cell, Figure, Label, Table, Text, of, several
from replication.dataset import Dataset
from replication.evidence.bias_models import BiasAnswer
from replication.evidence.certainty import BiasModel, Certainty, Inputs, Part, load_thresholds
from replication.evidence.confounding import adjusted_rows, covariates
from replication.evidence.main_model import Estimated
from replication.evidence.protocol import Flow, load_protocol
from replication.evidence.question import Evidence, Question, Source, screened_rows
from replication.evidence.sensitivity import Sensitivity

__all__ = ["certainty_figure", "certainty_inputs", "certainty_table", "flow_figure", "flow_table"]

INDIRECT = ("lesson support", "one item")


def certainty_inputs(
    data: Dataset,
    bodies: Mapping[Source, Estimated],
    varied: Sequence[Sensitivity],
    models: Sequence[BiasAnswer],
) -> Inputs:
    """Everything the rules look at, from the estimates of the bodies, the variations and the models of bias."""
    # Bodies are held from narrow to wide: certainty is about the one that rests on most evidence.
    widest = list(bodies.values())[-1]
    found, mean = widest.found, widest.mean
    parts = {one.id: one.part for one in varied}
    published, open_data = bodies.get("published"), bodies.get("open")
    return Inputs(
        centre=widest.centre,
        low=mean.low,
        high=mean.high,
        spread=widest.spread,
        samples=len(set(found.samples)),
        groups=len(set(found.places)),
        countries=found.countries,
        different=parts.get("only-different-informants"),
        direct=parts.get("only-relationship-measures"),
        indirect_share=_indirect_share(found),
        missing=_missing_share(data, found),
        published=0 if published is None else len(set(published.found.samples)),
        models=tuple(BiasModel(m.model, m.adequate, m.value, m.low, m.high) for m in models),
        open=None if open_data is None else _part(open_data),
        **_beyond_plain(data, found),
    )


def _part(answer: Estimated) -> Part:
    mean = answer.mean
    return Part(len(set(answer.found.samples)), answer.centre, mean.low, mean.high)


def _indirect_share(found: Evidence) -> float:
    """Share of samples all of whose relationship measures are lesson support or one item."""
    # By sample: one direct measure among many indirect ones makes its sample direct.
    indirect = found.rows["scope"].isin(list(INDIRECT))
    return float(indirect.groupby(found.rows["sample_id"]).all().mean())


def _missing_share(data: Dataset, found: Evidence) -> float:
    """The median share of missing answers over measures of these samples; NaN where none is recorded."""
    table, samples = data.columns("descriptives.csv"), set(found.samples.tolist())
    if "missing_pct" not in table:
        return float("nan")
    own = [
        share for sample, share in table.rows("sample_id", "missing_pct") if sample in samples and not math.isnan(share)
    ]
    # Per cent in the table, shares in the rules.
    return float(np.median(own)) / 100.0 if own else float("nan")


def _beyond_plain(data: Dataset, found: Evidence) -> dict[str, int]:
    """Rows on the question that adjust for something or measure the outcome later, whether they are pooled or not.

    A pooled row also counts as adjusted where its sample holds what it takes to compute that (`confounding`).
    """
    # All screened rows, not the pooled ones: adjusted and later ones are screened out, and exist all the same.
    rows = screened_rows(data, found.question).rows
    flags = rows["flags"].fillna("").astype(str)
    adjusted = rows["statistic"].isin(["beta", "partial_r"]) | flags.str.contains("adjusted|beta_converted")
    # A dataset whose files lack the column records no adjustment by it.
    if "covariates" in rows:
        adjusted |= rows["covariates"].fillna("") != ""
    later = rows["design"].fillna("") == "longitudinal"
    if "lag" in rows:
        later |= rows["lag"].fillna(0.0).astype(float) > 0
    # By id: a row that adjusts for two things is one row.
    computed = {row.effect_id for given in covariates(data) for row in adjusted_rows(data, found, given)}
    return {"adjusted": int(adjusted.sum()) + len(computed), "lagged": int(later.sum())}


def certainty_table(question: Question, association: Certainty, cause: Certainty) -> Table:
    """Start, every step with the numbers that decided it, and the grade, for both lines."""
    rows: list[tuple[Cell, ...]] = []
    for line, certainty in (("goes_together", association), ("one_changes_the_other", cause)):
        rows.append((line, "start", certainty.start, "", ""))
        for decision in certainty.decisions:
            numbers = several(*(_decided_on(name, value) for name, value in decision.values.items()))
            rows.append((line, decision.domain, decision.step, _reason(decision.because), numbers))
        rows.append((line, "sum", certainty.total, certainty.grade, ""))
    thresholds = load_thresholds()
    return Table(
        id=f"certainty-{question.id}",
        title=of(question.label, "summary_of_findings"),
        columns=("claim", "domain", "step", "decided_by", "on_these_numbers"),
        rows=tuple(rows),
        note=Label(
            "certainty_note",
            {"version": thresholds.version, "dated": str(thresholds.dated), "note": "certainty_rule_note"},
        ),
    )


def _reason(because: str) -> Text:
    """What decided in a few words, with the name of the place the question is about."""
    key = REASONS[because]
    return Label(key, {"place": load_thresholds().indirectness.place}) if because in PLACED else key


def _decided_on(name: str, value: Cell) -> Label:
    """A number a rule was decided on, by its name; in words where it is not recorded."""
    if value is None or (isinstance(value, float) and not np.isfinite(value)):
        return Label("decided_without", {"name": f"decided_on_{name}"})
    # Counts are shown without decimals, shares and correlations with them.
    kind = "_words" if isinstance(value, str) else "_count" if isinstance(value, int) else ""
    return Label(f"decided_on{kind}", {"name": f"decided_on_{name}", "value": value})


REASONS = {
    "few": "too_few_to_tell",
    "holds": "holds",
    "short": "falls_short_of_the_target",
    "opposite": "opposite_sign",
    "measures": "indirect_measures",
    "countries": "no_country_like",
    "both": "indirect_and_no_country_like",
    "zero": "holds_zero",
    "target": "holds_target",
    "open_only": "nothing_published_counts",
    "cleared": "open_data_clear_it",
    "not_judged": "few_models_open_clears",
    "crossing": "models_of_bias_cross_the_target",
    "unknown": "too_few_samples_to_judge",
    "none": "no_row_beyond_plain_correlations",
    "some": "some_rows_beyond_plain_correlations",
}
"""What decided, in a few words, for the figure; the sentences say it in full."""

PLACED = ("countries", "both")
"""Reasons that name the place the question is about."""


def certainty_figure(question: Question, association: Certainty) -> Figure:
    """The strip of domains: where certainty starts, each step with its reason, where it ends."""
    return Figure(
        id=f"strip-{question.id}",
        kind="certainty_strip",
        title=of(question.label, "how_sure"),
        columns={
            "domain": [d.domain for d in association.decisions],
            "step": [d.step for d in association.decisions],
            "reason": [_reason(d.because) for d in association.decisions],
        },
        settings={"start": association.start, "certainty": association.grade},
    )


def flow_table(question: Question, numbers: Flow) -> Table:
    """The flow as rows: identified, screened, assessed, excluded by criterion, included."""
    protocol = load_protocol()
    rows: list[tuple[Cell, ...]] = [
        ("identified_associations_in_all_works", numbers.rows, Label("works", {"k": numbers.works})),
        ("logged_not_taken", numbers.logged, ""),
        ("direction_only_no_size", numbers.directions, ""),
        ("another_pair_of_constructs", numbers.other_pairs, ""),
        ("assessed_for_this_question", numbers.assessed, ""),
        *(
            (
                Label("excluded_by", {"criterion": criterion}),
                count,
                Label("fails", {"criterion": f"criterion_{criterion}"}),
            )
            for criterion, count in numbers.excluded
        ),
        ("included_rows", numbers.included_rows, ""),
        ("included_samples", numbers.included_samples, ""),
        ("included_works", numbers.included_works, ""),
    ]
    return Table(
        id=f"flow-{question.id}",
        title=of(question.label, "from_found_to_pooled"),
        columns=("step", "number", "remark"),
        rows=tuple(rows),
        note=Label(
            "protocol_note", {"version": protocol.version, "dated": str(protocol.dated), "note": "protocol_rule_note"}
        ),
    )


def flow_figure(question: Question, numbers: Flow) -> Figure:
    """The PRISMA 2020 flow diagram: boxes with their counts."""
    boxes: list[tuple[str, Text, int]] = [
        ("main", "associations_in_all_works", numbers.rows),
        ("out", "screening_log_box", numbers.logged),
        ("out", "direction_only_no_size", numbers.directions),
        ("out", "another_pair_of_constructs", numbers.other_pairs),
        ("main", "assessed_for_this_question", numbers.assessed),
        *(
            ("out", Label("fails", {"criterion": f"criterion_{criterion}"}), count)
            for criterion, count in numbers.excluded
            if count
        ),
        ("main", "rows_included", numbers.included_rows),
        ("main", "samples_included", numbers.included_samples),
    ]
    columns = {name: [box[at] for box in boxes] for at, name in enumerate(("role", "label", "count"))}
    return Figure(
        id=f"diagram-{question.id}",
        kind="flow_diagram",
        title=of(question.label, "flow_of_rows"),
        columns=columns,
        settings={"works": numbers.works, "included_works": numbers.included_works},
    )
