"""Do sampled and exact posteriors agree, and what do models say that only sampling can fit?"""

from __future__ import annotations

from typing import TYPE_CHECKING, cast

from replication.analysis import Analysis, Context, Estimate, Findings, placed
from replication.evidence.question import Question, evidence

# Where it is used and not here: a run that samples nothing only asks this file what it declares.
if TYPE_CHECKING:
    from analyses.shared.sampled import Sampled

THREE = Question(
    "quality-achievement", "relationship_quality_with_achievement", ("positive", "negative"), "achievement"
)


def two_levels(context: Context) -> Sampled:
    from analyses.shared import sampled

    return sampled.with_exact(context, evidence(context.data, sampled.CELLS[0], "published"))


def three_levels(context: Context) -> Sampled:
    from analyses.shared import sampled

    return sampled.with_exact(context, evidence(context.data, THREE, "published"))


def cells(context: Context) -> tuple[Sampled, tuple[Estimate, ...]]:
    from analyses.shared import sampled

    return sampled.cells_at_once(context)


def selection(context: Context) -> Sampled:
    from analyses.shared import sampled

    return sampled.selection_on(context, evidence(context.data, sampled.CELLS[0], "published"), 1)


# Each model takes ten seconds to compile; those that take longest begin first.
PARTS = {part.__name__: part for part in (cells, three_levels, selection, two_levels)}


def run(context: Context) -> Findings:
    from analyses.shared import sampled

    fit, estimates = cast("tuple[Sampled, tuple[Estimate, ...]]", context.parts["cells"])
    two, three = (cast("Sampled", context.parts[name]) for name in ("two_levels", "three_levels"))
    fits = (fit, cast("Sampled", context.parts["selection"]), two, three)
    tables = (sampled.agreement_table((two, three)), *sampled.sampled_tables(fits))
    return Findings(
        estimates=placed("bayes", estimates),
        tables=placed("bayes", tables),
        sentences=(sampled.agreement_sentence(fits),),
        draws=tuple(one.draws for one in fits if one.draws),
    )


ANALYSIS = Analysis(
    id="sampling",
    title="title_sampling",
    question="question_sampling",
    run=run,
    kind="finding",
    slow=True,
    parts=PARTS,
)
